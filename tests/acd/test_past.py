from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from edge.acd.eligibility import Reason
from edge.acd.granting import about_to_be_written, with_tickets
from edge.acd.match import PASSED_OVER, match
from edge.acd.past import account_of_decision, account_of_end
from state import keys
from state.eventlog import lines
from state.eventlog.past import moment
from state.model import AgentId, CallId, Decision, Now, SiteId, TicketState
from state.raw import Change
from state.snapshot import Snapshot
from tests.acd.worlds import NOW, World, at, call_id, ticket


class Logged(World):
    """A world of which an edge's log is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.data = lines.encode(lines.begin("a1", self.snapshot, NOW))
        self.known = self.snapshot
        self.skew_s = 0.0

    def told(self) -> Snapshot:
        """Let the log have what has happened since; return the snapshot."""
        changes = tuple(_between(self.known, self.snapshot))
        self.data += lines.encode(lines.changed(self.snapshot.revision, changes, NOW))
        self.known = self.snapshot
        return self.snapshot


def _between(old: Snapshot, new: Snapshot) -> Iterable[Change]:
    for key, raw in new.raw.items():
        if old.raw.get(key) != raw:
            yield Change(
                key=key,
                value=raw.value,
                create_revision=raw.create_revision,
                mod_revision=raw.mod_revision,
            )
    for key in old.raw:
        if key not in new.raw:
            yield Change(key=key, value=None, create_revision=0, mod_revision=new.revision)


def scene() -> tuple[Logged, CallId, Decision]:
    """Two callers and four agents; the second caller's decision."""
    world = Logged()
    world.agent("ann", sales=3)
    world.agent("bob", sales=5)
    world.agent("cyd", help=3)
    world.agent("dan", site="c", sales=3)
    world.ticket(1, sales=3)
    second = world.ticket(2, sales=3)
    snapshot = world.told()
    unreachable = frozenset({SiteId("c")})
    asked = {call_id(7): AgentId("bob")}
    noted = lines.decided(
        revision=snapshot.revision,
        now=at(2),
        call=call_id(1),
        agent=AgentId("ann"),
        unreachable=unreachable,
        asked=asked,
    )
    world.data += lines.encode(noted)
    (offering,) = match(snapshot, at(2), unreachable=unreachable, asked=asked)
    return world, second, offering.decision


def test_a_past_decision_is_made_again_exactly_on_the_log_of_who_made_it() -> None:
    world, _, decision = scene()
    world.agent("eve", sales=3)
    world.told()
    then = moment(lines.read(world.data), decision.revision, call_id(1))
    assert then is not None
    found = account_of_decision(then, call_id(1), decision)
    assert found is not None
    assert (found.differs, found.is_own, found.reader) == ((), True, "a1")
    accounts = {each.agent: each for each in found.explanation.agents}
    assert sorted(accounts) == ["ann", "bob", "cyd", "dan"]
    assert accounts[AgentId("ann")].rank == 1
    assert accounts[AgentId("bob")].excluded is Reason.TAKEN
    assert accounts[AgentId("bob")].given_to == call_id(7)
    assert accounts[AgentId("cyd")].excluded is Reason.MISSING_SKILL
    assert accounts[AgentId("dan")].excluded is Reason.SITE_UNREACHABLE


def test_what_only_the_deciding_edge_knew_and_did_not_tell_is_a_difference_elsewhere() -> None:
    world, _, decision = scene()
    then = moment(lines.read(world.data), decision.revision, call_id(99))
    assert then is not None
    found = account_of_decision(then, call_id(1), decision)
    assert found is not None
    assert not found.is_own
    assert "0 are out as site_unreachable, and 1 were" in found.differs


def test_what_the_deciding_edge_knew_and_told_leaves_no_difference_elsewhere() -> None:
    world, _, decision = scene()
    told = replace(decision, asked={call_id(7): AgentId("bob")}, unreachable=(SiteId("c"),))
    then = moment(lines.read(world.data), decision.revision, call_id(99))
    assert then is not None
    found = account_of_decision(then, call_id(1), told)
    assert found is not None
    assert (found.is_own, found.differs) == (False, ())


@pytest.mark.parametrize("skew_s", [-600.0, 0.0, 600.0])
def test_a_decision_falls_between_what_was_seen_before_and_after_whatever_the_clocks_say(
    skew_s: float,
) -> None:
    world, _, decision = scene()
    after = lines.changed(world.snapshot.revision + 1, (), at(3))
    data = world.data + lines.encode(after)
    then = moment(lines.read(data), decision.revision, call_id(99))
    assert then is not None
    late = replace(decision, wall_ms=at(2 + skew_s).wall_ms)
    found = account_of_decision(then, call_id(1), late)
    assert found is not None
    assert NOW.mono_s <= found.at.mono_s <= at(3).mono_s


