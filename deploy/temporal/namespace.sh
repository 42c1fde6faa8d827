#!/bin/sh
# Makes the namespace with its retention, and the search attributes of orders and SKUs. May run again at every start,
# and gives a namespace that is there the retention that was set meanwhile.
set -eu
if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION"
fi
attributes() {
    temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
        --name Seller --type Keyword \
        --name OrderStatus --type Keyword \
        --name MarketplaceOrderId --type Keyword \
        --name NeedsAttention --type Bool \
        --name SkuId --type Keyword
}
# The frontend hears of a new namespace some seconds late.
tries=0
until attributes; do
    tries=$((tries + 1))
    if [ "$tries" -ge 30 ]; then
        exit 1
    fi
    sleep 1
done
