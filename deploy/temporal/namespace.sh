#!/bin/sh
# Makes the namespace with its retention, once. The worker adds the search attributes itself.
set -eu
if ! temporal operator namespace describe --namespace default >/dev/null 2>&1; then
    temporal operator namespace create --namespace default --retention "$RETENTION"
fi
