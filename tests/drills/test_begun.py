"""That a drill was begun is kept before anything is broken, and its evidence names that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from drills.beginning import Beginning
from drills.begun import Begun
from drills.cli.app import main
from drills.course import End, Made
from drills.drill import live
from drills.fault import Fault
from drills.runner import Runner
from drills.sealing import TamperedError, open_begun, seal, seal_begun
from drills.shelf import BEGUN, EVIDENCE, NotKeptError, Shelf
from drills.tally import done, interrupted, tally
from state.clock import SystemClock
from tests.drills.pieces import EXPERIMENT, FILES, KEY, PERMIT, piece
from tests.drills.test_live_limits import DRAIN, Center
from tests.drills.test_runner import GOOD, Lab
from tests.edge.virtual_time import in_virtual_time


def begin(shelf: Shelf, seed: int = 1) -> Beginning:
    """Keep that a drill begins."""
    beginning = Beginning(shelf, EXPERIMENT, seed, SystemClock())
    asyncio.run(beginning.note())
    return beginning


def end(shelf: Shelf, beginning: Beginning) -> str:
    """Keep its end."""
    with shelf.adding(EXPERIMENT.name) as (run, previous):
        shelf.put(beginning.ends_in(piece(run, previous)), FILES, "page")
    return run


def test_what_was_begun_and_ended_is_two_pieces_of_one_chain_and_one_run(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    run = end(shelf, begin(shelf))
    begun, evidence = shelf.pieces()
    assert (evidence, shelf.runs()) == (run, [run])
    assert shelf.read(run).begun == shelf.hash_of(begun)
    assert shelf.verify() == 1
    assert shelf.unended() == ()
    assert shelf.head().run == run


def test_a_drill_of_which_nobody_lived_to_tell_the_end_is_told_by_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    begin(shelf, seed=7)
    (lost,) = shelf.pieces()
    assert main(["drill", "report", "--verify", "--keep", str(tmp_path)]) == 1
    assert f"no drill has come to an end here; begun were: {lost}" in capsys.readouterr().err
    end(shelf, begin(shelf))
    assert [each.run for each in shelf.unended()] == [lost]
    assert shelf.unended(since=lost) == ()
    assert main(["drill", "report", "--verify", "--keep", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "1 pieces of evidence are as they were written" in said
    assert f"there is nothing here, unless it runs now: {lost} (site_killed, with seed 7)" in said


def test_what_was_begun_cannot_be_taken_away_or_changed_unseen(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    begin(shelf)
    (lost,) = shelf.pieces()
    run = end(shelf, begin(shelf))
    file = shelf.folder(lost) / BEGUN
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(TamperedError, match="there was another piece, which is not here"):
        shelf.verify()
    file.write_bytes(whole.replace(b'"seed":1', b'"seed":2'))
    with pytest.raises(TamperedError, match=f"{lost}: the signature is not over this evidence"):
        shelf.verify()
    file.write_bytes((shelf.folder(run) / EVIDENCE).read_bytes())
    with pytest.raises(TamperedError, match="nothing was begun as this says"):
        shelf.verify()
    file.write_bytes(whole)
    assert shelf.verify() == 1


def test_a_piece_of_what_was_begun_is_nothing_but_that() -> None:
    begun = Begun(
        run="r1",
        previous="",
        experiment=EXPERIMENT,
        plan_hash=EXPERIMENT.plan_hash,
        seed=1,
        at_ms=0,
        approvals=(PERMIT,),
    )
    assert open_begun(seal_begun(begun, KEY), None) == begun
    assert begun.told() == "r1 (site_killed, on live sites)"
    with pytest.raises(TamperedError, match="nothing was begun"):
        open_begun(seal(piece(), KEY), None)
    with pytest.raises(TamperedError, match="the plan"):
        open_begun(seal_begun(replace(begun, plan_hash="0" * 64), KEY), None)
    with pytest.raises(TamperedError, match="a later Everline"):
        open_begun(seal_begun(replace(begun, v=3), KEY), None)


def test_a_shelf_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    old = "20260101-000000-site_killed"
    shelf.put(replace(piece(old), v=1), FILES, "page")
    run = end(shelf, begin(shelf))
    assert [each.run for each in shelf.read_all()] == [old, run]
    assert shelf.verify() == 2


@in_virtual_time
async def test_it_is_kept_before_the_first_fault_and_where_it_cannot_be_nothing_is_broken() -> None:
    steps: list[str] = []

    class Broken(Lab):
        async def make(self, fault: Fault) -> Made:
            steps.append("broken")
            return await super().make(fault)

    async def keep() -> None:
        steps.append("kept")

    async def fail() -> None:
        raise NotKeptError("r1", Path("kept"), OSError(28, "No space left on device"))

    lab = Broken(lambda _: GOOD)
    good = Runner(EXPERIMENT, ground=lab, faults=lab, clock=lab.clock, before_first=keep)
    assert (await good.run()).end is End.COMPLETED
    assert steps[:2] == ["kept", "broken"]
    steps.clear()
    full = Runner(EXPERIMENT, ground=lab, faults=lab, clock=lab.clock, before_first=fail)
    with pytest.raises(NotKeptError, match="No space"):
        await full.run()
    assert steps == []
    refused = Broken(lambda _: {})
    never = Runner(EXPERIMENT, ground=refused, faults=refused, clock=lab.clock, before_first=keep)
    assert (await never.run(within_s=2.0)).end is End.NOT_STEADY
    assert steps == [], "what is not begun was not begun"


@in_virtual_time
async def test_it_is_kept_of_a_drill_on_live_sites_too(tmp_path: Path) -> None:
    center = Center(tmp_path, DRAIN, lambda _: True)
    stood: list[bool] = []

    async def keep() -> None:
        stood.append(bool(await center.faults.all()))

    course = await live.carry_out(DRAIN, center, lambda _: None, keep)
    assert course.end is End.COMPLETED
    assert stood == [False], "once, and before anything was broken"


def test_the_tally_counts_what_was_interrupted_and_sums_nothing_of_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    begin(shelf, seed=2)
    (begun,) = shelf.unended()
    lost, held = interrupted(begun), done(piece())
    assert (lost.counts, lost.stays, lost.was_begun) == (False, True, True)
    found = tally([lost, held], 0, 0).scenarios["site_killed"]
    assert (found.runs, found.failed, found.interrupted, found.stopped) == (1, 0, 1, 0)
    assert msgspec.json.decode(msgspec.json.encode(lost), type=type(lost)) == lost
