"""The steps of an order: how each is reached, what begins it, and what ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.orders.parking import REFUSED
from tests.races.stage import PAID, Json, Stage
from tests.races.table import AFTER, ASKED, BEFORE, DONE, DURING

_KINDS: Final = {ASKED: "hold", DONE: "hold-after", AFTER: "hold-after"}


@dataclass
class Life:
    """One order on the stage. `said` are the requests about it that are not answered yet."""

    stage: Stage
    order: Json
    said: list[asyncio.Task[int]] = field(default_factory=list)

    def say(self, what: str) -> asyncio.Task[int]:
        self.said.append(asyncio.create_task(self.stage.tell(self.order, what)))
        return self.said[-1]

    async def until(self, **fields: Any) -> None:
        await self.stage.engine.until(self.order, **fields)

    async def kept(self, route: str, kind: str = "hold-after") -> None:
        await self.stage.hold(self.order, route, kind)


Way = Callable[[Life], Awaitable[None]]


@dataclass(frozen=True)
class Cue:
    """What begins or ends a step: the answer to a held call, or something said."""

    release: str | None = None
    say: tuple[str, ...] = ()
    other: Way | None = None

    async def give(self, life: Life, *, unseen: bool) -> None:
        if self.other is not None:
            await self.other(life)
        for what in self.say:
            if unseen:
                await life.stage.leave(life.order, what)
            else:
                life.say(what)
        if self.release is not None:
            await life.stage.release(life.order, self.release)
            if unseen:
                await life.stage.answered(life.order)


@dataclass(frozen=True)
class Step:
    """`reach` leads to where only `begin` is missing. A step with a `call` is under way while that is held, another
    one when `under_way` returns.
    """

    reach: Way
    begin: Cue
    moments: tuple[str, ...]
    call: str | None = None
    under_way: Way | None = None
    end: Cue | None = None
    switches: Json = field(default_factory=dict)
    impatient: bool = False
    """Payment must come within moments."""

    async def start(self, life: Life, moment: str) -> None:
        """Bring the order into the step."""
        await self.reach(life)
        if self.call is not None:
            await life.kept(self.call, _KINDS[moment])
        await self.begin.give(life, unseen=False)
        if self.call is not None:
            await life.stage.held(life.order, self.call)
        elif self.under_way is not None:
            await self.under_way(life)

    async def finish(self, life: Life, *, unseen: bool) -> None:
        """End the step, by its call's answer or by what else ends it."""
        cue = Cue(release=self.call) if self.call is not None else self.end
        assert cue is not None
        await cue.give(life, unseen=unseen)


# --- ways ---


async def sold(life: Life) -> None:
    await life.stage.sells(life.order)


async def post(life: Life) -> None:
    answer = await life.stage.engine.post(life.order, wait=0)
    assert answer.status_code == 202, answer.text


async def simulating(life: Life) -> None:
    await sold(life)
    await life.kept("simulate")
    await post(life)
    await life.stage.held(life.order, "simulate")


async def placing(life: Life) -> None:
    await sold(life)
    await life.kept("place")
    await post(life)
    await life.stage.held(life.order, "place")


async def placed(life: Life) -> None:
    await sold(life)
    answer = await life.stage.engine.post(life.order)
    assert answer.status_code == 201, answer.text


async def pending(life: Life) -> None:
    await life.until(status="payment-pending")


async def dispatching(life: Life) -> None:
    await life.kept("dispatch")
    life.order["payment"] = PAID
    await placed(life)
    await life.stage.held(life.order, "dispatch")


async def dispatched(life: Life) -> None:
    life.order["payment"] = PAID
    await placed(life)
    await handling(life)


async def handling(life: Life) -> None:
    await life.until(status="handling")


async def refused(life: Life) -> None:
    await life.kept("dispatch", "hold")
    await life.stage.engine.fault("dispatch", order=life.order, **REFUSED)
    life.order["payment"] = PAID
    await placed(life)
    await life.stage.held(life.order, "dispatch")


