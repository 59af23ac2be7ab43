"""A past call is explained from the edges' event logs, of whichever edge they are."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from drills.desk.account import of_past, passed_over, stood_for
from drills.desk.past import find
from edge.acd.eligibility import Reason
from edge.acd.match import PASSED_OVER, match
from state import keys
from state.clock import ManualClock
from state.eventlog.log import EventLog
from state.model import CallRecord, EdgeId, Outcome
from state.raw import Change
from tests.acd.worlds import NOW, World, at, call_id, ticket
from tests.cli.asked import record


async def logged(directory: Path, world: World, *, decides: bool) -> CallRecord:
    """Let an edge log a world in which a call gets an agent; return the call's record."""
    snapshot = world.snapshot
    log = EventLog(directory, reader=directory.name, clock=ManualClock())
    log.listed(snapshot, NOW)
    (offering,) = match(snapshot, at(1))
    if decides:
        log.decided(
            revision=snapshot.revision,
            now=at(1),
            call=offering.call,
            agent=offering.agent,
            unreachable=frozenset(),
            asked={},
        )
    gone = Change(
        key=f"/everline/state/ticket/{offering.call}",
        value=None,
        create_revision=0,
        mod_revision=snapshot.revision + 1,
    )
    log.changed(replace(snapshot, revision=snapshot.revision + 1), (gone,), at(9))
    await log.flush()
    return record(offering.call, decision=offering.decision)


def center() -> World:
    world = World()
    world.agent("ann", sales=5)
    world.agent("bob", sales=3)
    world.agent("cyd", help=3)
    world.ticket(1, sales=3)
    return world


async def test_every_agent_is_told_from_the_log_of_who_decided(tmp_path: Path) -> None:
    over = await logged(tmp_path / "a1", center(), decides=True)
    found = find((tmp_path / "a1",), over, 99)
    assert found is not None
    assert (found.account.reader, found.account.is_own, found.account.differs) == ("a1", True, ())
    accounts = {each.agent: each for each in found.account.explanation.agents}
    assert sorted(accounts) == ["ann", "bob", "cyd"]
    assert accounts["cyd"].excluded is Reason.MISSING_SKILL  # type: ignore[index]
    assert "+49" not in repr(found.then.tickets)


async def test_the_log_of_another_site_will_do_when_that_of_the_own_is_gone(
    tmp_path: Path,
) -> None:
    over = await logged(tmp_path / "c2", center(), decides=False)
    (tmp_path / "a1").mkdir()
    (tmp_path / "a1" / "0000000001-1.log").write_bytes(b"rubbish")
    found = find((tmp_path / "a1", tmp_path / "gone", tmp_path / "c2"), over, 99)
    assert found is not None
    assert (found.account.reader, found.account.is_own, found.account.differs) == ("c2", False, ())


async def test_a_call_that_nobody_took_is_told_as_of_its_end(tmp_path: Path) -> None:
    world = center()
    over = await logged(tmp_path / "a1", world, decides=True)
    left = replace(over, decision=None, outcome=Outcome.ABANDONED)
    found = find((tmp_path / "a1",), left, world.snapshot.revision + 1)
    assert found is not None
    assert found.account.explanation.best == "bob"


async def test_a_call_from_before_the_logs_is_not_found(tmp_path: Path) -> None:
    over = await logged(tmp_path / "a1", center(), decides=True)
    assert over.decision is not None
    early = replace(over, decision=replace(over.decision, revision=1))
    assert find((tmp_path / "a1",), early, 99) is None
    assert find((), over, 99) is None
    assert find((tmp_path / "a1",), record(call_id(8), decision=over.decision), 99) is None


async def test_who_was_passed_over_and_why_is_told_in_words(tmp_path: Path) -> None:
    world = center()
    first = world.ticket(2, holder="b1", sales=3)
    snapshot = world.snapshot
    told = passed_over({first: EdgeId("b1")})
    assert told == (
        f"Before it stood 1 caller ({first[:8]}) of edge b1, passed over since that edge had not "
        "acted for 2 s while agents were there for its callers."
    )
    many = passed_over({call_id(each): EdgeId("b1") for each in range(9)})
    assert many.startswith("Before it stood 9 callers (")
    assert ", ...)" in many
    assert passed_over({}) == ""
    asked = {first: PASSED_OVER}
    log = EventLog(tmp_path / "c2", reader="c2", clock=ManualClock())
    world.ticket(3, sales=3)
    snapshot = world.snapshot
    log.listed(snapshot, NOW)
    await log.flush()
    world_offers = match(snapshot, at(1), asked=asked)
    mine = next(each for each in world_offers if each.call == call_id(3))
    decision = replace(mine.decision, asked=asked)
    found = find((tmp_path / "c2",), record(mine.call, decision=decision), 99)
    assert found is not None
    assert found.account.differs == ()
    assert found.account.explanation.passed_over == {first: "b1"}
    explained = of_past(0, record(mine.call, decision=decision), found.account, found.then, at(9))
    assert explained.note == told


async def test_at_whose_place_a_caller_stood_is_told_in_words(tmp_path: Path) -> None:
    world = center()
    old = world.ticket(2, holder="b1", sales=3)
    again = world.set_ticket(replace(ticket(3, sales=3), again_of=(old,)))
    world.drop(keys.ticket(call_id(1)))
    snapshot, asked = world.snapshot, {old: PASSED_OVER}
    log = EventLog(tmp_path / "c2", reader="c2", clock=ManualClock())
    log.listed(snapshot, NOW)
    await log.flush()
    (offering,) = match(snapshot, at(1), asked=asked)
    over = record(again, decision=replace(offering.decision, asked=asked))
    found = find((tmp_path / "c2",), over, 99)
    assert found is not None
    explained = of_past(0, over, found.account, found.then, at(9))
    assert explained.note == f"{stood_for(old)} {passed_over({old: EdgeId('b1')})}"
    assert explained.note.startswith(f"It stood at the place of call {old[:8]}, of the same number")
