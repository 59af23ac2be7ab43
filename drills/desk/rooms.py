"""How much room etcd's members have, as it is asked for and told. PURE."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.text import Text

from drills.desk.tables import BAD, BUSY, GOOD, NOTHING, numbers, table
from state.model import SiteId
from state.space import REMEDY, Space

MB = 1_000_000


class RoomRow(Struct, frozen=True, kw_only=True):
    """One member."""

    site: SiteId
    leads: bool
    space: Space | None
    """None: it is silent."""


class Rooms(Struct, frozen=True, kw_only=True):
    """How full the shared state is."""

    lab: int
    members: tuple[RoomRow, ...]
    was: Mapping[SiteId, int] = {}
    """Before room was made: how many bytes each member took."""

    @property
    def is_well(self) -> bool:
        """Whether every member answers and has room enough."""
        spaces = [each.space for each in self.members]
        return all(space is not None and not space.is_nearly_full() for space in spaces)


def shown(answer: Rooms) -> RenderableType:
    """Return the table of the members."""
    made = table("Room in etcd", "site", "role", "room")
    numbers(made, "file MB", "used MB", "quota MB", "taken", "was MB")
    for row in answer.members:
        was = answer.was.get(row.site)
        made.add_row(
            row.site,
            "leads" if row.leads else "follows" if row.space else NOTHING,
            _word(row.space),
            *_figures(row.space),
            NOTHING if was is None else _mb(was),
        )
    if answer.is_well:
        return made
    return Group(made, Text(f"\nMake room: {REMEDY}", style=BUSY))


def _word(space: Space | None) -> Text:
    if space is None:
        return Text("silent", style=BAD)
    if space.is_full:
        return Text("FULL: takes no writes", style=BAD)
    return Text("nearly full", style=BUSY) if space.is_nearly_full() else Text("yes", style=GOOD)


def _figures(space: Space | None) -> tuple[Text, Text, Text, Text]:
    if space is None:
        return (NOTHING,) * 4
    told = _mb(space.quota_bytes) if space.quota_bytes else NOTHING
    return _mb(space.size_bytes), _mb(space.used_bytes), told, Text(f"{space.share():.1%}")


def _mb(count: int) -> Text:
    return Text(f"{count / MB:,.1f}")
