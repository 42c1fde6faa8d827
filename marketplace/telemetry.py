"""Logging: structlog over the standard library, so that our lines and those of uvicorn and Temporal look the same."""

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

from marketplace.masking import mask_tokens
from marketplace.tracing import trace_fields

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_SUBJECTS = {"order": ("seller", "order"), "storefront": ("seller", "order"), "sku": ("seller", "sku_id")}
"""What follows the first word of a workflow's id."""


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks the finished line, so that no field, argument or traceback is left out."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_tokens(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    """Our own handler, to be found again when logging is configured a second time."""


def configure_logging(log_format: Literal["text", "json"], *, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error), as readable text or one JSON object a line.

    May be called again; the last call counts. Start uvicorn with `log_config=None`, or it undoes this.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _tell_workflow,
        _tell_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[Processor]
    if log_format == "json":
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback  # the pretty one prints local variables, customers' data among them
        rendering = [structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=plain)]
    handler = _Handler(target)
    handler.setFormatter(
        _MaskingFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _Handler)] + [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _quieten()


def get_logger(name: str, **context: Any) -> structlog.stdlib.BoundLogger:
    """A logger for a module; `context` is added to each of its lines. Never log personal data or secrets."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name, **context)
    return logger


def subject_of(workflow_id: str) -> dict[str, str]:
    """What a workflow is about, by its id, as fields of log lines: Seller, and order or SKU, where it has them."""
    kind, *names = workflow_id.split("/")
    fields = _SUBJECTS.get(kind, ("seller",) if kind.startswith("catalog-") else ())
    return {"workflow_id": workflow_id, **dict(zip(fields, names, strict=False))}


def _tell_workflow(_logger: "WrappedLogger", _name: str, event: "EventDict") -> "EventDict":
    """Take into a line what Temporal's SDK has put beside it: the workflow that wrote it, or fields of its core."""
    record = event.get("_record")
    workflow = getattr(record, "temporal_workflow", None)
    if isinstance(workflow, dict):
        return {**subject_of(workflow["workflow_id"]), **event}
    core = getattr(record, "temporal_log", None)
    return {**core.fields, **event} if core is not None else event


def _tell_trace(_logger: "WrappedLogger", _name: str, event: "EventDict") -> "EventDict":
    event.update(trace_fields())
    return event


def _quieten() -> None:
    # At INFO these tell each request and each migration step; the first holds URLs with tokens.
    for name in ("httpx", "httpcore", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A collector that is away is told once for each batch that is lost, and not for each try.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False
