"""What `doctor` asks each Seller: whether it answers, and takes our keys."""

from uuid import uuid4

import httpx

from cli.checks import Said, State
from cli.session import CommandError
from marketplace.errors import Cause, SellerCredentials, SellerError, SellerRateLimited, SellerRefused
from marketplace.seller.base import OrderRef, SellerConfig
from marketplace.seller.client import Timeouts, build_seller


async def ask_seller(config: SellerConfig, limit: float) -> Said:
    """Ask for an order that cannot exist: only who may read orders learns that there is none.

    Raises CommandError when the Seller does not answer, or does not let us ask.
    """
    seller = build_seller(config, Timeouts(connect=limit, pool=limit, read=limit, total=limit))
    try:
        await seller.read(OrderRef(marketplace_order_id=f"doctor-{uuid4().hex}"))
    except SellerError as error:
        return _said(config.base_url, error)
    finally:
        await seller.aclose()
    return State.OK, f"{config.base_url} takes the app key and token"


def _said(url: str, error: SellerError) -> Said:
    failure = error.failure
    if failure.http_status == httpx.codes.NOT_FOUND and failure.code is None:
        # Any web server says 404 to a path that it does not know.
        return State.WARNING, f"{url} answers {failure}, not as VTEX does: look at its base_url"
    match error:
        case SellerRefused() if failure.cause is Cause.NOT_FOUND:
            return State.OK, f"{url} takes the app key and token"
        case SellerRefused():
            raise CommandError(f"{url} refuses to tell of orders: {failure}")
        case SellerRateLimited():
            return State.WARNING, f"{url} has too many requests to answer: {failure}; ask again later"
        case SellerCredentials():
            raise CommandError(
                f"{url} refuses the app key and token: {failure}; look at the variables named in"
                " app_key_env and app_token_env, and at the key's role in VTEX"
            )
        case _:
            raise CommandError(f"{url} does not answer as a Seller: {failure}; look at its base_url")
