from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acd.admission import Admitted, TurnedAway, admit
from edge.acd.hours import is_open
from state import keys
from state.calendar_tables import CalendarTable, calendar_of
from state.model import Calendar, CalendarId, Did, DidNumber, Now, Outcome, QueueId, TurnAway
from tests.acd.worlds import World
from tests.state.records import unhurried

BERLIN = calendar_of(
    "office",
    CalendarTable(
        zone="Europe/Berlin",
        week={"mon": ["08:00-12:00", "13:00-18:00"], "sat": ["00:00-24:00"]},
        special={"2026-12-24": ["08:00-10:00"], "2026-11-30": []},
    ),
)
SUNDAYS = calendar_of("night", CalendarTable(zone="Europe/Berlin", week={"sun": ["02:00-03:00"]}))


def at(text: str) -> Now:
    """Return an instant from `2026-11-23T09:00+00:00`."""
    return Now(mono_s=0.0, wall_ms=int(datetime.fromisoformat(text).timestamp() * 1000))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-11-23T06:59:59.999+00:00", False),  # a Monday; Berlin is an hour ahead in winter
        ("2026-11-23T07:00+00:00", True),
        ("2026-11-23T10:59:59.999+00:00", True),
        ("2026-11-23T11:00+00:00", False),
        ("2026-11-23T12:00+00:00", True),
        ("2026-11-23T17:00+00:00", False),
        ("2026-07-06T06:00+00:00", True),  # and two in summer
        ("2026-07-06T16:00+00:00", False),
        ("2026-11-24T10:00+00:00", False),  # Tuesdays are not named
        ("2026-11-27T23:00+00:00", True),  # Saturday begins in Berlin
        ("2026-11-28T22:59:59.999+00:00", True),
        ("2026-11-28T23:00+00:00", False),
        ("2026-11-30T09:00+00:00", False),  # a Monday of its own
        ("2026-12-24T07:00+00:00", True),  # a Thursday of its own
        ("2026-12-24T09:00+00:00", False),
        ("2026-12-24T22:00-11:00", False),  # elsewhere it is still that day
    ],
)
def test_hours_are_those_of_the_calendars_own_clock(when: str, *, expected: bool) -> None:
    assert is_open(BERLIN, at(when)) is expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-10-25T00:30+00:00", True),  # 02:30, and again
        ("2026-10-25T01:30+00:00", True),
        ("2026-10-25T02:00+00:00", False),
        ("2026-03-29T00:59+00:00", False),  # 01:59, then 03:00
        ("2026-03-29T01:00+00:00", False),
    ],
)
def test_an_hour_that_comes_twice_is_open_twice_and_one_that_never_comes_never(
    when: str, *, expected: bool
) -> None:
    assert is_open(SUNDAYS, at(when)) is expected


def test_a_zone_that_this_machine_does_not_know_turns_nobody_away() -> None:
    unknown = Calendar(id=CalendarId("x"), zone="Mars/Base", week=((),) * 7)
    assert is_open(unknown, at("2026-11-23T09:00+00:00"))


@pytest.mark.parametrize("days", [0, 1, 6, 8])
def test_a_week_of_other_than_seven_days_turns_nobody_away(days: int) -> None:
    odd = Calendar(id=CalendarId("x"), zone="UTC", week=((),) * days)
    assert all(is_open(odd, at(f"2026-11-{day}T09:00+00:00")) for day in range(23, 30))


@unhurried
@given(
    when=st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - as `st.datetimes` wants them
        max_value=datetime(2037, 12, 31),  # noqa: DTZ001 - as above
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_a_week_and_its_complement_are_never_both_open_nor_both_closed(
    when: datetime, zone: str
) -> None:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    one = CalendarTable(zone=zone, week={day: ["07:30-19:15"] for day in days})  # type: ignore[misc]
    other = CalendarTable(
        zone=zone,
        week={day: ["00:00-07:30", "19:15-24:00"] for day in days},  # type: ignore[misc]
    )
    now = at(when.replace(tzinfo=ZoneInfo("UTC")).isoformat())
    assert is_open(calendar_of("x", one), now) is not is_open(calendar_of("y", other), now)


NUMBER = DidNumber("15550001")
OPEN, SHUT = at("2026-11-23T09:00+00:00"), at("2026-11-24T09:00+00:00")


def world_of(**changes: object) -> World:
    world = World()
    world.queue("sales", sales=1)
    world.queue("night")
    world.put(keys.calendar(BERLIN.id), BERLIN)
    did = Did(number=NUMBER, queue=QueueId("sales"), calendar=BERLIN.id, **changes)  # type: ignore[arg-type]
    world.put(keys.did(NUMBER), did)
    return world


def test_within_its_hours_a_number_leads_to_its_queue() -> None:
    admission = admit(world_of(closed_queue=QueueId("night")).snapshot, NUMBER, OPEN)
    assert isinstance(admission, Admitted)
    assert admission.queue.id == "sales"


def test_outside_its_hours_it_leads_to_the_queue_for_that() -> None:
    admission = admit(world_of(closed_queue=QueueId("night")).snapshot, NUMBER, SHUT)
    assert isinstance(admission, Admitted)
    assert admission.queue.id == "night"


@pytest.mark.parametrize(
    ("closed", "outcome"),
    [(TurnAway.REFUSE, Outcome.REFUSED), (TurnAway.CALLBACK, Outcome.CALLBACK)],
)
@pytest.mark.parametrize("has_place", [True, False])
def test_without_such_a_queue_callers_are_turned_away(
    closed: TurnAway, outcome: Outcome, *, has_place: bool
) -> None:
    snapshot = world_of(closed=closed).snapshot
    admission = admit(snapshot, NUMBER, SHUT, has_place=has_place)
    assert isinstance(admission, TurnedAway)
    assert (admission.outcome, admission.cause) == (outcome, "closed")


def test_a_number_whose_calendar_is_gone_is_open() -> None:
    world = world_of()
    world.drop(keys.calendar(BERLIN.id))
    assert isinstance(admit(world.snapshot, NUMBER, SHUT), Admitted)
