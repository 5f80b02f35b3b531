"""
Logs: one JSON object a line on stderr, written as bytes.

A decision's line says who asked for what and what came of it; never the object, an environment
value or a secret.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

# Variables hold the object, and with it environment values and secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class Stream:
    """
    Writes lines to a file descriptor.

    A reader that went away must not turn decisions into failures, so what can't be written is lost.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def msg(self, line: bytes) -> None:
        """Write one line, with a single system call."""
        with suppress(OSError):
            os.write(self._descriptor, line + b"\n")

    debug = info = warning = error = critical = exception = msg


class _Forward(logging.Handler):
    """Passes what libraries log (aiohttp, asyncio) on to our log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        details: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            details["exc_info"] = record.exc_info
        self._log.log(record.levelno, record.getMessage(), **details)


def make(level: str, descriptor: int | None = None) -> FilteringBoundLogger:
    """Make the log; `descriptor` is stderr unless given."""
    stream = Stream(sys.stderr.fileno() if descriptor is None else descriptor)
    log: FilteringBoundLogger = structlog.wrap_logger(
        stream,
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.add_log_level,
            _TRACEBACKS,
            _encode,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind()
    return log


def forward_libraries(log: FilteringBoundLogger) -> None:
    """Send the libraries' warnings and errors to `log` too."""
    logging.basicConfig(handlers=[_Forward(log)], level=logging.WARNING, force=True)


def _encode(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=repr)
