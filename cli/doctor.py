"""`order-engine doctor`: looks at everything that the engine needs, and says what to do about what is wrong."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from sqlalchemy import make_url
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli import catalog_checks, order_checks, stuck, webhook_checks
from cli.checks import Check, Finding, Findings, Said, State, make_checks, someone_polls
from cli.output import columns, console, print_json, show
from cli.seller_check import ask_seller
from cli.session import CommandError, quiet_runtime
from marketplace.safety import check_api_safety
from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings, is_loopback, load_sellers, load_settings
from marketplace.store.base import StoreUnavailable
from marketplace.store.stores import Stores, open_migrated_stores
from marketplace.temporal import connect, listed_search_attributes
from workflows.catalog_policies import SKU_ID, catalog_queue
from workflows.policies import SEARCH_ATTRIBUTES


def doctor(
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds given to each check.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Check Temporal, worker, database, Sellers and settings. Exits with 1 when something is wrong."""
    found = _run(examine(timeout))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not found.ok:
        raise typer.Exit(1)


def _run(examination: Coroutine[Any, Any, Findings]) -> Findings:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(examination)
    finally:
        # Unlike asyncio.run this does not wait for threads: one may hang in a name server's silence.
        loop.close()


async def examine(limit: float) -> Findings:
    """Make every check, each within `limit` seconds, side by side where none needs another."""
    examination = _Examination(limit)
    try:
        checks = await examination.run()
    finally:
        await examination.aclose()
    return Findings(ok=all(finding.state is not State.PROBLEM for finding in checks), checks=checks)


