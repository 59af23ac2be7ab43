"""How the control plane logs: one JSON line an event, to standard error.

The event is a constant word; values are fields; identifiers, never objects. Numbers of callers
stand under `pii.` only; passwords, tokens and what customers told us nowhere.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import msgspec
import structlog
from structlog.typing import EventDict

from state.discreet import fault

_encoder: Final = msgspec.json.Encoder(enc_hook=repr)


def configure(level: str, **bound: str) -> None:
    """Set up structlog for this process; `bound` (site) stands on every line."""

    def add_bound(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, **bound}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_bound,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Libraries(logging.WARNING)], force=True)


class _Libraries(logging.Handler):
    """Takes what libraries log: who, how bad and which exception, and never their words.

    They quote what they stumble over: a header that is no header is logged with the token in it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            record.levelno, "library", name=record.name, **({} if error is None else fault(error))
        )


def render(_logger: object, _method: str, event: EventDict) -> bytes:
    """Return the line."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        # Bytes of a client that are no text. The line is told, and whoever tells it goes on.
        return _encoder.encode({name: _spelt(value) for name, value in event.items()})


def _spelt(value: object) -> str:
    return str(value).encode(errors="backslashreplace").decode()
