"""The calendar: windows on a place's clock, blackouts by whom they are for, errors that help."""

from __future__ import annotations

import datetime as dt

import pytest

from drills.schedule.calendar import Blackout, Calendar, Entry, upcoming, wrong_because

NIGHTLY = Entry(
    name="nightly",
    drill="site_killed",
    rule="30 2 * * *",
    zone="Europe/Berlin",
    minutes=60,
    made_ms=0,
)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def begins(entry: Entry, begin: str, end: str) -> list[str]:
    found = entry.windows(utc(begin), utc(end))
    return [each.begin.astimezone(dt.UTC).isoformat(timespec="minutes") for each in found]


def test_a_window_goes_by_the_clock_of_its_place_through_summer_time() -> None:
    winter = begins(NIGHTLY, "2027-01-10T00:00", "2027-01-11T00:00")
    summer = begins(NIGHTLY, "2027-07-10T00:00", "2027-07-11T00:00")
    assert winter == ["2027-01-10T01:30+00:00"]
    assert summer == ["2027-07-10T00:30+00:00"]


def test_an_hour_that_is_left_out_puts_a_window_after_it_and_one_that_comes_twice_counts_once() -> (
    None
):
    # 28 March 2027: 02:00 becomes 03:00. 31 October 2027: 03:00 becomes 02:00.
    assert begins(NIGHTLY, "2027-03-27T12:00", "2027-03-28T12:00") == ["2027-03-28T01:00+00:00"]
    assert len(begins(NIGHTLY, "2027-10-30T12:00", "2027-10-31T12:00")) == 1


def test_a_window_that_is_open_counts_as_the_next_one() -> None:
    window = NIGHTLY.next_after(utc("2027-01-10T02:00"))
    assert window is not None
    assert (window.begin, window.end) == (utc("2027-01-10T01:30"), utc("2027-01-10T02:30"))
    later = NIGHTLY.next_after(utc("2027-01-10T02:30"))
    assert later is not None
    assert later.begin == utc("2027-01-11T01:30")


def test_a_window_is_so_long_as_it_says_on_the_night_in_which_clocks_are_set() -> None:
    [window] = NIGHTLY.windows(utc("2027-10-30T12:00"), utc("2027-10-31T12:00"))
    assert window.end - window.begin.astimezone(dt.UTC) == dt.timedelta(minutes=60)


def test_a_window_of_the_night_in_which_an_hour_comes_twice_shows_its_blackout() -> None:
    # 31 October 2027: the window is from 02:30 CEST to 02:30 CET, by the same words.
    [window] = NIGHTLY.windows(utc("2027-10-30T12:00"), utc("2027-10-31T12:00"))
    backup = Blackout(name="backup", zone="Europe/Berlin", rule="45 2 * * *", minutes=40)
    calendar = Calendar(entries=(NIGHTLY,), blackouts=(backup,))
    sites = frozenset[str]()
    (told,) = calendar.blackouts_of(sites, window.begin, window.end, is_live=False)
    begin, end = (each.astimezone(dt.UTC) for each in (window.begin, window.end))
    assert (told,) == calendar.blackouts_of(sites, begin, end, is_live=False)


def test_a_rule_that_comes_only_in_many_years_has_no_window() -> None:
    never = Entry(name="n", drill="d", rule="0 0 * 2 MON#5", zone="UTC", minutes=5, made_ms=0)
    assert never.next_after(utc("2027-01-01T00:00")) is None
    assert upcoming((never, NIGHTLY), utc("2027-01-01T00:00"), 2)[0][1] is NIGHTLY


def test_windows_to_come_of_all_entries_are_in_order() -> None:
    hourly = Entry(name="h", drill="d", rule="15 * * * *", zone="UTC", minutes=5, made_ms=0)
    found = upcoming((NIGHTLY, hourly), utc("2027-01-10T00:30"), 4)
    assert [entry.name for _, entry in found] == ["h", "nightly", "h", "h"]


CHRISTMAS = Blackout(
    name="xmas", zone="Europe/Berlin", begins="2026-12-24T00:00", ends="2026-12-27T00:00"
)
OFFICE = Blackout(
    name="office", zone="America/New_York", rule="0 8 * * MON-FRI", minutes=600, scope="tenant:acme"
)
AT_B = Blackout(
    name="b moves", zone="UTC", begins="2026-11-30T00:00", ends="2026-12-01T00:00", scope="site:b"
)
CALENDAR = Calendar(entries=(NIGHTLY,), blackouts=(CHRISTMAS, OFFICE, AT_B))


def names(at: str, sites: frozenset[str] | None = None, *, is_live: bool = True) -> list[str]:
    begin = utc(at)
    told = CALENDAR.blackouts_of(sites, begin, begin + dt.timedelta(minutes=3), is_live=is_live)
    return [each.partition(" (")[0] for each in told]


def test_a_blackout_begins_and_ends_on_its_own_clock() -> None:
    assert names("2026-12-23T22:50", is_live=False) == []
    assert names("2026-12-23T22:58", is_live=False) == ["xmas"], "a drill that would reach into it"
    assert names("2026-12-26T22:59", is_live=False) == ["xmas"]
    assert names("2026-12-26T23:00", is_live=False) == []


def test_a_blackout_that_comes_again_and_again_is_named_once_with_its_last_end() -> None:
    always = Blackout(name="always", zone="UTC", rule="*/5 * * * *", minutes=15)
    begin = utc("2026-12-01T14:01")
    told = Calendar(blackouts=(always,)).blackouts_of(
        None, begin, begin + dt.timedelta(minutes=3), is_live=False
    )
    assert told == ("always (until 2026-12-01T14:15+00:00)",)


