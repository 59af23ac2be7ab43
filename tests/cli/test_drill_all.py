"""A series of drills: as many labs as it takes, going on where it stopped."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from drills.beginning import Beginning
from drills.cli import drill_all, drill_labs
from drills.cli.drill_all import all_
from drills.cli.drill_all_file import taken_up
from drills.cli.drill_labs import SideBySide
from drills.cli.errors import CommandError, Exit
from drills.course import ASKED, PULLED, End
from drills.drill.__main__ import Options
from drills.due import Due, still_to_do
from drills.figures_file import write_figures
from drills.lab import enter
from drills.lever import Lever
from drills.library import experiment_of
from drills.shelf import Shelf
from drills.tally import Tally, done
from state.clock import SystemClock
from tests.drills.pieces import FILES, piece

CARRIED_OUT = "the method was carried out"


@pytest.fixture(autouse=True)
def everything_is_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pytest have its folders wherever it likes: no lab comes up here."""
    monkeypatch.setattr(enter, "COVERED", ())


class Labs:
    """Carries out so many drills in each lab that comes up."""

    def __init__(
        self, *holds: int, end: End = End.COMPLETED, why: str = CARRIED_OUT, code: str = ""
    ) -> None:
        self._holds = list(holds)
        self._end = end
        self._why = why
        self._code = code
        self.asked: list[list[tuple[str, int]]] = []

    def run_some(
        self, due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
    ) -> tuple[int, list[str]]:
        """Put evidence of the first of them on the shelf."""
        assert begin_within_s is None or begin_within_s > 0
        self.asked.append([(each.experiment.name, each.seed) for each in due])
        found = []
        for each in due[: self._holds.pop(0)]:
            run = f"r{len(shelf.runs()):03}"
            evidence = replace(
                piece(run, shelf.last_hash()),
                experiment=each.experiment,
                plan_hash=each.experiment.plan_hash,
                seed=each.seed,
                end=self._end,
                why=self._why,
                code=self._code,
            )
            shelf.put(evidence, FILES, "page")
            found.append(run)
        return Exit.OK, found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "drills.json"


def asked(
    labs: Labs,
    monkeypatch: pytest.MonkeyPatch,
    file: Path,
    *,
    minutes: float | None = None,
    same_code: bool = False,
) -> int:
    monkeypatch.setattr(drill_all, "run_some", labs.run_some)
    names = ("site_killed", "link_flaps")
    kept = file.parent / "kept"
    return all_(names, json=file, repeats=2, minutes=minutes, same_code=same_code, keep=kept)


