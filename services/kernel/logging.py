"""Structured logs on standard error: one JSON object a line, codes and counts, never a body."""

import logging
import sys
import time
from collections.abc import Hashable, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import structlog

from services.kernel import metrics

_SECONDS: Final = 10.0
_CAUSES: Final = 1_000
_OF_EACH: Final = frozenset({"timestamp", "trace_id"})
"""Fields that differ from line to line of the same cause."""

_LARGEST_FILE: Final = 20_000_000
_LIBRARIES: Final = ("aiokafka", "faststream", "kafka", "asyncio", "aiosmtplib", "uvicorn", "uvicorn.error")

log = structlog.stdlib.get_logger("samspil")


def _rotating(file: Path) -> logging.Handler:
    return RotatingFileHandler(file, maxBytes=_LARGEST_FILE, backupCount=1, encoding="utf-8")


class OncePerCause(logging.Filter):
    """Log filter: one line per cause in ten seconds passes; the others are counted.

    The cause of a library's line is its position in the library's code, that of a warning of ours is all of
    its fields: a broker that is away for a minute writes tens of lines and not thousands. Our errors and
    informational lines always pass.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        """Write the same cause again only after so many seconds."""
        self._seconds = seconds
        super().__init__()
        self._last: dict[Hashable, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        if isinstance(record.msg, dict) and record.levelno != logging.WARNING:
            return True
        cause, now = _cause(record), time.monotonic()
        if now - self._last.get(cause, -self._seconds) < self._seconds:
            metrics.LOG_LINES_DROPPED.labels(record.name.partition(".")[0]).inc()
            return False
        self._last[cause] = now
        while len(self._last) > _CAUSES:
            self._last.pop(next(iter(self._last)))
        return True


def _cause(record: logging.LogRecord) -> Hashable:
    if isinstance(record.msg, dict):
        return tuple((name, str(value)) for name, value in record.msg.items() if name not in _OF_EACH)
    return record.pathname, record.lineno


def _without_message(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep of a library's line its logger, position and exception type only."""
    record: logging.LogRecord | None = event.get("_record")
    if record is not None and not record.name.startswith("samspil"):
        event["event"] = "library"
        event["logger"] = record.name
        event["position"] = f"{record.module}:{record.lineno}"
        event["kind"] = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        event.pop("exc_info", None)
    return event


def _time_first(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Begin the line with its time, level and event, so that lines sort and a person finds them."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def set_up_logs(level: str, file: Path | None = None) -> None:
    """Send the logs of this process, and of its libraries, to standard error or to a file."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr) if file is None else _rotating(file)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_message],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _time_first,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    handler.addFilter(OncePerCause())
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
        logging.getLogger(library).propagate = True
