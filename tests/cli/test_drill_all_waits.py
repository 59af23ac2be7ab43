"""A series in which some drills ask for a machine with time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from drills.cli import drill_all
from drills.cli.drill_all import all_
from drills.cli.drill_labs import SideBySide
from drills.cli.errors import Exit
from drills.course import End
from drills.drill.__main__ import Options
from drills.due import Due
from drills.lab import enter
from drills.lacks import MOST_TRIES, Lacks
from drills.shelf import Shelf
from tests.drills.pieces import FILES, piece

ASKS = ("keys_lost", "store_lost")
TOLD = "it asks for runnable_per_core <= 6; not there within 60 s: runnable_per_core was 8.0 to 9.5"


@pytest.fixture(autouse=True)
def everything_is_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pytest have its folders wherever it likes: no lab comes up here."""
    monkeypatch.setattr(enter, "COVERED", ())


def put(shelf: Shelf, due: Due, *, is_begun: bool) -> str:
    """Put evidence of a drill on the shelf; of one that lacked time, if it was not begun."""
    with shelf.adding(due.experiment.name) as (run, previous):
        evidence = replace(
            piece(run, previous),
            experiment=due.experiment,
            plan_hash=due.experiment.plan_hash,
            seed=due.seed,
        )
        if not is_begun:
            _, _, why = TOLD.partition("; ")
            looks = ((0.0, {"runnable_per_core": 9.5}), (60.0, {"runnable_per_core": 8.0}))
            evidence = replace(evidence, end=End.NOT_STEADY, why=why, looks=looks, judgements=())
        shelf.put(evidence, FILES, "page")
        return run


class Busy:
    """Labs on a machine that has time by turns: one word for each drill that asks for it."""

    def __init__(self, has_time: Iterator[bool]) -> None:
        self._has_time = has_time
        self.labs: list[list[str]] = []

    def run_some(
        self, due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
    ) -> tuple[int, list[str]]:
        """Carry out what there is time for; skip, as a lab does, what is put back."""
        assert begin_within_s is None
        lacks, found = Lacks(), []
        self.labs.append([])
        for each in due:
            if lacks.puts_back(each.experiment):
                continue
            is_begun = not each.is_alone or next(self._has_time)
            found.append(put(shelf, each, is_begun=is_begun))
            lacks.take(shelf.read(found[-1]))
            self.labs[-1].append(f"{each.experiment.name} {each.seed}{'' if is_begun else ' not'}")
        return Exit.OK, found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "drills.json"


def drilled(busy: Busy, monkeypatch: pytest.MonkeyPatch, file: Path) -> int:
    monkeypatch.setattr(drill_all, "run_some", busy.run_some)
    return all_((*ASKS, "link_flaps"), json=file, repeats=2, keep=file.parent / "kept")


def test_what_lacks_time_is_put_back_with_all_that_ask_for_as_much_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = Busy(iter([False, False, True, True, True, True]))
    assert drilled(busy, monkeypatch, file) == Exit.OK
    assert busy.labs == [
        ["link_flaps 1"],
        ["keys_lost 1 not"],
        ["link_flaps 2"],
        ["keys_lost 1 not"],
        ["keys_lost 1", "store_lost 1", "keys_lost 2", "store_lost 2"],
    ]
    written = json.loads(file.read_bytes())
    assert (written["total"]["done"], written["total"]["held"]) == (6, 6)
    assert written["scenarios"]["keys_lost"]["not_begun"] == 0, "it was, in the end"
    assert "Not begun" not in capsys.readouterr().out


def test_after_three_waits_in_vain_the_series_ends_and_tells_what_there_was(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    never = Busy(iter([False] * MOST_TRIES))
    assert drilled(never, monkeypatch, file) == Exit.OK, "what was begun has held"
    said = capsys.readouterr()
    told = " ".join(said.out.split())
    assert f"keys_lost, 2 runs: {TOLD}" in told
    assert f"store_lost, 2 runs: {TOLD}" in told, "it was not even waited for"
    assert "drill all: 4 runs are left" in said.err
    written = json.loads(file.read_bytes())
    keys = written["scenarios"]["keys_lost"]
    assert (keys["runs"], keys["failed"], keys["not_begun"]) == (0, 0, 1)
    lacked = [each for each in written["runs"] if each["lacked"]]
    assert [each["drill"] for each in lacked] == ["keys_lost"]
    assert lacked[0]["lacked"] == [{"figure": "runnable_per_core", "at_most": 6.0}]
    assert lacked[0]["why"] == TOLD.partition("; ")[2]
    later = Busy(iter([True] * 4))
    assert drilled(later, monkeypatch, file) == Exit.OK, "it goes on, and asks again"
    assert json.loads(file.read_bytes())["total"]["done"] == 6


def test_of_a_killed_command_what_was_begun_on_a_later_try_is_not_done_again(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    class Killed(BaseException):
        pass

    def killed(due: Sequence[Due], shelf: Shelf, _: float | None) -> tuple[int, list[str]]:
        for is_begun in (False, True):
            put(shelf, due[0], is_begun=is_begun)
        raise Killed

    monkeypatch.setattr(drill_all, "run_some", killed)
    kept = file.parent / "kept"
    with pytest.raises(Killed):
        all_(("keys_lost",), json=file, repeats=1, keep=kept)
    nothing = Busy(iter([]))
    monkeypatch.setattr(drill_all, "run_some", nothing.run_some)
    assert all_(("keys_lost",), json=file, repeats=1, keep=kept) == Exit.OK
    assert nothing.labs == []


def test_of_labs_side_by_side_one_alone_does_what_asks_for_time(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    up: dict[str, bool] = {}
    seen: list[tuple[str, bool]] = []
    guard, both = threading.Lock(), threading.Barrier(2, timeout=60)
    names = ("link_flaps", "site_killed", *ASKS)

    def hold(_: SideBySide, lab: str, text: str) -> int:
        options = msgspec.json.decode(text, type=Options)
        is_alone = options.due[0].is_alone
        with guard:
            assert not any(up.values()), "one that asks for time is not alone"
            assert not (is_alone and up), "it has to wait for the others"
            up[lab] = is_alone
            seen.extend((each.experiment.name, is_alone) for each in options.due)
        if len(seen) <= 2:
            both.wait()
        for each in options.due:
            put(Shelf(Path(options.home)), each, is_begun=True)
        with guard:
            del up[lab]
        return Exit.OK

    monkeypatch.setattr(SideBySide, "_hold", hold)
    assert all_(names, json=file, repeats=3, labs=2, keep=file.parent / "kept") == Exit.OK
    assert len(seen) == 12
    assert {name for name, is_alone in seen if is_alone} == set(ASKS)
    written = json.loads(file.read_bytes())
    assert (written["total"]["done"], written["total"]["held"]) == (12, 12)
