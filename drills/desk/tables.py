"""The tables that a person reads of a lab that is up. PURE.

Owns how answers look, 80 columns wide or wider. Says nothing that is not in the answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edge.acd.agent_state import AgentState

MS = 1000
GOOD, BAD, BUSY, QUIET = "green", "bold red", "yellow", "dim"
NOTHING = Text("-", style=QUIET)
STATES: Mapping[AgentState, str] = {
    AgentState.READY: GOOD,
    AgentState.OFFERED: BUSY,
    AgentState.TALKING: "cyan",
    AgentState.HOLD: "cyan",
    AgentState.WRAP_UP: BUSY,
    AgentState.PAUSED: "magenta",
    AgentState.ELSEWHERE: QUIET,
    AgentState.SIGNED_OUT: QUIET,
    AgentState.UNREACHABLE: BAD,
}
STATE_WORDS: Mapping[AgentState, str] = {
    AgentState.OFFERED: "ringing",
    AgentState.ELSEWHERE: "other",
    AgentState.WRAP_UP: "wrap-up",
    AgentState.SIGNED_OUT: "signed out",
}


def table(title: str, *columns: str) -> Table:
    """Return an empty table with these columns."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style=QUIET,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for column in columns:
        made.add_column(column)
    return made


def numbers(made: Table, *columns: str) -> None:
    """Add columns that are aligned at the right."""
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)


def spaced(parts: Iterable[RenderableType]) -> RenderableType:
    """Return the parts one below the other, an empty line before each."""
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in parts))


def bad_records(bad: Mapping[str, str]) -> Table:
    """Return the records that cannot be read, by name."""
    made = table("Records that cannot be read; everything else goes on", "record and way out")
    for _, why in sorted(bad.items()):
        made.add_row(Text(why, style=BAD))
    return made


def clock(wall_ms: int, zone: dt.tzinfo | None = None) -> str:
    """Return a moment as people read clocks in a zone; None: here."""
    return _there(wall_ms, zone).strftime("%H:%M:%S")


def day(wall_ms: int, zone: dt.tzinfo | None = None) -> str:
    """Return the day of a moment, as it is in a zone; None: here."""
    return _there(wall_ms, zone).strftime("%Y-%m-%d")


def _there(wall_ms: int, zone: dt.tzinfo | None) -> dt.datetime:
    return dt.datetime.fromtimestamp(wall_ms / MS, dt.UTC).astimezone(zone)