def test_a_lab_that_is_given_up_is_followed_by_another_until_all_is_done(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    labs = Labs(1, 3)
    assert asked(labs, monkeypatch, file) == Exit.OK
    first, second = labs.asked
    assert first == [("site_killed", 1), ("link_flaps", 1), ("site_killed", 2), ("link_flaps", 2)]
    assert second == first[1:]
    written = json.loads(file.read_bytes())
    assert {name: each["runs"] for name, each in written["scenarios"].items()} == {
        "site_killed": 2,
        "link_flaps": 2,
    }
    assert written["evidence"]["tamper_found"]
    again = Labs()
    assert asked(again, monkeypatch, file) == Exit.OK
    assert again.asked == []


def test_the_hash_to_keep_is_told_at_the_end_and_is_in_the_file(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(Labs(4), monkeypatch, file) == Exit.OK
    head = Shelf(file.parent / "kept").head()
    said = capsys.readouterr().out
    assert said.endswith(f"last hash of the chain ({head.run}):\n  {head.hash}\n")
    written = json.loads(file.read_bytes())["evidence"]
    assert (written["head_run"], written["head_hash"]) == (head.run, head.hash)


def test_a_run_that_was_worse_than_those_before_it_is_told_and_is_in_the_file(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took_s = iter([0.5, 0.6, 0.5, 4.9])

    def run_some(due: Sequence[Due], shelf: Shelf, *_: object) -> tuple[int, list[str]]:
        found = []
        for each in due:
            with shelf.adding(each.experiment.name) as (run, previous):
                evidence = replace(piece(run, previous, rto_s=next(took_s)), seed=each.seed)
                shelf.put(evidence, FILES, "page")
            found.append(run)
        return Exit.OK, found

    monkeypatch.setattr(drill_all, "run_some", run_some)
    kept = file.parent / "kept"
    assert all_(("site_killed",), json=file, repeats=4, keep=kept) == Exit.OK, "all held"
    said, told = capsys.readouterr(), "calls are set up again (rto_s): 4.9 s now, 0.5 s before"
    assert said.err.count("worse than before") == 1
    assert f"drill all: worse than before: {told}" in said.err
    last = Shelf(kept).runs()[-1]
    assert f"which alone is no failure: {last}" in " ".join(said.out.split())
    worse = [each["worse"] for each in json.loads(file.read_bytes())["runs"]]
    assert worse[:3] == [[], [], []]
    assert worse[3][0].startswith(told)


def test_when_the_time_is_over_the_file_has_what_was_done_and_the_rest_is_left(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert asked(Labs(), monkeypatch, file, minutes=0.0) == Exit.FAILED  # nothing was shown
    late = Labs(4)
    assert asked(late, monkeypatch, file, minutes=5.0) == Exit.OK
    written = json.loads(file.read_bytes())
    assert len(written["runs"]) == 4
    assert (written["total"]["due"], written["total"]["done"]) == (4, 4)


def test_a_lab_that_does_not_come_up_is_counted_and_no_drill_has_failed_by_it(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert asked(Labs(0, 4), monkeypatch, file) == Exit.OK
    written = json.loads(file.read_bytes())
    assert (written["total"]["labs_lost"], written["total"]["held"]) == (1, 4)


def test_what_is_left_is_told_and_the_file_names_every_drill(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="no drill brings evidence"):
        asked(Labs(1, 0, 0, 0), monkeypatch, file)
    assert "drill all: 1 of 4 runs, 0 broken; about" in capsys.readouterr().err
    written = json.loads(file.read_bytes())
    assert written["scenarios"]["link_flaps"]["runs"] == 0


def test_what_was_not_begun_has_not_failed_and_is_due_again_the_next_time(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(Labs(4, end=End.NOT_STEADY), monkeypatch, file) == Exit.FAILED, "nothing was shown"
    said = capsys.readouterr()
    assert "site_killed, 1: NOT BEGUN" in said.err
    assert "drill all: 4 runs are left" in said.err
    assert "Not begun, or stopped or interrupted, which is no failure, and due again:" in said.out
    assert "site_killed, 2 runs: the method was carried out" in said.out
    written = json.loads(file.read_bytes())
    assert (written["total"]["done"], written["total"]["due"]) == (0, 4)
    killed = written["scenarios"]["site_killed"]
    assert (killed["runs"], killed["failed"], killed["not_begun"]) == (0, 0, 2)
    again = Labs(4)
    assert asked(again, monkeypatch, file) == Exit.OK
    assert len(again.asked[0]) == 4
    assert json.loads(file.read_bytes())["total"]["done"] == 4


@pytest.mark.parametrize("why", [PULLED, ASKED])
def test_what_somebody_stopped_has_not_failed_and_is_due_again_the_next_time(
    why: str, monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = Labs(1, 3, end=End.ABORTED, why=why)
    assert asked(stopped, monkeypatch, file) == Exit.FAILED, "nothing was shown"
    assert [len(each) for each in stopped.asked] == [4, 3], "not again at once"
    said = capsys.readouterr()
    assert "site_killed, 1: STOPPED" in said.err
    assert f"site_killed, 2 runs: {why}" in said.out
    written = json.loads(file.read_bytes())
    assert (written["total"]["done"], written["total"]["due"]) == (0, 4)
    killed = written["scenarios"]["site_killed"]
    assert (killed["runs"], killed["failed"], killed["stopped"]) == (0, 0, 2)
    again = Labs(4)
    assert asked(again, monkeypatch, file) == Exit.OK
    assert len(again.asked[0]) == 4
    written = json.loads(file.read_bytes())
    assert written["total"]["held"] == 4
    killed = written["scenarios"]["site_killed"]
    assert (killed["runs"], killed["stopped"]) == (2, 2), "they stay in the figures"
    said = capsys.readouterr()
    assert "Stopped or interrupted, and done again since" in said.out
    assert f"r000: {why}" in said.out
    assert "due again" not in said.out
    assert [each["run"] for each in written["runs"]][:4] == ["r000", "r001", "r002", "r003"]


def test_every_run_that_was_stopped_stays_in_the_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    for _ in range(2):
        stopped = Labs(4, end=End.ABORTED, why=ASKED)
        assert asked(stopped, monkeypatch, file) == Exit.FAILED
    written = json.loads(file.read_bytes())
    assert written["scenarios"]["site_killed"]["stopped"] == 4
    assert len(written["runs"]) == 8


def test_what_was_interrupted_is_told_is_due_again_and_stays_in_the_file(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(Labs):
        def run_some(
            self, due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
        ) -> tuple[int, list[str]]:
            _, found = super().run_some(due, shelf, begin_within_s)
            begun = Beginning(shelf, due[1].experiment, due[1].seed, SystemClock())
            asyncio.run(begun.note())
            return Exit.INTERRUPTED, found

    kept = file.parent / "kept"
    assert asked(Interrupted(1), monkeypatch, file) == Exit.INTERRUPTED
    assert "link_flaps, 1: INTERRUPTED" in capsys.readouterr().err
    (lost,) = Shelf(kept).unended()
    flaps = json.loads(file.read_bytes())["scenarios"]["link_flaps"]
    assert (flaps["runs"], flaps["failed"], flaps["interrupted"]) == (0, 0, 1)
    # Killed before it could write that down, it finds it when it is called again.
    written = json.loads(file.read_bytes())
    written["runs"] = written["runs"][:1]
    file.write_text(json.dumps(written))
    wanted = [experiment_of("link_flaps")]
    with Lever(kept).running():
        runs = taken_up(file, Shelf(kept), wanted, "").runs
        assert [each.end for each in runs] == [End.COMPLETED], "another command's may still end"
    rest = Labs(3)
    assert asked(rest, monkeypatch, file) == Exit.OK
    assert ("link_flaps", 1) in rest.asked[0]
    assert f"{lost.run}: it was begun, and nobody lived" in " ".join(
        capsys.readouterr().out.split()
    )
    flaps = json.loads(file.read_bytes())["scenarios"]["link_flaps"]
    assert (flaps["runs"], flaps["interrupted"]) == (2, 1)
    assert asked(Labs(), monkeypatch, file) == Exit.OK, "and is counted once"
    assert json.loads(file.read_bytes())["scenarios"]["link_flaps"]["interrupted"] == 1


def test_what_a_killed_command_had_brought_is_not_done_again(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    shelf = Shelf(file.parent / "kept")
    due = list(still_to_do([experiment_of("site_killed"), experiment_of("link_flaps")], [], 2))
    Labs(1).run_some(due, shelf)  # by somebody, before the series
    assert asked(Labs(), monkeypatch, file, minutes=0.0) == Exit.FAILED
    Labs(2).run_some(due, shelf)  # of the series, whose command is killed in its first lab
    rest = Labs(2)
    assert asked(rest, monkeypatch, file) == Exit.OK
    assert rest.asked == [[("site_killed", 2), ("link_flaps", 2)]]


def test_what_a_lab_had_brought_before_another_one_ended_is_not_done_again(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    wanted = [experiment_of("site_killed"), experiment_of("link_flaps")]
    shelf, due = Shelf(file.parent / "kept"), list(still_to_do(wanted, [], 2))
    assert asked(Labs(), monkeypatch, file, minutes=0.0) == Exit.FAILED
    Labs(2).run_some(due, shelf)  # by a lab that still stood when the command was killed
    _, ended = Labs(1).run_some(due[2:], shelf)  # by one that was down, and is in the file
    before = msgspec.json.decode(file.read_bytes(), type=Tally)
    write_figures(file, replace(before, runs=(done(shelf.read(ended[0])),)))
    rest = Labs(1)
    assert asked(rest, monkeypatch, file) == Exit.OK
    assert rest.asked == [[(due[3].experiment.name, due[3].seed)]]


def test_evidence_that_does_not_stand_is_told_of_and_keeps_no_series_from_going_on(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(file.parent / "kept")
    due = list(still_to_do([experiment_of("site_killed"), experiment_of("link_flaps")], [], 2))
    assert asked(Labs(), monkeypatch, file, minutes=0.0) == Exit.FAILED
    Labs(2).run_some(due, shelf)
    (shelf.folder("r000") / "callers.pcap").unlink()
    rest = Labs(3)
    assert asked(rest, monkeypatch, file) == Exit.OK
    assert rest.asked[0][0] == ("site_killed", 1), "that one is done again"
    assert "the evidence of r000 does not count: callers.pcap is missing" in capsys.readouterr().err
    shutil.rmtree(shelf.folder("r001"))
    assert asked(Labs(), monkeypatch, file) == Exit.FAILED, "nobody can see it any more"
    said = capsys.readouterr()
    assert "Evidence that does not stand, of 1 of these runs:\n  r001: it is not here" in said.out
    written = json.loads(file.read_bytes())
    assert written["evidence"]["fallen"] == {"r001": "it is not here"}
    assert (written["total"]["done"], written["total"]["held"]) == (4, 4), (
        "what was judged stays so"
    )


def test_a_run_whose_evidence_was_changed_since_is_told_and_the_others_are_tried(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(Labs(4), monkeypatch, file) == Exit.OK
    shelf = Shelf(file.parent / "kept")
    (shelf.folder("r002") / "callers.pcap").write_bytes(b"others")
    assert asked(Labs(), monkeypatch, file) == Exit.FAILED
    assert "r002: callers.pcap is not the file that was kept" in capsys.readouterr().out
    written = json.loads(file.read_bytes())["evidence"]
    assert (written["tamper_found"], set(written["fallen"])) == (True, {"r002"})


def test_a_file_belongs_to_the_folder_that_keeps_its_runs(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert asked(Labs(4), monkeypatch, file) == Exit.OK
    before = file.read_bytes()
    monkeypatch.setattr(drill_all, "run_some", Labs().run_some)
    names, other = ("site_killed", "link_flaps"), file.parent / "other"
    with pytest.raises(CommandError, match="is of a folder whose key is SHA256:") as refused:
        all_(names, json=file, repeats=2, keep=other)
    assert refused.value.code == Exit.USAGE
    assert file.read_bytes() == before


def test_a_file_of_an_earlier_version_is_gone_on_with_where_its_runs_are(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert asked(Labs(4), monkeypatch, file) == Exit.OK
    old = json.loads(file.read_bytes())
    key = old["total"].pop("key")
    del old["evidence"]["fallen"]
    file.write_text(json.dumps(old))
    monkeypatch.setattr(drill_all, "run_some", Labs().run_some)
    with pytest.raises(CommandError, match="has none of its 4 runs"):
        all_(("site_killed", "link_flaps"), json=file, repeats=2, keep=file.parent / "other")
    assert asked(Labs(), monkeypatch, file) == Exit.OK
    assert json.loads(file.read_bytes())["total"]["key"] == key


def test_one_command_at_a_time_goes_on_with_a_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    other_name = file.parent / "link.json"
    other_name.symlink_to(file)

    class Another(Labs):
        def run_some(
            self, due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
        ) -> tuple[int, list[str]]:
            with pytest.raises(CommandError, match="drill all goes on with"):
                all_(("site_killed",), json=other_name, keep=file.parent / "other")
            return super().run_some(due, shelf, begin_within_s)

    assert asked(Another(4), monkeypatch, file) == Exit.OK
    assert asked(Labs(), monkeypatch, file) == Exit.OK, "whoever is done lets others"
    with pytest.raises(CommandError, match="there is no such folder"):
        all_(("site_killed",), json=file.parent / "no" / "x.json", keep=file.parent / "other")
    assert not (file.parent / "no").exists()


def test_runs_of_other_code_are_told_and_done_again_only_if_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drill_all, "digest", lambda *_: "new")
    labs = Labs(2, 2, code="old")
    with suppress(IndexError):
        asked(labs, monkeypatch, file)
    assert asked(Labs(), monkeypatch, file) == Exit.OK, "nothing is left"
    asked_again = Labs(4, code="new")
    assert asked(asked_again, monkeypatch, file, same_code=True) == Exit.OK
    assert len(asked_again.asked[0]) == 4
    assert "4 runs of" in capsys.readouterr().err
    assert json.loads(file.read_bytes())["total"]["codes"] == {"new": 4}


def test_what_a_killed_command_had_done_again_with_this_code_is_not_done_a_third_time(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setattr(drill_all, "digest", lambda *_: "new")
    assert asked(Labs(4, code="old"), monkeypatch, file) == Exit.OK

    class Killed(Labs):
        def run_some(
            self, due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
        ) -> tuple[int, list[str]]:
            super().run_some(due, shelf, begin_within_s)
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        asked(Killed(3, code="new"), monkeypatch, file, same_code=True)
    rest = Labs(1, code="new")
    assert asked(rest, monkeypatch, file, same_code=True) == Exit.OK
    assert [len(each) for each in rest.asked] == [1]
    assert json.loads(file.read_bytes())["total"]["codes"] == {"new": 4}


def test_labs_that_bring_nothing_are_given_up_after_three(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    labs = Labs(1, 0, 0, 0)
    with pytest.raises(CommandError, match="no drill brings evidence"):
        asked(labs, monkeypatch, file)
    assert len(json.loads(file.read_bytes())["runs"]) == 1


def test_once_the_lever_is_pulled_no_further_lab_is_brought_up_until_it_is_released(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand = Lever(file.parent / "kept")

    class Pulled(Labs):
        def run_some(
            self, due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
        ) -> tuple[int, list[str]]:
            hand.pull()
            return super().run_some(due, shelf, begin_within_s)

    first = Pulled(1, 1)
    assert asked(first, monkeypatch, file) == Exit.OK, "what was done held"
    assert len(first.asked) == 1
    told = capsys.readouterr().err
    assert "drill lever release" in told
    assert "3 runs are left" in told
    assert asked(Labs(), monkeypatch, file) == Exit.OK
    hand.release()
    then = Labs(3)
    assert asked(then, monkeypatch, file) == Exit.OK
    assert len(then.asked) == 1


class Beside:
    """Labs that stand side by side, each in a thread; one brings nothing the first time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[tuple[str, int]]]] = []
        self._both = threading.Barrier(2, timeout=60)

    def hold(self, lab: str, text: str) -> int:
        """Put evidence of all that is asked for on the shelf."""
        options = msgspec.json.decode(text, type=Options)
        self.asked.append((lab, [(each.experiment.name, each.seed) for each in options.due]))
        if len(self.asked) <= 2:
            self._both.wait()
        shelf = Shelf(Path(options.home))
        for each in options.due[: 0 if len(self.asked) == 2 and lab == "2" else None]:
            with shelf.adding(each.experiment.name) as (run, previous):
                evidence = replace(
                    piece(run, previous),
                    experiment=each.experiment,
                    plan_hash=each.experiment.plan_hash,
                    seed=each.seed,
                )
                shelf.put(evidence, FILES, "page")
        return Exit.OK


def test_labs_side_by_side_share_the_drills_and_keep_one_chain(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    beside, kept = Beside(), file.parent / "kept"
    monkeypatch.setattr(SideBySide, "_hold", beside.hold)
    names = ("site_killed", "link_flaps")
    assert all_(names, json=file, repeats=4, labs=2, keep=kept) == Exit.OK
    first, second = beside.asked[:2]
    assert {first[0], second[0]} == {"1", "2"}
    assert len(first[1]) == len(second[1]) == 4
    assert not set(first[1]) & set(second[1])
    written = json.loads(file.read_bytes())
    assert (written["total"]["done"], written["total"]["held"]) == (8, 8)
    assert len(list(Shelf(kept).read_all())) == 8, "none is missing, and none was done twice"


def test_labs_side_by_side_come_up_no_more_once_the_lever_is_pulled(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    beside, kept = Beside(), file.parent / "kept"
    monkeypatch.setattr(SideBySide, "_hold", beside.hold)
    Lever(kept).pull()
    assert all_(("site_killed",), json=file, labs=2, keep=kept) == Exit.FAILED
    assert beside.asked == []


def test_what_killed_drills_left_at_their_work_is_cleared_away_by_the_next_who_is_alone(
    file: Path,
) -> None:
    shelf = Shelf(file.parent / "kept")
    shelf.home.mkdir()
    (shelf.begin_work() / "edge-a1.log").write_text("{}")
    with Lever(shelf.home).running(), suppress(CommandError):
        SideBySide(shelf, 2).__enter__()
    assert list(shelf.home.glob("at-work-*")), "whoever drills there may need it"
    with SideBySide(shelf, 2):
        assert not list(shelf.home.glob("at-work-*"))


def test_no_labs_side_by_side_are_brought_up_while_another_drill_runs(file: Path) -> None:
    kept = file.parent / "kept"
    with Lever(kept).running(), pytest.raises(CommandError, match="another drill runs here"):
        all_(("site_killed",), json=file, labs=2, keep=kept)


def test_labs_side_by_side_are_taken_down_when_whoever_asked_for_them_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Ctrl-C does: both are told, and waited for."""
    # As the children of a shell's background job have it: they do not hear SIGINT.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    waits = "import sys, time, pathlib; pathlib.Path(sys.argv[-1]).touch(); time.sleep(60)"
    monkeypatch.setattr(drill_labs, "HOLDER", (sys.executable, "-c", waits))
    up = iter([tmp_path / "one", tmp_path / "two"])
    monkeypatch.setattr(drill_labs, "_options", lambda *_: str(next(up)))
    due = list(still_to_do([experiment_of("site_killed")], [], 2))
    began_s = time.monotonic()
    with suppress(KeyboardInterrupt), SideBySide(Shelf(tmp_path / "kept"), 2) as labs:
        labs.begin((due[0],), None)
        labs.begin((due[1],), None)
        assert not labs.has_room_for(due[0])
        while len(list(tmp_path.iterdir())) < 3:
            assert time.monotonic() - began_s < 30
            time.sleep(0.02)
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began_s < 50, "nobody waited for a lab's own end"
    assert not Lever(tmp_path / "kept").is_running()
