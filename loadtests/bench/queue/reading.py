"""What the edge has left of a run: its log, and its event log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from loadtests.bench.queue.steps import Move, Seen
from state.clock import SystemClock
from state.eventlog.files import read_segment, segments
from state.eventlog.lines import Line

_MOVED: Final = b'"call_state"'


class _Logged(Struct, frozen=True):
    event: str
    timestamp: dt.datetime
    call: str
    was: str
    state: str
    agent: str | None = None


def seen(log: Path, events: Path) -> Seen:
    """Return what the edge knew when; instants are of the machine's monotonic clock."""
    return Seen(_moves(log), _lines(events))


def _moves(log: Path) -> Iterator[Move]:
    # The log's instants are of the wall clock; both clocks run alike over a benchmark's minutes.
    now = SystemClock().now()
    ahead_s = now.wall_ms / 1000.0 - now.mono_s
    decoder = msgspec.json.Decoder(_Logged)
    for text in log.read_bytes().splitlines():
        if _MOVED not in text:
            continue
        line = decoder.decode(text)
        yield Move(
            at_s=line.timestamp.timestamp() - ahead_s,
            call=line.call,
            was=line.was,
            state=line.state,
            agent=line.agent,
        )


def _lines(events: Path) -> Iterator[Line]:
    for segment in segments(events):
        yield from read_segment(segment)