def test_a_tenants_office_hours_forbid_live_drills_and_not_those_in_a_lab() -> None:
    assert names("2026-12-01T14:00") == ["office"], "nine in the morning in New York"
    assert names("2026-12-01T14:00", is_live=False) == []
    assert names("2026-12-05T14:00") == [], "a Saturday"


def test_a_sites_blackout_is_for_drills_that_may_touch_it() -> None:
    at = "2026-11-30T05:00"
    assert names(at, frozenset({"b", "c"})) == ["b moves"]
    assert names(at, frozenset({"a"})) == []
    assert names(at, None) == ["b moves"], "whoever leads may be at b"


@pytest.mark.parametrize(
    ("zone", "begins", "ends", "first", "last"),
    [
        # Half past two comes twice there: at 00:30 and at 01:30.
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T06:00", "00:30", "05:00"),
        ("Europe/Berlin", "2026-10-24T22:00", "2026-10-25T02:30", "20:00", "01:30"),
        # And here never: at 01:00 two o'clock is three.
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T06:00", "00:30", "04:00"),
        ("Europe/Berlin", "2026-03-28T22:00", "2026-03-29T02:30", "21:00", "01:30"),
    ],
    ids=["begins_twice", "ends_twice", "begins_never", "ends_never"],
)
def test_a_blackout_is_as_long_as_its_words_can_mean_on_the_night_in_which_clocks_are_set(
    zone: str, begins: str, ends: str, first: str, last: str
) -> None:
    black = Blackout(name="audit", zone=zone, begins=begins, ends=ends)
    (span,) = black.spans(utc("2026-01-01"), utc("2027-01-01"))
    times = (span.begin.astimezone(dt.UTC), span.end.astimezone(dt.UTC))
    assert [f"{each:%H:%M}" for each in times] == [first, last]


@pytest.mark.parametrize(
    ("rule", "minutes", "zone", "held"),
    [
        # On 25 October at 01:00 UTC three o'clock is two again in Berlin.
        ("0 0 * * SUN", 1440, "Europe/Berlin", "24T22:00 25T23:00"),
        ("0 20 * * SAT", 720, "Europe/Berlin", "24T18:00 25T07:00"),
        ("30 2 * * *", 20, "Europe/Berlin", "25T00:30 25T01:50"),
        # What begins when it comes the second time is as long as it says.
        ("30 3 * * *", 60, "Europe/Berlin", "25T02:30 25T03:30"),
        ("0 1 * * SUN", 30, "Europe/Berlin", "24T23:00 24T23:30"),
    ],
)
def test_a_blackout_by_a_rule_holds_until_its_place_shows_its_end_for_the_last_time(
    rule: str, minutes: int, zone: str, held: str
) -> None:
    black = Blackout(name="b", zone=zone, rule=rule, minutes=minutes)
    (span,) = (
        each
        for each in black.spans(utc("2026-10-24T00:00"), utc("2026-10-26T00:00"))
        if each.begin.astimezone(dt.UTC) >= utc("2026-10-24T12:00")
        and each.begin.astimezone(dt.UTC) < utc("2026-10-25T12:00")
    )
    times = (span.begin.astimezone(dt.UTC), span.end.astimezone(dt.UTC))
    assert " ".join(f"{each:%dT%H:%M}" for each in times) == held
    last_minute = times[1] - dt.timedelta(minutes=1)
    assert any(black.spans(last_minute, times[1])), "also when nobody asks for the time before it"
    assert not any(black.spans(times[1], times[1] + dt.timedelta(minutes=1)))


def test_a_blackout_by_a_rule_is_never_shorter_than_it_says() -> None:
    # 29 March at 01:00 UTC: two o'clock is three.
    black = Blackout(name="b", zone="Europe/Berlin", rule="0 0 * * SUN", minutes=1440)
    (span,) = black.spans(utc("2026-03-29T12:00"), utc("2026-03-29T13:00"))
    assert span.end.astimezone(dt.UTC) - span.begin.astimezone(dt.UTC) == dt.timedelta(minutes=1440)


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (NIGHTLY, None),
        (CHRISTMAS, None),
        (OFFICE, None),
        (
            Entry(name="n", drill="d", rule="99 * * * *", zone="UTC", minutes=5, made_ms=0),
            "no cron",
        ),
        (Entry(name="n", drill="d", rule="", zone="UTC", minutes=5, made_ms=0), "no cron"),
        (Entry(name=" ", drill="d", rule="0 0 * * *", zone="UTC", minutes=5, made_ms=0), "a name"),
        (Entry(name="n", drill="d", rule="0 0 * * *", zone="Mars", minutes=5, made_ms=0), "Mars"),
        (Entry(name="n", drill="d", rule="0 0 * * *", zone="UTC", minutes=0, made_ms=0), "minutes"),
        (Blackout(name="b", zone="UTC", begins="x", ends="2026-12-24T00:00"), "no moment"),
        (Blackout(name="b", zone="UTC", begins="2026-12-24", ends="2026-12-23"), "after"),
        (
            Blackout(name="b", zone="UTC", begins="2026-12-24T00:00Z", ends="2026-12-25"),
            "offset",
        ),
        (
            Blackout(name="b", zone="UTC", begins="2026-12-24", ends="2026-12-25", scope="b"),
            "scope",
        ),
    ],
)
def test_what_makes_no_sense_is_told_with_the_way_out(
    thing: Entry | Blackout, told: str | None
) -> None:
    wrong = wrong_because(thing)
    assert (wrong is None) == (told is None)
    assert told is None or told in (wrong or "")
