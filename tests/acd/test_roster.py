"""A roster is a memo: with it a match is quicker, and never another."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edge.acd.eligibility import agent_facts
from edge.acd.match import match
from edge.acd.roster import Roster
from state import keys
from state.model import AgentId, EdgeId, OfferState, PresenceState
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, at, call_id

NAMES = [f"agent{number}" for number in range(4)]
Change = Callable[[World], object]


def _work(name: str, busy_s: int) -> Change:
    return lambda world: world.work(name, busy_s=busy_s, idle_s=9, ended_ms=WALL_MS - 5000)


CHANGES = st.one_of(
    st.builds(
        lambda name, state: lambda world: world.presence(name, state=state),
        st.sampled_from(NAMES),
        st.sampled_from(PresenceState),
    ),
    st.builds(_work, st.sampled_from(NAMES), st.integers(0, 50)),
    st.builds(
        lambda name, state: lambda world: world.offer(name, state=state),
        st.sampled_from(NAMES),
        st.sampled_from(OfferState),
    ),
    st.builds(
        lambda name, make: lambda world: world.drop(make(AgentId(name))),
        st.sampled_from(NAMES),
        st.sampled_from([keys.offer, keys.presence, keys.work, keys.agent]),
    ),
    st.builds(
        lambda name, make: lambda world: world.put(make(AgentId(name)), b"rubbish"),
        st.sampled_from(NAMES),
        st.sampled_from([keys.offer, keys.work]),
    ),
    st.builds(
        lambda name, level: lambda world: world.agent(name, sales=level),
        st.sampled_from([*NAMES, "late"]),
        st.integers(1, 5),
    ),
    st.builds(
        lambda name: lambda world: world.ticket(3, holder="b1", by=name),
        st.one_of(st.none(), st.sampled_from(NAMES)),
    ),
    st.just(lambda world: world.drop(keys.edge(EdgeId("a1")))),
    st.just(lambda world: world.edge("a1", sip="198.18.1.10:5081")),
)


@given(changes=st.lists(CHANGES, max_size=12), later_s=st.integers(0, 20))
@PATIENT
def test_after_any_history_it_says_what_the_snapshot_says(
    changes: list[Change], later_s: int
) -> None:
    world = World()
    for name in NAMES:
        world.agent(name, sales=2)
    world.ticket(1, sales=2, holder="b1")
    world.ticket(2, sales=1, holder="b1")
    roster = Roster()
    for change in changes:
        change(world)
        assert roster.facts(world.snapshot) == agent_facts(world.snapshot)
        assert list(roster.facts(world.snapshot)) == list(agent_facts(world.snapshot))
        now = at(later_s)
        assert match(world.snapshot, now, roster=roster) == match(world.snapshot, now)


def test_whoever_has_not_changed_is_not_looked_at_again() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    roster = Roster()
    before = dict(roster.facts(world.snapshot))
    world.offer("bob")
    after = roster.facts(world.snapshot)
    assert after[AgentId("ann")] is before[AgentId("ann")]
    assert after[AgentId("bob")].has_offer


def test_what_has_been_asked_for_counts_as_given() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    world.ticket(1, sales=1)
    world.ticket(2, sales=1)
    first, second = match(world.snapshot, NOW)
    (left,) = match(world.snapshot, NOW, asked={first.call: first.agent})
    assert (left.call, left.agent) == (second.call, second.agent)
    assert left.decision.excluded == second.decision.excluded
    both = {call_id(1): AgentId("ann"), call_id(2): AgentId("bob")}
    assert match(world.snapshot, NOW, asked=both) == ()


def test_an_agent_who_was_asked_for_and_has_the_offer_now_hides_nobody_else() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    world.ticket(1, sales=1)
    world.offer("ann", call=7)
    (given,) = match(world.snapshot, NOW, asked={call_id(7): AgentId("ann")})
    assert given.agent == "bob"
