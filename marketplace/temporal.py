"""The one builder of Temporal clients, so that worker, API and command line agree on converter, codec and TLS.

Where the server is comes from the SDK's own variables: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY,
TEMPORAL_TLS and so on, or its configuration file.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, Final, cast

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client, Interceptor
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadConverter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError, RPCStatusCode

from marketplace.codec import EncryptionCodec
from marketplace.errors import EngineError
from marketplace.safety import check_encryption
from marketplace.settings import PREFIX, Settings, SettingsError
from marketplace.temporal_trouble import START_IT, diagnose, short_cause

DEFAULT_ADDRESS: Final = "127.0.0.1:7233"

_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.1
_NOT_CONNECTED = "Failed client connect"


class TemporalUnreachable(EngineError):  # noqa: N818 - it names what is the matter
    """The Temporal server cannot be reached. The text is one line with the address, and the cure.

    `address` is host:port.
    """

    def __init__(self, address: str, cause: str, cure: str = START_IT) -> None:
        super().__init__(f"Temporal does not answer at {address} ({cause}): {cure}")
        self.address = address


class SearchAttributesMissing(EngineError):  # noqa: N818
    """The namespace lacks search attributes that the engine needs, and they could not be added."""


@cache
def _json() -> PayloadConverter:
    """One converter for the whole process.

    The SDK asks for a new one with each workflow and twice with each activation, and every one would build its
    validators anew.
    """
    return PydanticPayloadConverter()


PLAIN: Final = DataConverter(payload_converter_class=cast("type[PayloadConverter]", _json))
"""How values become payloads where nothing is encrypted: pydantic's JSON."""


def data_converter(settings: Settings) -> DataConverter:
    """How values become payloads: pydantic's JSON, encrypted when encryption keys are set."""
    if not settings.encryption_keys:
        return PLAIN
    return replace(
        PLAIN,
        payload_codec=EncryptionCodec(settings.encryption_keys),
        # Without it the texts and stack traces of failures would stay readable beside the encrypted payloads.
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def build_runtime(settings: Settings) -> Runtime:
    """The SDK's part outside Python: its log lines go where ours go, its metrics to their address if one is set.

    One for a process. Raises SettingsError.
    """
    address, metrics = settings.temporal_metrics_address, None
    if address is not None:
        host, port = address
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        # Names and units as Prometheus wants them, such as temporal_long_request_latency_seconds.
        metrics = PrometheusConfig(where, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True)
    # What the SDK's core has to say beside the message becomes fields of the line.
    forwarding = LogForwardingConfig(
        logging.getLogger("temporalio"), prepend_target_on_message=False, append_log_fields_to_message=False
    )
    telemetry = TelemetryConfig(logging=LoggingConfig(TelemetryFilter("WARN", "ERROR"), forwarding), metrics=metrics)
    try:
        return Runtime(telemetry=telemetry)
    except (RuntimeError, ValueError) as error:
        raise SettingsError(f"{PREFIX}TEMPORAL_METRICS_ADDRESS: {short_cause(error)}") from error


async def connect(
    settings: Settings,
    *,
    runtime: Runtime | None = None,
    lazy: bool = False,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """Connect to the Temporal server that the environment names.

    `lazy`: return at once and connect with the first call; for an API that starts before its server. Workers cannot
    use such a client. Raises TemporalUnreachable, within 5 s, and SettingsError for a wrong TEMPORAL_ variable, or when
    encryption is needed and has no keys.
    """
    try:
        config = ClientConfig.load_client_connect_config()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"Temporal's settings (TEMPORAL_ variables or file): {short_cause(error)}") from error
    address = config.setdefault("target_host", DEFAULT_ADDRESS)
    check_encryption(settings, address)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await Client.connect(
                **config,
                data_converter=data_converter(settings),
                runtime=runtime,
                lazy=lazy,
                interceptors=interceptors,
                # For a lazy client's later connection, which no clock of ours watches.
                connect_timeout=timedelta(seconds=_CONNECT_SECONDS),
            )
    except TimeoutError:
        raise TemporalUnreachable(address, f"nothing within {_CONNECT_SECONDS:.0f} s") from None
    except ValueError as error:
        # Half of a client certificate, or a certificate that cannot be read.
        raise SettingsError(f"Temporal's settings (TEMPORAL_ variables or file): {short_cause(error)}") from error
    except RuntimeError as error:
        raise TemporalUnreachable(
            address, *diagnose(error, tls=bool(config.get("tls", config.get("api_key"))))
        ) from error


@contextmanager
def reaching(client: Client) -> Iterator[None]:
    """Around calls of a client: raise TemporalUnreachable where the server is away, and leave all else as it is."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.UNAVAILABLE:
            raise
        raise TemporalUnreachable(client.service_client.config.target_host, short_cause(error)) from error
    except RuntimeError as error:
        # A lazy client that has never been connected has no class of its own for this.
        if not str(error).startswith(_NOT_CONNECTED):
            raise
        config = client.service_client.config
        raise TemporalUnreachable(config.target_host, *diagnose(error, tls=bool(config.tls))) from error


async def ensure_search_attributes(
    client: Client, keys: Iterable[SearchAttributeKey[Any]], *, patience: timedelta = timedelta(seconds=30)
) -> None:
    """Add to the client's namespace the search attributes that it lacks, and wait until all are listed.

    May run any number of times and in several processes at once. Raises SearchAttributesMissing when they cannot be
    added within `patience`, or one is there with another type; TemporalUnreachable when the server is away.
    """
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in keys}
    try:
        with reaching(client):
            async with asyncio.timeout(patience.total_seconds()):
                listed = await listed_search_attributes(client)
                while missing := {name: kind for name, kind in wanted.items() if name not in listed}:
                    await _add(client, missing)
                    listed = await listed_search_attributes(client)
    except TimeoutError:
        raise SearchAttributesMissing(_advice(client, wanted, "the server does not list them in time")) from None
    except RPCError as error:
        raise SearchAttributesMissing(_advice(client, wanted, short_cause(error))) from error
    # The server takes a second attribute of the same name silently, whatever its type, and keeps the first.
    if wrong := {name: kind for name, kind in wanted.items() if listed[name] != kind}:
        raise SearchAttributesMissing(_advice(client, wrong, "others of the same name are there, remove those"))


async def listed_search_attributes(client: Client) -> dict[str, IndexedValueType.ValueType]:
    """The search attributes that were added to the client's namespace, with their types. Raises RPCError."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request, retry=True)
    return dict(answer.custom_attributes)


async def _add(client: Client, missing: dict[str, IndexedValueType.ValueType]) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    try:
        await client.operator_service.add_search_attributes(request, retry=True)
    except RPCError as error:
        # Another process was faster, as servers with another kind of visibility store tell it: list again.
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # pragma: no branch - the development server never does
            raise
    await asyncio.sleep(_POLL_SECONDS)


def _advice(client: Client, attributes: dict[str, IndexedValueType.ValueType], cause: str) -> str:
    names = ", ".join(
        f"{name} ({IndexedValueType.Name(kind).removeprefix('INDEXED_VALUE_TYPE_')})"
        for name, kind in attributes.items()
    )
    return f"namespace {client.namespace} needs the search attributes {names}: {cause}"