async def parked(life: Life) -> None:
    await life.until(needsAttention=True)


async def refused_and_parked(life: Life) -> None:
    await refused(life)
    await life.stage.release(life.order, "dispatch")
    await parked(life)


async def retry(life: Life) -> None:
    assert (await life.stage.engine.resume(life.order, "retry")).status_code == 200


def locked_out(route: str) -> Way:
    """The way to a held call which the Seller then refuses to our keys."""

    async def way(life: Life) -> None:
        await sold(life)
        await life.kept(route, "hold")
        await life.kept(route, "forbidden")
        await post(life)
        await life.stage.held(life.order, route)

    return way


async def cancel_refused(life: Life) -> None:
    await dispatched(life)
    await life.kept("cancel", "hold")
    await life.kept("cancel", "forbidden")
    life.say("customer cancels")
    await life.stage.held(life.order, "cancel")


async def invoiced(life: Life) -> None:
    await life.until(status="invoiced")


async def shipped(life: Life) -> None:
    await dispatched(life)
    assert [await life.say("invoice"), await life.say("tracking")] == [200, 200]
    await life.until(status="shipped")


async def delivered(life: Life) -> None:
    await life.until(status="delivered")


async def asking(life: Life) -> None:
    await dispatched(life)
    await life.kept("cancel")
    life.say("customer cancels")
    await life.stage.held(life.order, "cancel")


async def undecided(life: Life) -> None:
    assert await life.said[-1] == 202
    await life.until(status="cancellation-requested")


# --- the steps; their names are those of the table ---

CALL = (BEFORE, ASKED, DONE, AFTER)
WAIT = (BEFORE, DURING, AFTER)
SILENT: Final[Json] = {"cancelLate": "silent", "cancelWindowSeconds": 0}

STEPS: Final[dict[str, Step]] = {
    "simulate": Step(sold, Cue(other=post), (BEFORE, ASKED, AFTER), call="simulate"),
    "simulate parked": Step(locked_out("simulate"), Cue(release="simulate"), (BEFORE, DURING), under_way=parked),
    "place": Step(simulating, Cue(release="simulate"), CALL, call="place"),
    "place parked": Step(locked_out("place"), Cue(release="place"), (BEFORE, DURING), under_way=parked),
    "await payment": Step(placing, Cue(release="place"), WAIT, under_way=pending, end=Cue(say=("payment approved",))),
    "authorize dispatch": Step(placed, Cue(say=("payment approved",)), CALL, call="dispatch"),
    "dispatch parked": Step(refused, Cue(release="dispatch"), WAIT, under_way=parked, end=Cue(say=("invoice",))),
    "dispatch retried": Step(refused_and_parked, Cue(other=retry), (ASKED, DONE), call="dispatch"),
    "follow fulfillment": Step(
        dispatching, Cue(release="dispatch"), WAIT, under_way=handling, end=Cue(say=("invoice",))
    ),
    "invoiced": Step(
        dispatched, Cue(say=("invoice",)), WAIT, under_way=invoiced, end=Cue(say=("tracking", "delivery"))
    ),
    "return window": Step(shipped, Cue(say=("delivery",)), WAIT, under_way=delivered, end=Cue(say=("return",))),
    "cancel, not paid": Step(placed, Cue(say=("customer cancels",)), CALL, call="cancel"),
    "cancel, dispatched": Step(dispatched, Cue(say=("customer cancels",)), CALL, call="cancel"),
    "cancel, expired": Step(placing, Cue(release="place"), CALL, call="cancel", impatient=True),
    "cancel parked": Step(cancel_refused, Cue(release="cancel"), (BEFORE, DURING), under_way=parked),
    "await the Seller's decision": Step(
        asking,
        Cue(release="cancel"),
        WAIT,
        under_way=undecided,
        end=Cue(say=("Seller cancels",)),
        switches=SILENT,
    ),
    "the Seller's refusal": Step(
        asking, Cue(release="cancel"), (AFTER,), under_way=undecided, end=Cue(say=("invoice",)), switches=SILENT
    ),
}
