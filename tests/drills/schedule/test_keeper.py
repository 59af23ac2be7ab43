"""The keeper: a drill begins in its window or not at all, once, and what was missed is told."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from drills.schedule.book import Book
from drills.schedule.calendar import MOST_WINDOWS, Blackout, Calendar, Entry
from drills.schedule.errors import CalendarError
from drills.schedule.keeper import NOBODY, Keeper
from drills.schedule.outcomes import Became, Ended, Outcome
from state.clock import ManualClock

ENTRY = Entry(
    name="nightly", drill="edge_killed", rule="30 2 * * *", zone="UTC", minutes=60, made_ms=0
)


class Starter:
    """Says no for as long as there is a reason, and dies in a drill if it is to."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.ends = Ended(became=Became.HELD, why="all held")
        self.begun: list[str] = []
        self.dies = False
        self.takes_s = 0.0
        self.clock: ManualClock | None = None

    async def waits_because(self, entry: Entry, calendar: Calendar) -> str | None:
        """Return the reason."""
        assert entry in calendar.entries
        return self.why

    async def carry_out(self, entry: Entry) -> Ended:
        """Note that it was begun."""
        self.begun.append(entry.drill)
        if self.dies:
            raise KeyboardInterrupt
        if self.clock is not None:
            self.clock.advance(self.takes_s)
        return self.ends


class Night:
    """A keeper, its clock, and what it told."""

    def __init__(self, home: Path, entry: Entry = ENTRY) -> None:
        self.book, self.starter, self.told = Book(home), Starter(), list[str]()
        self.clock = self.starter.clock = ManualClock()
        self.book.add(entry)
        self.keeper = self.another()

    def another(self) -> Keeper:
        """Return one that knows no more than the files."""
        return Keeper(self.book, self.starter, self.clock, self.told.append)

    async def turn(self, at: str) -> None:
        """Let it be so late, and look once."""
        moment = dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
        self.clock.advance(moment.timestamp() - self.clock.now().wall_ms / 1000)
        await self.keeper.turn()

    def last(self, entry: str) -> Became:
        """Return what became of an entry last."""
        return [each.became for each in self.book.outcomes() if each.entry == entry][-1]

    @property
    def became(self) -> list[tuple[str, Became]]:
        """Return what the log says."""
        return [(each.key, each.became) for each in self.book.outcomes()]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    made = Night(tmp_path)
    # The clock of tests begins somewhere: what passed before is no matter here.
    made.book.remove(ENTRY.name)
    moment = dt.datetime.fromisoformat("2027-06-01T00:00").replace(tzinfo=dt.UTC)
    made.book.add(
        Entry(
            name=ENTRY.name,
            drill=ENTRY.drill,
            rule=ENTRY.rule,
            zone=ENTRY.zone,
            minutes=ENTRY.minutes,
            made_ms=round(moment.timestamp() * 1000),
        )
    )
    return made


FIRST, SECOND = "nightly@2027-06-01T02:30+00:00", "nightly@2027-06-02T02:30+00:00"


async def test_a_drill_begins_in_its_window_and_once(night: Night) -> None:
    await night.turn("2027-06-01T02:29")
    assert night.starter.begun == []
    await night.turn("2027-06-01T02:31")
    await night.turn("2027-06-01T02:45")
    assert night.starter.begun == ["edge_killed"]
    assert night.became == [(FIRST, Became.BEGUN), (FIRST, Became.HELD)]
    await night.turn("2027-06-02T02:31")
    assert night.became[2:] == [(SECOND, Became.BEGUN), (SECOND, Became.HELD)]


async def test_one_that_did_not_hold_is_told_and_not_repeated(night: Night) -> None:
    night.starter.ends = Ended(became=Became.BROKEN, why="it did not hold")
    await night.turn("2027-06-01T02:31")
    await night.turn("2027-06-01T02:41")
    assert night.became[-1] == (FIRST, Became.BROKEN)
    assert night.starter.begun == ["edge_killed"]


