"""`./everline drill schedule`: what it takes, what it refuses, and how it begins a drill."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.cli import drill_schedule
from drills.cli.drill_schedule import add, blackout
from drills.cli.drill_starting import Starting
from drills.cli.errors import CommandError, Exit
from drills.course import End
from drills.library import FOLDER
from drills.schedule.book import Book
from drills.schedule.calendar import Entry
from drills.schedule.outcomes import Became, Ended
from drills.shelf import Shelf
from tests.drills.pieces import EXPERIMENT, FILES, PERMIT, piece

BROUGHT = "20261130-090000-site_killed"


def test_only_reviewed_drills_can_be_in_the_calendar(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    text = (FOLDER / "site_killed.toml").read_text().replace('"site_killed"', '"mine"')
    mine.write_text(text)
    with pytest.raises(CommandError, match="none of the reviewed drills") as error:
        add("weekly", str(mine), at="0 3 * * *", keep=tmp_path)
    assert error.value.code is Exit.USAGE
    assert add("weekly", "site_killed", at="0 3 * * *", keep=tmp_path) == Exit.OK
    assert Book(tmp_path).read().names == ("weekly",)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"from_": "2026-12-24T00:00"},
        {"at": "0 8 * * *"},
        {"at": "0 8 * * *", "within": 60, "from_": "2026-12-24T00:00"},
        {"from_": "2026-12-24T00:00", "until": "2026-12-25T00:00", "within": 60},
        {"from_": "2026-12-24T00:00", "until": "2026-12-25T00:00", "at": "0 8 * * *"},
        {"within": 60},
    ],
    ids=str,
)
def test_a_blackout_is_made_in_one_of_two_ways_and_not_in_half_of_each(
    tmp_path: Path, said: dict[str, str | int]
) -> None:
    with pytest.raises(CommandError, match="--at and --within"):
        blackout("x", keep=tmp_path, **said)  # type: ignore[arg-type]
    assert Book(tmp_path).read().blackouts == ()


@pytest.mark.parametrize(
    ("end", "became", "why"),
    [
        (End.NOT_STEADY, Became.NOT_BEGUN, "no steady state within 15 s"),
        (End.REFUSED, Became.NOT_BEGUN, "no steady state within 15 s"),
        (End.ABORTED, Became.STOPPED, "the safety lever was pulled"),
        (End.ABORTED, Became.STOPPED, "an operator aborted it"),
        (End.NOT_BACK, Became.BROKEN, f"it did not hold: ./everline drill report {BROUGHT}"),
        (None, Became.BROKEN, "it brought no evidence (exit code 1): schedule run has said why"),
    ],
)
async def test_what_was_not_begun_or_was_stopped_is_not_told_as_broken(
    end: End | None,
    became: Became,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(piece("20261130-080000-site_killed"), FILES, "page")
    begin = asyncio.create_subprocess_exec

    async def drill(*_: str, **__: object) -> asyncio.subprocess.Process:
        if end is not None:
            brought = piece(BROUGHT, shelf.last_hash())
            shelf.put(replace(brought, end=end, why=why), FILES, "page")
        return await begin("false")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", drill)
    name = EXPERIMENT.name
    entry = Entry(name="x", drill=name, rule="* * * * *", zone="UTC", minutes=5, made_ms=0)
    assert await Starting(tmp_path).carry_out(entry) == Ended(became=became, why=why)


async def test_a_live_drill_of_which_little_could_be_judged_is_not_told_as_held_in_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.create_subprocess_exec

    async def drill(*_: str, **__: object) -> asyncio.subprocess.Process:
        brought = replace(piece(BROUGHT), approvals=(PERMIT,), unjudged=("a <= 1", "b <= 2"))
        Shelf(tmp_path).put(brought, FILES, "page")
        return await begin("true")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", drill)
    entry = Entry(name="x", drill="site_killed", rule="* * * * *", zone="UTC", minutes=5, made_ms=0)
    why = "held in part: 1 of 3 judged"
    assert await Starting(tmp_path).carry_out(entry) == Ended(became=Became.HELD, why=why)


AT = "2030-01-07T03:00:00+00:00"


def next_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Return the names of the blackouts of the next window, in a folder of one's own."""
    now = dt.datetime.fromisoformat(AT)
    monkeypatch.setattr(drill_schedule, "_now", lambda: now)
    monkeypatch.setattr(drill_schedule, "HOME", tmp_path / "theirs")
    capsys.readouterr()
    drill_schedule.next_(count=1, json=True, keep=tmp_path / "own")
    (window,) = json.loads(capsys.readouterr().out)
    return [each.partition(" (")[0] for each in window["blackouts"]]


@pytest.mark.parametrize("is_live", [True, False])
def test_next_tells_of_the_blackouts_that_would_hold_the_drill_back_and_of_no_others(
    *,
    is_live: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    # It names the sites that it touches: a, b and c.
    add("weekly", "control_plane_lost", at="0 4 * * *", within=10, live=is_live, keep=own)
    for home, name, scope in (
        (own, "at d", "site:d"),
        (own, "at b", "site:b"),
        (theirs, "theirs", "all"),
    ):
        on = {"from_": "2030-01-07T00:00", "until": "2030-01-08T00:00", "scope": scope}
        blackout(name, keep=home, **on)  # type: ignore[arg-type]
    told = next_of(tmp_path, monkeypatch, capsys)
    assert told == (["at b", "theirs"] if is_live else [])


def test_next_tells_of_a_blackout_into_which_a_drill_would_run_that_begins_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    add("weekly", "edge_killed", at="0 4 * * *", within=10, keep=own)
    blackout("soon", from_="2030-01-07T04:11", until="2030-01-07T05:00", keep=own)
    blackout("later", from_="2030-01-07T04:20", until="2030-01-07T05:00", keep=own)
    assert next_of(tmp_path, monkeypatch, capsys) == ["soon"]


def test_next_tells_of_every_blackout_of_a_drill_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    gone = Entry(
        name="x", drill="gone", rule="0 4 * * *", zone="UTC", minutes=10, made_ms=0, is_live=True
    )
    Book(own).add(gone)
    blackout("b", from_="2030-01-07T04:09", until="2030-01-08T00:00", scope="site:b", keep=own)
    assert next_of(tmp_path, monkeypatch, capsys) == ["b"]


async def test_ctrl_c_reaches_a_drill_of_the_calendar_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[tuple[str, ...], dict[str, object]]] = []
    begin = asyncio.create_subprocess_exec

    async def spy(*program: str, **more: object) -> asyncio.subprocess.Process:
        begun.append((program, more))
        return await begin("true")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    entry = Entry(name="x", drill="edge_killed", rule="* * * * *", zone="UTC", minutes=5, made_ms=0)
    assert (await Starting(tmp_path).carry_out(entry)).became is Became.HELD
    ((program, more),) = begun
    assert program[: program.index(sys.executable)] == ("setpriv", "--pdeathsig", "INT", "--")
    assert more["start_new_session"] is True
