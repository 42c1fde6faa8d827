"""The order's five questions to its Seller, as activities.

Each raises an ApplicationError of type SELLER_FAILURE that carries the facts; it is retryable when the same call may
pass later, and waits as long as the Seller asked for. What a lost answer left open is settled here, by reading the
order at the Seller: a repeat that the Seller refuses because the first try had worked is a success.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.away import AWAY_PAUSE, away_for
from activities.heartbeat import heartbeats, to_its_end
from marketplace.checkout import find_problem, with_promises
from marketplace.errors import (
    Cause,
    SellerAlreadyDone,
    SellerError,
    SellerFailure,
    SellerRefused,
    SellerUnknownOutcome,
    UnknownSeller,
    Verdict,
    seller_error,
)
from marketplace.orders import CartItem, OrderRequest, SellerOrderPhase
from marketplace.seller.base import (
    CancelState,
    Cart,
    OrderRef,
    Placement,
    PlacementRequest,
    Seller,
    SellerCatalog,
    SellerOrder,
)
from marketplace.seller.classify import nonsense
from marketplace.telemetry import get_logger
from workflows.messages import (
    CancelResult,
    CartCheck,
    CheckedCart,
    Claim,
    Done,
    FoundOrder,
    PlaceCall,
    PlacedOrder,
    SellerOrderCall,
)
from workflows.policies import (
    AUTHORIZE_DISPATCH,
    CANCEL_ORDER,
    CHECK_CART,
    PLACE_ORDER,
    PLACEMENT_LAG,
    READ_ORDER,
    SELLER_FAILURE,
)

_log = get_logger("seller")

_DOUBTFUL = (SellerRefused, SellerAlreadyDone, SellerUnknownOutcome)
"""Answers after which the order is read: an earlier try may have worked, and VTEX refuses repeats in several ways."""
_MISSED: Final = "no order at the Seller"
"""What a try leaves to the next one: that the order was looked for in vain."""
_NOT_READY = {"FMT0084", "FMT0056"}
"""Codes of an order whose workflow at the Seller has not begun: in a moment it will, or only when a person approves."""

Endpoint = Callable[[str, str], str]
"""From Seller and marketplaceOrderId to the order's marketplaceServicesEndpoint."""
ClaimOrder = Callable[[OrderRequest, Claim], Awaitable[None]]
"""Writes the record of an order that is about to be placed, or raises ApplicationError; see `OrderActivities`."""


