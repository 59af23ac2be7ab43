from __future__ import annotations

import pytest

from edge.acd.eligibility import Reason
from edge.acd.explain import Explanation, explain
from edge.acd.match import PASSED_OVER
from state import keys
from state.model import (
    ANYBODY,
    AgentId,
    CallId,
    EdgeId,
    PresenceState,
    Queue,
    QueueId,
    Scope,
    Step,
    TicketState,
)
from tests.acd.worlds import NOW, World, at, call_id, needs, ticket


def account(world: World, call: CallId) -> Explanation:
    explanation = explain(world.snapshot, call, NOW)
    assert explanation is not None
    return explanation


def reasons(explanation: Explanation) -> dict[str, str | None]:
    return {each.agent: each.excluded for each in explanation.agents}


def test_a_call_that_does_not_exist_has_no_explanation() -> None:
    assert explain(World().snapshot, call_id(1), NOW) is None


def test_every_agent_is_ranked_or_excluded_for_a_reason() -> None:
    world = World()
    world.agent("ann", sales=5)
    world.agent("bob", sales=3)
    world.agent("cyd", help=3)
    world.agent("dan", state=PresenceState.PAUSED, sales=3)
    call = world.ticket(1, sales=3)
    explanation = account(world, call)
    assert (explanation.place, explanation.not_served_because, explanation.best) == (1, None, "bob")
    assert explanation.revision == world.snapshot.revision
    assert explanation.effective.needs.all_of == needs(sales=3)
    assert [(each.agent, each.rank) for each in explanation.agents] == [
        ("bob", 1),
        ("ann", 2),
        ("cyd", None),
        ("dan", None),
    ]
    assert all((each.score is None) == (each.rank is None) for each in explanation.agents)
    assert reasons(explanation) == {
        "ann": None,
        "bob": None,
        "cyd": Reason.MISSING_SKILL,
        "dan": Reason.PAUSED,
    }


def test_an_agent_who_goes_to_an_earlier_call_is_named_with_it() -> None:
    world = World()
    world.agent("ann", sales=3)
    first = world.ticket(1, sales=3)
    second = world.ticket(2, sales=3)
    explanation = account(world, second)
    (ann,) = explanation.agents
    assert (ann.excluded, ann.given_to) == (Reason.TAKEN, first)
    assert (explanation.place, explanation.best) == (2, None)


def test_who_was_tried_is_ranked_when_there_is_nobody_else() -> None:
    world = World()
    world.agent("ann", sales=3)
    call = world.ticket(1, tried=("ann",), sales=3)
    assert account(world, call).best == "ann"
    world.agent("bob", sales=9)
    assert account(world, call).best == "bob"
    assert reasons(account(world, call))["ann"] is Reason.TRIED_BEFORE


@pytest.mark.parametrize(
    "state", [TicketState.GREETING, TicketState.OFFERED, TicketState.CONNECTED]
)
def test_a_call_that_does_not_wait_is_explained_as_if_it_did(state: TicketState) -> None:
    world = World()
    world.agent("ann", sales=3)
    call = world.ticket(1, state=state, sales=3)
    explanation = account(world, call)
    assert explanation.place is None
    assert explanation.not_served_because == f"the ticket is {state}"
    assert explanation.best == AgentId("ann")


def test_a_call_whose_holder_is_dead_says_so() -> None:
    world = World()
    call = world.ticket(1, holder="b1")
    world.drop(keys.edge(EdgeId("b1")))
    assert account(world, call).not_served_because == "its holder b1 is dead"


def test_it_says_which_rules_were_in_force_and_who_is_kept_away_by_them() -> None:
    world = World()
    step = Step(after_s=20, lower=needs(sales=2), raise_priority=3, scope=ANYBODY)
    world.set_queue(
        Queue(
            id=QueueId("sales"),
            needs=needs(sales=5),
            scope=Scope(teams=("red",)),
            steps=(step,),
            aging_s=10.0,
        )
    )
    world.agent("ann", sales=5)
    world.agent("bob", sales=2)
    call = world.set_ticket(ticket(1, sales=5), waits_s=15.0)
    before = account(world, call)
    assert (before.effective.step, before.level, before.waited_s) == (0, 1, 15.0)
    assert reasons(before) == {"ann": Reason.OUT_OF_SCOPE, "bob": Reason.OUT_OF_SCOPE}
    after = explain(world.snapshot, call, at(5))
    assert after is not None
    assert (after.effective.step, after.level, after.waited_s) == (1, 5, 20.0)
    assert [(each.agent, each.rank) for each in after.agents] == [("bob", 1), ("ann", 2)]


def test_callers_of_a_silent_edge_are_named_and_get_nobody_and_only_those_before() -> None:
    world = World()
    world.agent("ann", sales=3)
    first, second = (world.ticket(number, holder="b1", sales=3) for number in (1, 2))
    call = world.ticket(3, sales=3)
    behind = world.ticket(4, holder="b1", sales=3)
    explanation = explain(world.snapshot, call, NOW, asked={behind: PASSED_OVER})
    assert explanation is not None
    assert explanation.passed_over == {first: "b1", second: "b1"}
    assert (explanation.place, explanation.best) == (3, "ann")
    assert account(world, call).passed_over == {}
    theirs = explain(world.snapshot, second, NOW, asked={first: PASSED_OVER})
    assert theirs is not None
    assert (theirs.place, theirs.best) == (2, "ann"), "what it would get if it were served"
