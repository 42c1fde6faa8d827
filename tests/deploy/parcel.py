"""One workflow at four moments of a careful change, and once changed without care.

The example of docs/changing-workflows.md, which shows the first four word for word.
"""

from datetime import timedelta

from temporalio import activity, workflow

PATCH = "insure-parcels"
SOON = timedelta(seconds=10)


@activity.defn
async def pack(parcel: str) -> str:
    return f"{parcel} packed"


@activity.defn
async def insure(parcel: str) -> str:
    return f"{parcel}, insured"


@activity.defn
async def ship(parcel: str) -> str:
    return f"{parcel}, shipped"


class Waiting:
    """A parcel waits to be paid for between its steps, as orders do."""

    def __init__(self) -> None:
        self._paid = False

    @workflow.signal
    def paid(self) -> None:
        self._paid = True

    async def until_paid(self) -> None:
        await workflow.wait_condition(lambda: self._paid)


@workflow.defn(name="Parcel")
class Before(Waiting):
    @workflow.run
    async def run(self, parcel: str) -> str:
        parcel = await workflow.execute_activity(pack, parcel, start_to_close_timeout=SOON)
        await self.until_paid()
        return await workflow.execute_activity(ship, parcel, start_to_close_timeout=SOON)


@workflow.defn(name="Parcel")
class Patched(Waiting):
    @workflow.run
    async def run(self, parcel: str) -> str:
        parcel = await workflow.execute_activity(pack, parcel, start_to_close_timeout=SOON)
        await self.until_paid()
        if workflow.patched("insure-parcels"):
            parcel = await workflow.execute_activity(insure, parcel, start_to_close_timeout=SOON)
        return await workflow.execute_activity(ship, parcel, start_to_close_timeout=SOON)


@workflow.defn(name="Parcel")
class Deprecated(Waiting):
    @workflow.run
    async def run(self, parcel: str) -> str:
        parcel = await workflow.execute_activity(pack, parcel, start_to_close_timeout=SOON)
        await self.until_paid()
        workflow.deprecate_patch("insure-parcels")
        parcel = await workflow.execute_activity(insure, parcel, start_to_close_timeout=SOON)
        return await workflow.execute_activity(ship, parcel, start_to_close_timeout=SOON)


@workflow.defn(name="Parcel")
class After(Waiting):
    @workflow.run
    async def run(self, parcel: str) -> str:
        parcel = await workflow.execute_activity(pack, parcel, start_to_close_timeout=SOON)
        await self.until_paid()
        parcel = await workflow.execute_activity(insure, parcel, start_to_close_timeout=SOON)
        return await workflow.execute_activity(ship, parcel, start_to_close_timeout=SOON)