class SellerActivities:
    """Ask the Sellers. `seller_of` finds the client of an account, `catalog_of` its catalog, `endpoint` mints callback
    addresses, `claim_order` writes the record of an order that is about to be placed.

    Addresses are minted here and not in the workflow, so that no token is ever part of an order's history.
    """

    def __init__(
        self,
        seller_of: Callable[[str], Seller],
        catalog_of: Callable[[str], SellerCatalog],
        endpoint: Endpoint,
        claim_order: ClaimOrder,
    ) -> None:
        self._seller_of = seller_of
        self._catalog_of = catalog_of
        self._endpoint = endpoint
        self._claim_order = claim_order

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.check_cart, self.place_order, self.authorize_dispatch, self.cancel_order, self.read_order]

    @activity.defn(name=CHECK_CART.name)
    async def check_cart(self, call: CartCheck) -> CheckedCart:
        """Simulate the order's cart and compare; the answer is small, whatever the Seller's is."""
        async with self._asking(call.seller):
            cart = Cart(
                items=[CartItem(id=item.id, quantity=item.quantity) for item in call.items],
                postal_code=call.postal_code,
                country=call.country,
            )
            simulation = await self._seller_of(call.seller).simulate(cart)
            problem = find_problem(call.items, call.shipping, simulation, call.price_tolerance)
            if problem is not None:
                return CheckedCart(problem=problem)
            try:
                return CheckedCart(shipping=with_promises(call.shipping, simulation))
            except ValidationError as error:
                [fault, *_] = error.errors(include_input=False)
                what = f"unexpected answer: {fault['loc'][0]} of the chosen SLA"
            raise seller_error(nonsense(what, writes=False))

    @activity.defn(name=PLACE_ORDER.name)
    async def place_order(self, call: PlaceCall) -> PlacedOrder:
        """Write its record if that is left to this call, and place the order.

        Of one that an earlier try has placed, recover the Seller's id.
        """
        order = call.request
        request = PlacementRequest(
            order=order,
            marketplace_services_endpoint=self._endpoint(order.seller, order.marketplace_order_id),
            prices_may_diverge=call.prices_may_diverge,
        )
        async with self._asking(order.seller):
            if call.claim is not None:
                await self._claim_order(order, call.claim)
            seller = self._seller_of(order.seller)
            ref = OrderRef(marketplace_order_id=order.marketplace_order_id)
            try:
                placement = await seller.place(request)
            except SellerAlreadyDone as repeat:
                placement = await _recovered(seller, ref, order.marketplace_payment_value, repeat.failure)
            except SellerRefused as refusal:
                placement = await _placed_before(seller, ref, order.marketplace_payment_value, refusal)
        return PlacedOrder(order_id=placement.order_id, notes=placement.divergences)

    @activity.defn(name=AUTHORIZE_DISPATCH.name)
    async def authorize_dispatch(self, call: SellerOrderCall) -> Done:
        """Authorize dispatch; a refusal because it is authorized already is a success.

        A cancellation of the order spares further tries; this one comes to its end, since it may have worked already.
        """
        return await to_its_end(self._authorize_dispatch(call))

    async def _authorize_dispatch(self, call: SellerOrderCall) -> Done:
        async with self._asking(call.seller):
            seller, ref = self._seller_of(call.seller), _ref(call)
            try:
                return Done(receipt=(await seller.authorize_dispatch(ref)).receipt)
            except SellerError as error:
                if not isinstance(error, _DOUBTFUL) and error.failure.code not in _NOT_READY:
                    raise
                phase = await _phase(seller, ref, call.value, error)
                if phase in {SellerOrderPhase.AUTHORIZED, SellerOrderPhase.INVOICED}:
                    return Done()
                if phase is SellerOrderPhase.CANCELED:
                    raise _as_canceled(error) from error
                if phase is SellerOrderPhase.HELD:
                    # The Seller's person must approve a price divergence; that takes hours, not seconds.
                    raise _again_later(error, "waits for the Seller's manual price approval") from error
                raise

    @activity.defn(name=CANCEL_ORDER.name)
    async def cancel_order(self, call: SellerOrderCall) -> CancelResult:
        """Ask to cancel; a refusal because it is canceled already is a success."""
        async with self._asking(call.seller):
            seller, ref = self._seller_of(call.seller), _ref(call)
            try:
                answer = await seller.cancel(ref, call.reason, requested_by_user=call.requested_by_user)
            except _DOUBTFUL as error:
                phase = await _phase(seller, ref, call.value, error)
                if phase is SellerOrderPhase.CANCELED:
                    return CancelResult(confirmed=True)
                if phase is SellerOrderPhase.CANCELING:
                    return CancelResult(confirmed=False)
                raise
        return CancelResult(confirmed=answer.state is CancelState.CONFIRMED)

    @activity.defn(name=READ_ORDER.name)
    async def read_order(self, call: SellerOrderCall) -> FoundOrder:
        """Read the order as the Seller has it now."""
        async with self._asking(call.seller):
            found = await _read(self._seller_of(call.seller), _ref(call), call.value)
        return FoundOrder(order_id=found.order_id, phase=found.phase, status=found.status)

    @asynccontextmanager
    async def _asking(self, account: str) -> AsyncIterator[None]:
        """Heartbeat while the Seller is asked, and turn its errors into what Temporal understands."""
        async with heartbeats():
            try:
                yield
            except UnknownSeller as error:
                failure = SellerFailure(verdict=Verdict.MISCONFIGURED, message=str(error))
            except SellerError as error:
                failure = await self._weighed(account, error.failure)
            else:
                return
        _log.warning("the Seller's answer was no success", verdict=failure.verdict, failure=str(failure))
        local = activity.info().is_local
        raise ApplicationError(
            str(failure),
            failure,
            type=SELLER_FAILURE,
            non_retryable=failure.wait_out or not (failure.verdict.may_pass or _of_the_edge(failure)),
            # Not of a local activity, which Temporal does not let wait that long.
            next_retry_delay=timedelta(seconds=failure.retry_after) if failure.retry_after and not local else None,
            # Expected, and logged above in one line: without this the SDK logs it again with a traceback.
            category=ApplicationErrorCategory.BENIGN,
        )

    async def _weighed(self, account: str, failure: SellerFailure) -> SellerFailure:
        """Say of a failure whether it is worth a try. A Seller that is away is waited for, and no order given up."""
        call = activity.info()
        if call.is_local:
            return failure  # it is asked again as usual
        last = call.retry_policy is not None and call.attempt >= call.retry_policy.maximum_attempts > 0
        pause = None
        if failure.paused:
            pause = failure.retry_after
        elif last and failure.verdict is Verdict.RATE_LIMITED:
            pause = failure.retry_after or AWAY_PAUSE
        elif last and failure.verdict.may_pass and not failure.wait_out:
            pause = await away_for(self._catalog_of(account))
        return failure if pause is None else failure.model_copy(update={"wait_out": True, "retry_after": pause})


