"""`order-engine sellers`: who is configured, and what to type into each Seller's VTEX admin."""

from typing import Annotated
from urllib.parse import urlsplit

import typer

from cli.output import clean, console, pairs, print_json, show
from marketplace.orders import Model
from marketplace.security import AffiliateTokens
from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings, is_loopback, load_sellers, load_settings, secret_keys


class SellerLine(Model):
    """A configured Seller without its secrets."""

    account: str
    base_url: str
    sales_channel: int
    affiliate_id: str
    simulation_route: str
    cancel_route: str
    requests_per_second: float | None
    price_tolerance: float
    """Share of a price by which the Seller may differ."""
    assortment: str
    credentials: bool
    """Whether both app key and app token are set; not whether they are right."""
    affiliate_endpoint: str
    """For the affiliate's search endpoint in VTEX's admin. Holds a token: as secret as a key."""


class SellerList(Model):
    sellers: list[SellerLine]


def sellers(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False) -> None:
    """List the configured Sellers, with the affiliate endpoint to be typed into each one's VTEX admin."""
    settings = load_settings()
    # Also before the keys are there: the endpoint is needed to set the Seller up.
    configured = load_sellers(settings, require_secrets=False)
    tokens = AffiliateTokens(secret_keys(settings))
    lines = [
        _line(config, tokens.endpoint(settings.public_url, account)) for account, config in sorted(configured.items())
    ]
    if as_json:
        print_json(SellerList(sellers=lines))
        return
    out = console()
    for line in lines:
        out.print(clean(line.account), style="bold")
        show(out, pairs(*_rows(line)))
        # Whole on one line, to be copied.
        out.print(f"affiliate endpoint  {line.affiliate_endpoint}", soft_wrap=True)
        out.print()
    for note in _notes(settings):
        out.print(note, style="yellow", soft_wrap=True)


def _line(config: SellerConfig, endpoint: str) -> SellerLine:
    return SellerLine(
        credentials=bool(config.app_key.get_secret_value() and config.app_token.get_secret_value()),
        affiliate_endpoint=endpoint,
        **config.model_dump(include=set(SellerLine.model_fields)),
    )


def _rows(line: SellerLine) -> list[tuple[str, str]]:
    rate = line.requests_per_second
    return [
        ("base URL", line.base_url),
        ("sales channel", str(line.sales_channel)),
        ("affiliate id", line.affiliate_id),
        ("simulation route", line.simulation_route),
        ("cancel route", line.cancel_route),
        ("rate", "not limited" if rate is None else f"{rate:g} requests a second"),
        ("price tolerance", f"{line.price_tolerance * 100:g} %" if line.price_tolerance else "none"),
        ("assortment", line.assortment),
        ("credentials", "present" if line.credentials else "missing"),
    ]


def _notes(settings: Settings) -> list[str]:
    notes = []
    if is_loopback(urlsplit(settings.public_url).hostname or ""):
        notes.append("Sellers outside this machine cannot reach these endpoints: set ORDER_ENGINE_PUBLIC_URL.")
    if not settings.secret_key:
        key = settings.data_dir / "secret.key"
        notes.append(f"The tokens are made with {key}: keep that file, or set ORDER_ENGINE_SECRET_KEY.")
    return notes
