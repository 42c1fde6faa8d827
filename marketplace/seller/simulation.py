"""The one call that both orders and the catalog make: the simulation of a cart. Source: contract A5 and B1."""

from types import MappingProxyType

from marketplace.seller import translate, wire
from marketplace.seller.base import Cart, SellerConfig
from marketplace.seller.exchange import Exchange

_PATHS = MappingProxyType(
    {
        "checkout": "/api/checkout/pub/orderForms/simulation",
        "fulfillment": "/api/fulfillment/pvt/orderForms/simulation",
    }
)


def affiliate(config: SellerConfig) -> dict[str, str]:
    """The query by which an account knows us. Source: contract section 0, "Affiliate"."""
    return {"sc": str(config.sales_channel), "affiliateId": config.affiliate_id}


async def simulate(exchange: Exchange, config: SellerConfig, cart: Cart) -> wire.Simulation:
    """Simulate a cart by the route of the Seller's settings. Raises leaves of SellerError."""
    return await exchange.ask(
        wire.Simulation,
        "POST",
        _PATHS[config.simulation_route],
        translate.simulation_body(cart),
        call="simulate",
        params=affiliate(config),
        writes=False,
    )