def test_a_wrong_record_of_a_decision_is_found_out() -> None:
    world, _, decision = scene()
    then = moment(lines.read(world.data), decision.revision, call_id(1))
    assert then is not None
    false = replace(decision, winner=AgentId("bob"), score=9.0, excluded={"paused": 2}, step=1)
    found = account_of_decision(then, call_id(1), false)
    assert found is not None
    assert found.differs[0] == "the winner is ann, and was bob"
    assert "0 are out as paused, and 2 were" in found.differs
    assert found.differs[-1] == "step 0 is in force, and 1 was"


def came_to_a_free_agent() -> tuple[Logged, Decision]:
    """Let a caller wait who needs more; another gets place and agent at one revision."""
    world = Logged()
    world.agent("ann", sales=3)
    world.agent("bob", sales=4)
    world.ticket(1, sales=9)
    before = world.told()
    unwritten = World()
    second = unwritten.ticket(2, sales=3)
    ticket = unwritten.snapshot.tickets[second].value
    entry = about_to_be_written(ticket, at(2))
    ahead = with_tickets(before, {ticket.call: entry})
    (offering,) = match(ahead, at(2))
    noted = lines.decided(
        revision=before.revision,
        now=at(2),
        call=ticket.call,
        agent=offering.agent,
        unreachable=frozenset(),
        asked={},
    )
    world.data += lines.encode(noted)
    given = replace(ticket, state=TicketState.OFFERED, agent=offering.agent)
    world.put(keys.ticket(ticket.call), given)
    world.told()
    return world, offering.decision


@pytest.mark.parametrize("is_own", [True, False])
def test_a_decision_made_as_the_call_came_is_made_again_with_the_ticket_that_it_got(
    *, is_own: bool
) -> None:
    world, decision = came_to_a_free_agent()
    data = world.data
    if not is_own:
        data = b"".join(each for each in data.splitlines(keepends=True) if b'"decided"' not in each)
    then = moment(lines.read(data), decision.revision, call_id(2))
    assert then is not None
    assert call_id(2) not in then.snapshot.tickets
    found = account_of_decision(then, call_id(2), decision)
    assert found is not None
    assert (found.differs, found.is_own) == ((), is_own)
    assert found.explanation.place == 2
    assert found.explanation.best == decision.winner == "ann"


def test_a_ticket_that_never_came_of_a_decision_leaves_no_account() -> None:
    world, decision = came_to_a_free_agent()
    then = moment(lines.read(world.data), decision.revision, call_id(3))
    assert then is not None
    assert account_of_decision(then, call_id(3), decision) is None


def test_a_decision_made_by_a_transfer_is_held_against_no_match() -> None:
    world, _, decision = scene()
    then = moment(lines.read(world.data), decision.revision, call_id(1))
    assert then is not None
    chosen = replace(decision, winner=AgentId("bob"), score=0.0, passed_on_by=AgentId("ann"))
    found = account_of_decision(then, call_id(1), chosen)
    assert found is not None
    assert found.differs == ()


def test_a_call_that_nobody_took_is_explained_as_of_its_end() -> None:
    world = Logged()
    world.agent("cyd", help=3)
    call = world.ticket(1, sales=3)
    world.told()
    world.drop(f"/everline/state/ticket/{call}")
    world.told()
    then = moment(lines.read(world.data), world.snapshot.revision - 1)
    assert then is not None
    found = account_of_end(then, call)
    assert found is not None
    assert found.explanation.best is None
    assert [each.excluded for each in found.explanation.agents] == [Reason.MISSING_SKILL]
    gone = moment(lines.read(world.data), world.snapshot.revision)
    assert gone is not None
    assert account_of_end(gone, call) is None


def test_a_call_unknown_to_the_log_has_no_account() -> None:
    world, _, decision = scene()
    then = moment(lines.read(world.data), decision.revision)
    assert then is not None
    assert account_of_decision(then, call_id(5), decision) is None
    assert isinstance(then.since, Now)


def test_who_stood_at_whose_place_is_told_by_a_log_which_has_no_numbers() -> None:
    world = Logged()
    world.agent("ann", sales=3)
    old = world.ticket(1, holder="b1", sales=3)
    world.ticket(2, sales=3)
    again = world.set_ticket(replace(ticket(3, sales=3), again_of=(old,)))
    asked = {old: PASSED_OVER}
    (offering,) = match(world.told(), at(2), asked=asked)
    assert offering.call == again
    then = moment(lines.read(world.data), offering.decision.revision, again)
    assert then is not None
    assert then.snapshot.tickets[old].value.caller == ""
    found = account_of_decision(then, again, replace(offering.decision, asked=asked))
    assert found is not None
    assert (found.differs, found.explanation.heir_of) == ((), old)