class _Examination:
    """The checks with what they find on their way: each attribute is set by the check that others need for it."""

    _settings: Settings
    _sellers: Mapping[str, SellerConfig]
    _client: Client
    _stores: Stores | None = None

    def __init__(self, limit: float) -> None:
        self._limit = limit

    async def run(self) -> list[Finding]:
        first = [
            Check("settings", self._read_settings),
            Check("sellers file", self._read_sellers, needs=("settings",)),
        ]
        done = await make_checks(first, {}, self._limit)
        known = {finding.check: finding for finding in done}
        checks = [*self._checks(), *self._seller_checks(known["sellers file"])]
        return done + await make_checks(checks, known, self._limit)

    async def aclose(self) -> None:
        if self._stores is not None:
            await self._stores.aclose()

    def _checks(self) -> list[Check]:
        temporal = "look at TEMPORAL_ADDRESS and at the server"
        database = "look at ORDER_ENGINE_DATABASE_URL and at the database"
        settings, namespace = ("settings",), ("namespace",)
        runs, offers = ("namespace", "sellers file"), ("database", "sellers file")
        attributes, both = ("search attributes", "sellers file"), ("search attributes", "database")
        return [
            Check("API address", self._api_address, needs=settings),
            Check("public URL", self._public_url, needs=("settings", "sellers file")),
            Check("Temporal", self._temporal, temporal, settings),
            Check("namespace", self._namespace, temporal, ("Temporal",)),
            Check("search attributes", self._search_attributes, temporal, namespace),
            Check("worker", self._worker, temporal, namespace),
            Check("catalog worker", self._catalog_worker, temporal, namespace),
            Check("webhook worker", self._webhook_worker, temporal, namespace),
            Check("other task queues", self._other_queues, temporal, namespace),
            Check("failing orders", self._failing_orders, temporal, namespace),
            Check("failing catalog", self._failing_catalog, temporal, namespace),
            Check("failing webhooks", self._failing_webhooks, temporal, namespace),
            Check("stopped orders", self._stopped_orders, temporal, namespace),
            Check("removed Sellers", self._removed_sellers, temporal, attributes),
            Check("schedules", self._schedules, temporal, runs),
            Check("failed imports", self._failed_imports, temporal, runs),
            Check("stuck imports", self._stuck_imports, temporal, namespace),
            Check("database", self._database, database, settings),
            Check("orders in need", self._orders_in_need, database, ("database",)),
            Check("record and Temporal", self._record_agrees, f"{database}, and at Temporal", both),
            Check("waiting orders", self._waiting_orders, database, ("database",)),
            Check("failed offers", self._failed_offers, database, offers),
            Check("undelivered webhooks", self._webhooks, database, ("database",)),
        ]

    def _seller_checks(self, file: Finding) -> list[Check]:
        needs = ("sellers file",)
        if file.state is not State.OK:
            return [Check("Sellers", self._read_sellers, needs=needs)]
        return [
            Check(f"Seller {account}", partial(ask_seller, config, self._limit), "look at its base_url", needs)
            for account, config in sorted(self._sellers.items())
        ]

    # --- settings ---

    async def _read_settings(self) -> Said:
        self._settings = load_settings()
        return State.OK, f"data in {self._settings.data_dir}, task queue {self._settings.task_queue}"

    async def _read_sellers(self) -> Said:
        self._sellers = load_sellers(self._settings)
        return State.OK, f"{self._settings.sellers}: {', '.join(sorted(self._sellers))}"

    async def _api_address(self) -> Said:
        check_api_safety(self._settings)
        how = "keys are set" if self._settings.leads_outside else "this machine only"
        return State.OK, f"{self._settings.host}:{self._settings.port}, {how}"

    async def _public_url(self) -> Said:
        url = urlsplit(self._settings.public_url)
        outside = [name for name, seller in sorted(self._sellers.items()) if not _is_here(seller.base_url)]
        if outside and _is_here(self._settings.public_url):
            raise CommandError(
                f"{', '.join(outside)} cannot call back to {self._settings.public_url}: set ORDER_ENGINE_PUBLIC_URL"
                " to where the API is reached from outside"
            )
        if outside and url.scheme != "https":
            return State.WARNING, f"{self._settings.public_url} is not https: tokens travel in the clear"
        return State.OK, self._settings.public_url

    # --- Temporal ---

    async def _temporal(self) -> Said:
        self._client = await connect(self._settings, runtime=quiet_runtime())
        info = await self._client.workflow_service.get_system_info(GetSystemInfoRequest())
        return State.OK, f"{self._client.service_client.config.target_host}, server {info.server_version}"

    async def _namespace(self) -> Said:
        name = self._client.namespace
        try:
            answer = await self._client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise CommandError(
                f"{name} does not exist: set TEMPORAL_NAMESPACE,"
                f" or create it with `temporal operator namespace create --namespace {name}`"
            ) from None
        kept = answer.config.workflow_execution_retention_ttl.ToTimedelta()
        return State.OK, f"{name}, closed orders are kept for {kept.total_seconds() / 86_400:g} d"

    async def _search_attributes(self) -> Said:
        listed = await listed_search_attributes(self._client)
        wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in (*SEARCH_ATTRIBUTES, SKU_ID)}
        missing = [f"{name} ({_type(kind)})" for name, kind in wanted.items() if name not in listed]
        wrong = [
            f"{name} ({_type(listed[name])}, needed is {_type(kind)})"
            for name, kind in wanted.items()
            if listed.get(name, kind) != kind
        ]
        if wrong:
            raise CommandError(f"of another type: {', '.join(wrong)}: remove them, a worker adds the right ones")
        if missing:
            raise CommandError(f"missing: {', '.join(missing)}: start a worker, it adds them")
        return State.OK, ", ".join(wanted)

    async def _worker(self) -> Said:
        return await someone_polls(self._client, self._settings.task_queue)

    async def _catalog_worker(self) -> Said:
        return await someone_polls(self._client, catalog_queue(self._settings.task_queue))

    async def _webhook_worker(self) -> Said:
        return await webhook_checks.worker(self._client, self._settings)

    async def _schedules(self) -> Said:
        return await catalog_checks.schedules(self._client, self._sellers, self._settings.task_queue)

    async def _failed_imports(self) -> Said:
        return await catalog_checks.failed_imports(self._client, self._sellers)

    async def _failing_orders(self) -> Said:
        return await stuck.no_failing_tasks(self._client, stuck.ORDERS)

    async def _failing_catalog(self) -> Said:
        return await stuck.no_failing_tasks(self._client, stuck.CATALOG)

    async def _failing_webhooks(self) -> Said:
        return await stuck.no_failing_tasks(self._client, stuck.WEBHOOKS)

    async def _stopped_orders(self) -> Said:
        return await stuck.stopped_orders(self._client, self._settings.task_queue)

    async def _other_queues(self) -> Said:
        return await stuck.other_queues(self._client, self._settings.task_queue)

    async def _removed_sellers(self) -> Said:
        return await stuck.removed_sellers(self._client, self._sellers, self._settings.task_queue)

    async def _stuck_imports(self) -> Said:
        return await stuck.stuck_imports(self._client, self._settings.task_queue)

    # --- the database ---

    async def _database(self) -> Said:
        url = make_url(self._settings.database_url.get_secret_value())
        try:
            self._stores = await open_migrated_stores(self._settings)
        except StoreUnavailable as error:
            raise CommandError(f"{error}; start it, or set ORDER_ENGINE_DATABASE_URL") from None
        where = f"{url.database} at {url.host}:{url.port or 5432}" if url.host else url.database
        return State.OK, f"{url.get_backend_name()}, {where}, tables of this version"

    async def _orders_in_need(self) -> Said:
        assert self._stores is not None
        return await order_checks.orders_in_need(self._stores.orders)

    async def _record_agrees(self) -> Said:
        assert self._stores is not None
        queue, pause = self._settings.task_queue, self._limit / 5
        return await order_checks.record_agrees(self._stores.orders, self._client, queue, pause)

    async def _waiting_orders(self) -> Said:
        assert self._stores is not None
        return await order_checks.waiting_orders(self._stores.orders)

    async def _failed_offers(self) -> Said:
        assert self._stores is not None
        return await catalog_checks.failed_offers(self._stores.offers, self._sellers)

    async def _webhooks(self) -> Said:
        assert self._stores is not None
        return await webhook_checks.deliveries(self._stores.webhooks, self._settings)


# --- words ---


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


def _type(kind: IndexedValueType.ValueType) -> str:
    return IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").capitalize()


def _counted(state: State, count: int) -> str:
    countable = state in {State.PROBLEM, State.WARNING}
    return f"{count} {state}{'s' if countable and count > 1 else ''}"


_STYLES: Final = {
    State.OK: "green",
    State.WARNING: "yellow",
    State.PROBLEM: "bold red",
    State.SKIPPED: "dim",
}


def _print(found: Findings) -> None:
    out = console()
    table = columns("CHECK", "STATE", "")
    for finding in found.checks:
        table.add_row(finding.check, finding.state, finding.detail, style=_STYLES[finding.state])
    show(out, table)
    counts = Counter(finding.state for finding in found.checks)
    told = ", ".join(_counted(state, counts[state]) for state in State if counts[state])
    out.print(f"\n{told}", style=_STYLES[State.OK if found.ok else State.PROBLEM])
