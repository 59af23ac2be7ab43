"""How the edge logs: one JSON line an event, to standard error.

The event is a constant word; values are fields; identifiers, never objects. Numbers of callers
stand under `pii.` only; digits, keys and tokens nowhere.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec
import structlog

from state.discreet import fault

_encoder: Final = msgspec.json.Encoder(enc_hook=repr)


def configure(level: str, **bound: str) -> None:
    """Set up structlog for this process; `bound` (edge, site) stands on every line."""
    stamp = Stamp()

    # One step where structlog has three: a call logs ten lines, and they are a tenth of its cost.
    def dress(
        _logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event.update(bound)
        event["level"] = method
        event["timestamp"] = stamp.text(time.time_ns())
        return event

    structlog.configure(
        processors=[dress, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Libraries(logging.WARNING)], force=True)


class _Libraries(logging.Handler):
    """Takes what libraries log: who, how bad and which exception, and never their words.

    They quote what they stumble over, which may be a caller's number.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            record.levelno, "library", name=record.name, **({} if error is None else fault(error))
        )


def note_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what no task of ours took, in one line like everything else.

    What a callback was called with stands in the loop's words, and stays out as the fault's do.
    """
    error = context.get("exception")
    fields = fault(error) if isinstance(error, BaseException) else {}
    what = str(context["message"]).partition("(")[0]
    structlog.get_logger().error("loop_fault", what=what, **fields)


class Stamp:
    """Writes instants as ISO 8601 in UTC, to the microsecond; the second as it was written last."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, wall_ns: int) -> str:
        """Return the instant so many nanoseconds after the epoch."""
        second, rest_ns = divmod(wall_ns, 1_000_000_000)
        if second != self._second:
            self._text = dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f"{self._text}.{rest_ns // 1000:06d}Z"


def render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    """Return the line. A call logs several: this is a few times quicker than `json`."""
    try:
        return _encoder.encode(event)
    except (UnicodeEncodeError, TypeError):
        # What came over the wire may be no Unicode: a line must not be lost of it.
        return json.dumps(event, default=repr).encode()
