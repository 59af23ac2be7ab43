"""What forbids and stops a drill on sites that are up: in one place, wherever evidence is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.cli import drill_live, drill_starting
from drills.cli.drill_starting import Starting
from drills.cli.errors import Exit
from drills.drill.live import LiveGround
from drills.facts import Facts
from drills.lever import Lever
from drills.library import experiment_of
from drills.schedule.book import Book
from drills.schedule.calendar import Blackout, Entry
from drills.shelf import Shelf
from tests.drills.test_guards import LIVE

DRILL = experiment_of("site_killed")
ALWAYS = Blackout(name="always", zone="UTC", begins="2020-12-24T00:00", ends="2120-12-27T00:00")
ENTRY = Entry(
    name="monthly",
    drill="site_killed",
    rule="* * * * *",
    zone="UTC",
    minutes=5,
    made_ms=0,
    is_live=True,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one place; sites are up that are well, and nobody has approved anything."""

    async def facts(ground: LiveGround) -> tuple[Facts, str | None]:
        others = () if ground.is_alone else ("another",)
        found = replace(LIVE, permit=None, is_lever_pulled=ground.lever.is_pulled)
        return replace(found, other_drills=others, blackouts=ground.blackouts()), "a"

    async def approval(*_: object) -> None:
        return None

    place = tmp_path / "home"
    monkeypatch.setattr(drill_live, "HOME", place)
    monkeypatch.setattr(drill_starting, "HOME", place)
    monkeypatch.setattr(drill_live, "_facts", facts)
    monkeypatch.setattr(drill_live, "_approval", approval)
    return place


def forbidden(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return which guards forbid the drill, though it were really begun; and the calendar's."""
    assert drill_live.run_live(DRILL, shelf, really=False) == Exit.FAILED
    said = capsys.readouterr().out.splitlines()
    marked = (line.removeprefix("FORBIDS it ") for line in said if line.startswith("FORBIDS"))
    return {line.partition(":")[0] for line in marked}


def test_evidence_that_is_kept_elsewhere_evades_neither_lever_nor_calendar_nor_lock(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Shelf(tmp_path / "elsewhere")
    assert forbidden(elsewhere, capsys) == {"two people"}
    Lever(home).pull()
    assert forbidden(elsewhere, capsys) == {"safety lever", "two people"}
    Lever(home).release()
    Book(home).add(ALWAYS)
    assert forbidden(elsewhere, capsys) == {"calendar", "two people"}
    Book(home).remove("always")
    with Lever(home).running():
        assert forbidden(elsewhere, capsys) == {"no other drill", "two people"}


def test_what_lies_beside_the_evidence_is_for_drills_in_labs(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Shelf(tmp_path / "elsewhere")
    Lever(elsewhere.home).pull()
    assert forbidden(elsewhere, capsys) == {"two people"}
    assert home.exists()


async def test_a_calendar_of_its_own_keeps_to_the_one_place_where_sites_are_up(
    tmp_path: Path, home: Path
) -> None:
    own = Book(tmp_path / "own")
    starting = Starting(tmp_path / "own")
    allowed = await starting.waits_because(ENTRY, own.read())
    assert allowed is not None
    assert allowed.startswith("two people: ")
    Lever(home).pull()
    assert await starting.waits_because(ENTRY, own.read()) == "the safety lever is pulled"
    in_a_lab = replace(ENTRY, is_live=False)
    assert await starting.waits_because(in_a_lab, own.read()) is None
    Lever(home).release()
    with Lever(home).running():
        assert await starting.waits_because(ENTRY, own.read()) == "another drill runs"
    Book(home).add(ALWAYS)
    assert "calendar" in str(await starting.waits_because(ENTRY, own.read()))
