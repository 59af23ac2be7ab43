"""Who was passed over for a call since their edge was silent: told, as far as one may see them."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from control_plane.calls.store import PastCall
from control_plane.live import accounts
from control_plane.permissions import Permission, Role
from control_plane.subjects import Thing
from edge.acd.match import PASSED_OVER, match
from state import keys
from state.clock import ManualClock
from state.eventlog.log import EventLog
from state.model import MAIN, CallId, CallRecord, DidNumber, EdgeId, Outcome, TicketState
from tests.acd.worlds import NOW, World, at, call_id, ticket
from tests.cli.asked import record
from tests.control_plane.live.stage import Scene, decision
from tests.control_plane.live.test_calls import over

OLD, SECOND, THEIRS, AGAIN = (call_id(number) for number in (1, 2, 3, 4))


def _row(ended: CallRecord, tenant: str) -> PastCall:
    return PastCall(
        id=ended.call,
        tenant=tenant,
        did=ended.did,
        queue=ended.queue,
        site=ended.site,
        agent="",
        agent_site="",
        team="",
        employer="",
        caller="",
        outcome=Outcome.ANSWERED,
        arrived_ms=0,
        ended_ms=9,
        revision=99,
        record=ended,
    )


async def _logged(run: Path, tenant: str = MAIN) -> PastCall:
    """Let an edge log how a caller got an agent at the place of a silent edge's."""
    world = World()
    world.agent("ann", sales=3)
    world.did("4930100", "sales")
    for number in (1, 2):
        world.ticket(number, holder="b1", sales=3)
    other = replace(ticket(3, holder="c1", sales=3), did=DidNumber("4930999"))
    world.set_ticket(other)
    world.set_ticket(replace(ticket(4, sales=3), again_of=(SECOND,)))
    asked = {OLD: PASSED_OVER, THEIRS: PASSED_OVER}
    (offering,) = match(world.snapshot, at(1), asked=asked)
    assert offering.call == AGAIN
    log = EventLog(run / "events-a1", reader="a1", clock=ManualClock())
    log.listed(world.snapshot, NOW)
    await log.flush()
    return _row(record(AGAIN, decision=replace(offering.decision, asked=asked)), tenant)


async def _seen(run: Path, *hidden: CallId) -> tuple[list[object], str | None]:
    def sees(thing: Thing, permission: Permission) -> bool:
        return permission is not Permission.CALL_READ or thing.id not in hidden

    account = await accounts.of_past(run, None, await _logged(run))
    told = accounts.seen(account, sees)
    assert (told.source, told.differs) == ("log", ())
    return [(each.edge, each.callers, each.calls) for each in told.passed_over], told.heir_of


async def test_the_log_tells_whose_callers_were_passed_over_and_at_whose_place_one_stood(
    tmp_path: Path,
) -> None:
    told, heir_of = await _seen(tmp_path)
    # The third came after the second, whose place the heir has.
    assert (told, heir_of) == ([("b1", 2, (OLD, SECOND))], SECOND)


async def test_who_may_not_see_a_call_hears_only_that_there_was_one(tmp_path: Path) -> None:
    told, heir_of = await _seen(tmp_path, SECOND)
    assert (told, heir_of) == ([("b1", 2, (OLD,))], None)


async def test_a_tenant_hears_nothing_of_callers_of_others_who_were_passed_over(
    tmp_path: Path,
) -> None:
    account = await accounts.of_past(tmp_path, None, await _logged(tmp_path, "t2"))
    told = accounts.seen(account, lambda _thing, _permission: True)
    assert (told.source, told.passed_over, told.place) == ("log", (), 1)
    assert (told.excluded, told.differs) == ({}, ())


async def test_a_record_tells_that_callers_were_passed_over_and_not_which(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    decided = replace(decision("ann"), asked={CallId("e" * 24): PASSED_OVER})
    await scene.end(1, "ann", decision=decided)
    await over(manager, 1)
    told = (await manager.get(f"/v1/calls/{OLD}/explanation")).json
    assert told["source"] == "record"
    assert told["passed_over"] == [{"edge": None, "callers": None, "calls": []}]
    assert told["heir_of"] is None


async def test_who_waits_at_a_dead_edges_callers_place_is_told_so_while_they_wait(
    scene: Scene,
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    supervisor = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    old = scene.ticket(1, holder=EdgeId("gone"))
    again = scene.ticket(2, again_of=(old.call,), state=TicketState.QUEUED)
    await scene.put((keys.ticket(old.call), old))
    await scene.put((keys.ticket(again.call), again))
    told = (await manager.get(f"/v1/calls/{again.call}/explanation")).json
    assert (told["source"], told["passed_over"], told["heir_of"]) == ("present", [], old.call)
    await scene.connect(2, "ann", again_of=(old.call,))
    theirs = (await supervisor.get(f"/v1/calls/{again.call}/explanation")).json
    assert theirs["heir_of"] is None, "nobody of the team has had that call"