async def test_one_that_did_not_come_to_its_beginning_is_no_failure_and_not_repeated(
    night: Night,
) -> None:
    night.starter.ends = Ended(became=Became.NOT_BEGUN, why="no steady state within 15 s")
    await night.turn("2027-06-01T02:31")
    await night.turn("2027-06-01T02:41")
    assert night.became == [(FIRST, Became.BEGUN), (FIRST, Became.NOT_BEGUN)]
    assert night.told[-1].endswith("not begun: no steady state within 15 s")


async def test_what_cannot_be_written_down_is_not_begun_and_the_calendar_is_kept_on(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Outcome) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(night.book, "note", full)
        for minute in (31, 32, 33):
            await night.turn(f"2027-06-01T02:{minute}")
    assert night.starter.begun == []
    (told,) = night.told
    assert "No space left" in told
    await night.turn("2027-06-01T02:41")
    assert night.became == [(FIRST, Became.BEGUN), (FIRST, Became.HELD)]


async def test_a_drill_that_may_not_begin_waits_in_its_window_and_says_why_once(
    night: Night,
) -> None:
    night.starter.why = "two people: nobody has approved it"
    for minute in (31, 41, 51):
        await night.turn(f"2027-06-01T02:{minute}")
    assert night.told == ["nightly waits: two people: nobody has approved it"]
    night.starter.why = None
    await night.turn("2027-06-01T03:10")
    assert night.became[-1] == (FIRST, Became.HELD)


async def test_a_window_that_passes_is_told_with_its_reason_and_not_caught_up(
    night: Night,
) -> None:
    night.starter.why = "no incident: edge a1 does not answer"
    await night.turn("2027-06-01T02:31")
    night.starter.why = None
    await night.turn("2027-06-01T03:31")
    assert night.starter.begun == []
    assert night.became == [(FIRST, Became.MISSED)]
    (outcome,) = night.book.outcomes()
    assert outcome.why == "no incident: edge a1 does not answer"
    await night.turn("2027-06-01T04:00")
    assert night.became == [(FIRST, Became.MISSED)], "told once"


async def test_what_passed_while_nobody_kept_the_calendar_is_told_one_by_one(night: Night) -> None:
    await night.turn("2027-06-03T12:00")
    assert night.starter.begun == []
    assert [became for _, became in night.became] == [Became.MISSED] * 3
    assert {each.why for each in night.book.outcomes()} == {NOBODY}


async def test_who_is_killed_in_a_drill_does_not_begin_it_again(night: Night) -> None:
    night.starter.dies = True
    with pytest.raises(KeyboardInterrupt):
        await night.turn("2027-06-01T02:31")
    night.keeper = night.another()
    night.starter.dies = False
    await night.turn("2027-06-01T02:35")
    assert night.starter.begun == ["edge_killed"]
    assert night.became == [(FIRST, Became.BEGUN)], "its end has not been seen, and that stays"


async def test_a_window_that_was_open_before_the_entry_was_made_does_not_count(
    tmp_path: Path,
) -> None:
    made = dt.datetime.fromisoformat("2027-06-01T02:40").replace(tzinfo=dt.UTC)
    late = Entry(
        name="late",
        drill="edge_killed",
        rule="30 2 * * *",
        zone="UTC",
        minutes=60,
        made_ms=round(made.timestamp() * 1000),
    )
    night = Night(tmp_path, late)
    await night.turn("2027-06-01T02:50")
    await night.turn("2027-06-01T05:00")
    assert night.became == []


