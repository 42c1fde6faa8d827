"""An order, its Seller's settings and the Seller's answers, shared by the tests of the Seller client."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from marketplace.orders import (
    Address,
    CartItem,
    ClientProfile,
    DeliveryWindow,
    LogisticsInfo,
    OrderItem,
    OrderRequest,
    ShippingData,
)
from marketplace.seller.base import Cart, OrderRef, PlacementRequest, SellerConfig

ROOT = Path(__file__).parents[2]
ACCEPT = ROOT.parent / "shared" / "vtex" / "schemas" / "accept"
EXAMPLES = ROOT.parent / "shared" / "vtex" / "examples"

KEY, TOKEN = "vtexappkey-acme-XYZ", "token-never-to-be-logged"
ENDPOINT = "https://engine.example/callbacks/acme/5f1c"
LINES = [CartItem(id="501", quantity=3), CartItem(id="777", quantity=1)]
CART = Cart(items=LINES, postal_code="88010-000", country="BRA")
REF = OrderRef(marketplace_order_id="A-1001", order_id="MKP-A-1001")
UNPLACED = OrderRef(marketplace_order_id="A-1001")


def data(name: str) -> bytes:
    """Read one of the Seller's answers of `tests/data/vtex`."""
    return (ROOT / "tests" / "data" / "vtex" / f"{name}.json").read_bytes()


def config(url: str = "https://acme.example", **changes: object) -> SellerConfig:
    """Build the settings of the Seller `acme`."""
    known = {
        "account": "acme",
        "affiliate_id": "MKP",
        "sales_channel": 3,
        "app_key": SecretStr(KEY),
        "app_token": SecretStr(TOKEN),
        "base_url": url,
    }
    return SellerConfig.model_validate(known | changes)


def order() -> OrderRequest:
    """Build an order of two lines, one with a delivery window; its logistics are not in the order of its items."""
    return OrderRequest(
        marketplace_order_id="A-1001",
        seller="acme",
        items=[OrderItem(id="501", quantity=3, price=3334), OrderItem(id="777", quantity=1, price=2500)],
        client_profile_data=ClientProfile(
            email="vera.lucia@mail.example",
            first_name="Vera",
            last_name="Lucia",
            document_type="cpf",
            document="52998224725",
            phone="+5548991234567",
        ),
        shipping_data=ShippingData(
            address=Address(
                address_type="residential",
                receiver_name="Vera Lucia",
                postal_code="88010-000",
                city="Florianopolis",
                state="SC",
                country="BRA",
                street="Rua do Principe",
                number="7",
                geo_coordinates=[-48.5495, -27.5969],
            ),
            logistics_info=[
                LogisticsInfo(
                    item_index=1,
                    selected_sla="Store",
                    price=0,
                    lock_ttl="2d",
                    shipping_estimate="0d",
                    selected_delivery_channel="pickup-in-point",
                ),
                LogisticsInfo(
                    item_index=0,
                    selected_sla="Evening",
                    price=1500,
                    lock_ttl="4d",
                    shipping_estimate="2bd",
                    delivery_window=DeliveryWindow(
                        start_date_utc=datetime(2026, 5, 4, 21, tzinfo=UTC),
                        end_date_utc=datetime(2026, 5, 4, 23, 30, tzinfo=UTC),
                        price=300,
                    ),
                ),
            ],
        ),
        marketplace_payment_value=14002,
    )


def placement(**changes: object) -> PlacementRequest:
    """Build the request to place `order()`."""
    return PlacementRequest.model_validate(
        {"order": order(), "marketplace_services_endpoint": ENDPOINT, **changes},
    )
