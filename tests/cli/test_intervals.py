"""Intervals of a report count from the midnight of a place, also when its clocks are changed."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from drills.cli import calls as command
from drills.cli.calls import moment_ms
from drills.cli.errors import CommandError
from drills.desk.asks import ReportAsk
from drills.desk.intervals import begins, zone_called
from drills.desk.ledger import Ledger
from drills.desk.reports import report, shown
from state import keys
from state.model import Calendar, CalendarId, Did, DidNumber, QueueId
from state.snapshot import Snapshot
from tests.acd.worlds import NOW
from tests.cli.test_tables import printed
from tests.replay.days import line_of, queue, staff

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
BERLIN = ZoneInfo("Europe/Berlin")
SHORT, LONG = dt.date(2026, 3, 29), dt.date(2026, 10, 25)
"""Of 23 and of 25 hours in Berlin."""


def midnight_ms(day: dt.date, zone: ZoneInfo = BERLIN) -> int:
    return round(dt.datetime.combine(day, dt.time(), zone).timestamp() * 1000)


def lengths(day: dt.date, length_ms: int, zone: ZoneInfo = BERLIN) -> list[int]:
    """Return how many minutes the intervals of a day last, in their order."""
    first, after = midnight_ms(day, zone), midnight_ms(day + dt.timedelta(days=1), zone)
    found = Counter(begins(at, length_ms, zone) for at in range(first, after, MINUTE_MS))
    assert min(found) == first
    assert all(begins(each, length_ms, zone) == each for each in found)
    return [found[each] for each in sorted(found)]


@pytest.mark.parametrize(
    ("day", "length_h", "expected"),
    [
        (dt.date(2026, 6, 1), 24, [1440]),
        (SHORT, 24, [1380]),
        (LONG, 24, [1500]),
        (SHORT, 8, [420, 480, 480]),
        (LONG, 8, [540, 480, 480]),
        (SHORT, 2, [120, 60, *[120] * 10]),
        (LONG, 2, [120, 180, *[120] * 10]),
        (SHORT, 1, [60] * 23),
        (LONG, 1, [60] * 25),
        (SHORT, 0.5, [30] * 46),
        (LONG, 0.5, [30] * 50),
        (dt.date(2026, 6, 1), 7, [420, 420, 420, 180]),
    ],
)
def test_a_day_has_as_many_intervals_as_its_clock_goes_through(
    day: dt.date, length_h: float, expected: list[int]
) -> None:
    assert lengths(day, round(length_h * HOUR_MS)) == expected


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        ("Asia/Kathmandu", dt.date(2026, 6, 1), [60] * 24),
        ("America/Sao_Paulo", dt.date(2018, 11, 4), [60] * 23),  # no midnight: one o'clock follows
        ("Australia/Lord_Howe", dt.date(2026, 4, 5), [60, 90, *[60] * 22]),  # by half an hour
        ("UTC", LONG, [60] * 24),
    ],
)
def test_hours_are_those_of_the_place_wherever_that_is(
    name: str, day: dt.date, expected: list[int]
) -> None:
    assert lengths(day, HOUR_MS, ZoneInfo(name)) == expected


def in_a_calendar(*zones: str) -> Snapshot:
    """Return a center whose numbers each have a calendar of one of these zones."""
    world = staff(1, queue())
    for number, zone in enumerate(zones):
        calendar = Calendar(id=CalendarId(f"c{number}"), zone=zone, week=((),) * 7)
        did = DidNumber(f"1555010{number}")
        world.put(keys.calendar(calendar.id), calendar)
        world.put(keys.did(did), Did(number=did, queue=QueueId("sales"), calendar=calendar.id))
    return world.snapshot


@pytest.mark.parametrize(
    ("zones", "asked", "expected"),
    [
        ((), "", "America/New_York"),
        (("Europe/Berlin",), "", "Europe/Berlin"),
        (("Europe/Berlin", "Europe/Berlin"), "", "Europe/Berlin"),
        (("Europe/Berlin", "Asia/Tokyo"), "", "America/New_York"),
        (("No/Such", "Europe/Berlin"), "", "Europe/Berlin"),
        (("Europe/Berlin",), "Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_the_day_is_that_of_who_asks_for_it_or_of_the_numbers_calendars_else_of_the_machine(
    zones: tuple[str, ...], asked: str, expected: str
) -> None:
    record = replace(line_of(1, 1, seed=1)[0], arrived_ms=midnight_ms(LONG) + 4 * HOUR_MS)
    over = Ledger(records=(record,), bad={}, revisions={})
    ask = ReportAsk(interval_s=86400.0, target_s=20.0, zone=asked, here="America/New_York")
    told = report(1, in_a_calendar(*zones), over, NOW, ask)
    assert told.zone == expected
    there = dt.datetime.fromtimestamp(record.arrived_ms / 1000, ZoneInfo(expected)).date()
    assert [row.from_ms for row in told.rows] == [midnight_ms(there, ZoneInfo(expected))]
    text = printed(shown(told))
    assert f"by the clock of {expected}" in text
    assert "00:00:00" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_moment_is_of_the_place_that_is_named() -> None:
    tokyo = zone_called("Asia/Tokyo")
    at = moment_ms("--since", "08:00", dt.date(2026, 11, 28), tokyo)
    assert at == round(dt.datetime(2026, 11, 27, 23, tzinfo=dt.UTC).timestamp() * 1000)
    assert moment_ms("--since", "2026-11-28T08:00+00:00", dt.date(2026, 11, 28), tokyo) == (
        round(dt.datetime(2026, 11, 28, 8, tzinfo=dt.UTC).timestamp() * 1000)
    )


def test_a_zone_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(CommandError, match="--zone Berlin: no time zone such as Europe/Berlin"):
        command.report(zone="Berlin")
