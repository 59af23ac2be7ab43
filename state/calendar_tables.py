"""The table of a calendar, as an operator writes it, and the noun that it becomes. PURE.

[calendars.office]
zone = "Europe/Berlin"
week = { mon = ["08:00-12:00", "13:00-18:00"], fri = ["08:00-24:00"] }
special = { "2026-12-24" = ["08:00-12:00"], "2026-12-25" = [] }
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from state.model import Calendar, CalendarId, Opening, SpecialDay, TenantId
from state.patterns import whole
from state.table import Word

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
_SPAN = re.compile(r"([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)")

Span = Annotated[str, whole(r"[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]")]
"""`08:00-17:30`; the day ends at 24:00."""
Date = Annotated[str, whole(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")]
Spans = Annotated[list[Span], Meta(max_length=24)]


class CalendarTable(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[calendars.ID]`. A day that is not named is closed."""

    zone: Annotated[str, Meta(min_length=1, max_length=64)]
    week: dict[Day, Spans] = msgspec.field(default_factory=dict)
    special: Annotated[dict[Date, Spans], Meta(max_length=1000)] = msgspec.field(
        default_factory=dict
    )
    tenant: Word = "main"


def calendar_of(identifier: str, table: CalendarTable) -> Calendar:
    """Return the calendar that a table describes; ValueError: why it is none."""
    _check_zone(table.zone)
    return Calendar(
        id=CalendarId(identifier),
        zone=table.zone,
        week=tuple(_openings(day, table.week.get(day, ())) for day in DAYS),
        special=tuple(
            SpecialDay(date=_date(day), openings=_openings(day, spans))
            for day, spans in sorted(table.special.items())
        ),
        tenant=TenantId(table.tenant),
    )


def table_of_calendar(calendar: Calendar) -> CalendarTable:
    """Return the table that describes a calendar."""
    return CalendarTable(
        zone=calendar.zone,
        week={
            day: _spans(openings)
            for day, openings in zip(DAYS, calendar.week, strict=True)
            if openings
        },
        special={each.date: _spans(each.openings) for each in calendar.special},
        tenant=calendar.tenant,
    )


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (LookupError, OSError, ValueError):
        raise ValueError(f"zone = {zone!r} is no time zone: write one like Europe/Berlin") from None


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"special names {text!r}, which is no date: write 2026-12-24") from None


def _openings(day: str, spans: Iterable[str]) -> tuple[Opening, ...]:
    openings = sorted((_opening(day, span) for span in spans), key=lambda each: each.begin)
    for before, after in pairwise(openings):
        if after.begin < before.end:
            raise ValueError(f"{day}: {_span(before)} and {_span(after)} overlap")
    return tuple(openings)


def _opening(day: str, span: str) -> Opening:
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError(f"{day}: {span[:20]!r} is no span of hours: write 08:00-17:30")
    begin_h, begin_m, end_h, end_m = map(int, found.groups())
    opening = Opening(begin=begin_h * 60 + begin_m, end=end_h * 60 + end_m)
    if not opening.begin < opening.end <= DAY_MINUTES:
        raise ValueError(f"{day}: {span} should end after it begins, and by 24:00")
    return opening


def _spans(openings: Sequence[Opening]) -> list[str]:
    return [_span(each) for each in openings]


def _span(opening: Opening) -> str:
    return f"{_clock(opening.begin)}-{_clock(opening.end)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