def _ref(call: SellerOrderCall) -> OrderRef:
    return OrderRef(marketplace_order_id=call.marketplace_order_id, order_id=call.order_id)


async def _recovered(seller: Seller, ref: OrderRef, value: int, repeat: SellerFailure) -> Placement:
    """The placement that an earlier try made: its answer was lost, or the worker died with it."""
    try:
        found = await _read(seller, ref, value)
    except SellerRefused as error:
        if error.failure.cause is not Cause.NOT_FOUND:
            raise
        raise _lagging(error) from error
    return _earlier(found, repeat)


async def _placed_before(seller: Seller, ref: OrderRef, value: int, refusal: SellerRefused) -> Placement:
    """The placement that an earlier try made, though this one is refused; the refusal is raised where there is none.

    A Seller may look at stock and prices before it looks at the id: the stock that it misses is the order's own then.
    """
    call = activity.info()
    try:
        found = await _read(seller, ref, value)
    except SellerRefused as error:
        if error.failure.cause is not Cause.NOT_FOUND:
            raise
        if error.failure.code and (call.attempt == 1 or _MISSED in call.heartbeat_details):
            raise refusal from error
        # A try came before this one, and the Seller's order store may lag behind it: it is looked for once more.
        activity.heartbeat(_MISSED)
        pause = call.retry_policy.initial_interval.total_seconds() if call.retry_policy else 1.0
        raise _lagging(error, PLACEMENT_LAG * pause) from error
    except SellerError as trouble:
        if trouble.failure.verdict is Verdict.CREDENTIALS and call.attempt == 1:
            raise refusal from trouble  # the key may not read orders
        raise
    return _earlier(found, refusal.failure)


def _earlier(found: SellerOrder, answer: SellerFailure) -> Placement:
    if found.phase is SellerOrderPhase.CANCELED:
        raise _as_canceled(SellerAlreadyDone(answer))
    return Placement(order_id=found.order_id, divergences=["placed by an earlier try whose answer was lost"])


async def _phase(seller: Seller, ref: OrderRef, value: int, doubt: SellerError) -> SellerOrderPhase | None:
    """Where the order stands at the Seller after a doubtful answer; None when that is no matter for this try.

    Raises SellerError when it cannot be learned now and the doubt would end the tries: a refusal may be the echo of an
    earlier try that has worked, so it counts only once the order was seen.
    """
    try:
        return (await _read(seller, ref, value)).phase
    except SellerError as trouble:
        unknown = trouble.failure.cause is Cause.NOT_FOUND
        if unknown and doubt.failure.cause is Cause.NOT_FOUND:
            return None
        if doubt.failure.verdict.may_pass and (unknown or not isinstance(trouble, SellerRefused)):
            return None
        raise _lagging(trouble) if unknown else trouble from doubt


async def _read(seller: Seller, ref: OrderRef, value: int) -> SellerOrder:
    found = await seller.read(ref)
    other_id = found.marketplace_order_id not in {None, ref.marketplace_order_id}
    if other_id or found.value not in {None, value}:
        text = f"order {found.order_id} at the Seller is not this one: its value is {found.value} cents"
        raise SellerRefused(SellerFailure(verdict=Verdict.REFUSED, cause=Cause.MISMATCH, message=text))
    return found


def _lagging(error: SellerError, pause: float | None = None) -> SellerError:
    """Not found, though the Seller has it by its own word: its order store lags, or a page of the edge answered.

    `pause` in seconds: not asked again before.
    """
    update = {"verdict": Verdict.UNKNOWN_OUTCOME, "retry_after": pause or error.failure.retry_after}
    return SellerUnknownOutcome(error.failure.model_copy(update=update))


def _as_canceled(error: SellerError) -> SellerRefused:
    update = {"verdict": Verdict.REFUSED, "cause": Cause.ALREADY_CANCELED}
    return SellerRefused(error.failure.model_copy(update=update))


def _again_later(error: SellerError, why: str) -> SellerError:
    update = {"verdict": Verdict.RETRY, "message": why, "retry_after": 600.0, "wait_out": True}
    return SellerError(error.failure.model_copy(update=update))


def _of_the_edge(failure: SellerFailure) -> bool:
    """Whether a 404 is a page of VTEX's edge, which comes and goes: the Seller's own one has a code (contract 0)."""
    return failure.cause is Cause.NOT_FOUND and failure.code is None