async def test_a_window_that_closes_while_another_drill_goes_on_is_missed_for_that(
    night: Night,
) -> None:
    night.book.add(
        Entry(
            name="early", drill="site_killed", rule="25 2 * * *", zone="UTC", minutes=8, made_ms=0
        )
    )
    night.book.add(
        Entry(name="short", drill="keys_lost", rule="26 2 * * *", zone="UTC", minutes=8, made_ms=0)
    )
    night.starter.takes_s = 600.0
    await night.turn("2027-06-01T02:26")
    assert night.starter.begun == ["site_killed"]
    assert night.last("early") is Became.HELD
    await night.keeper.turn()  # ten minutes later
    assert night.starter.begun == ["site_killed", "edge_killed"], "one is open, one is over"
    (why,) = [each.why for each in night.book.outcomes() if each.became is Became.MISSED][-1:]
    assert why == "early was carried out then"
    assert night.last("short") is Became.MISSED


async def test_of_windows_every_hour_those_that_have_just_passed_are_told(tmp_path: Path) -> None:
    made = dt.datetime.fromisoformat("2027-06-01T00:10").replace(tzinfo=dt.UTC)
    hourly = Entry(
        name="hourly",
        drill="edge_killed",
        rule="0 * * * *",
        zone="UTC",
        minutes=5,
        made_ms=round(made.timestamp() * 1000),
    )
    night = Night(tmp_path, hourly)
    await night.turn("2027-06-01T01:30")
    assert night.became == [("hourly@2027-06-01T01:00+00:00", Became.MISSED)]
    await night.turn("2027-06-01T03:30")
    assert len(night.became) == 3
    # Nobody looked for a month: the newest are told, and not the oldest.
    night.keeper = night.another()
    await night.turn("2027-07-10T03:30")
    assert night.became[-1] == ("hourly@2027-07-10T03:00+00:00", Became.MISSED)
    assert len(night.became) == 3 + MOST_WINDOWS


@pytest.mark.parametrize(
    ("rule", "zone"), [("", "UTC"), ("99 * * * *", "UTC"), ("30 2 * * *", "Mars/Base")]
)
async def test_a_calendar_with_what_makes_no_sense_begins_nothing_and_names_it(
    night: Night, tmp_path: Path, rule: str, zone: str
) -> None:
    file = tmp_path / "calendar.json"
    found = json.loads(file.read_bytes())
    wrong = found["entries"][0] | {"name": "wrong", "rule": rule, "zone": zone}
    file.write_text(json.dumps(found | {"entries": [wrong]}))
    await night.turn("2027-06-01T02:31")
    await night.turn("2027-06-01T02:32")
    assert night.starter.begun == []
    (told,) = night.told
    assert "wrong: " in told
    assert "drill schedule remove wrong" in told
    night.book.remove("wrong")
    assert night.book.read() == Calendar()


async def test_a_damaged_calendar_begins_nothing_and_is_told_once(
    night: Night, tmp_path: Path
) -> None:
    (tmp_path / "calendar.json").write_text("{")
    await night.turn("2027-06-01T02:31")
    await night.turn("2027-06-01T02:32")
    assert night.starter.begun == []
    assert len(night.told) == 1
    assert "damaged" in night.told[0]


def test_names_are_taken_once_and_what_is_not_there_is_not_removed(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.add(ENTRY)
    with pytest.raises(CalendarError, match="already"):
        book.add(Blackout(name="nightly", zone="UTC", begins="2027-01-01", ends="2027-01-02"))
    with pytest.raises(CalendarError, match="there are: nightly"):
        book.remove("weekly")
    book.remove("nightly")
    assert book.read() == Calendar()


async def test_a_log_that_a_crash_cut_short_is_gone_on_with(night: Night, tmp_path: Path) -> None:
    await night.turn("2027-06-01T02:31")
    with (tmp_path / "calendar.log").open("ab") as file:
        file.write(b'{"key": "half')
    await night.turn("2027-06-02T02:31")
    assert night.became[-1] == (SECOND, Became.HELD)
    assert len(night.became) == 4


def test_one_keeper_keeps_a_calendar(tmp_path: Path) -> None:
    with Book(tmp_path).keeping() as first, Book(tmp_path).keeping() as second:
        assert (first, second) == (True, False)
