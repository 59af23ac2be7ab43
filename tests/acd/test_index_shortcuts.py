"""Where the index does not look at everything again: what it must not pass over by that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.acd.index.crew import Crew, Sight
from edge.acd.index.index import MatchIndex
from edge.acd.match import match
from state import keys
from state.model import (
    Agent,
    AgentId,
    EdgeId,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    SiteId,
    Strategy,
    Work,
)
from tests.acd.test_index import indexed, pairs
from tests.acd.worlds import NOW, World, call_id, skills

ANN = AgentId("ann")


def _pause(world: World) -> None:
    paused = Presence(agent=ANN, site=SiteId("a"), state=PresenceState.PAUSED, since_ms=0)
    world.put(keys.presence(ANN), paused, seen_s=NOW.mono_s)


def _offer(world: World) -> None:
    world.offer("ann")


def _no_offer(world: World) -> None:
    world.drop(keys.offer(ANN))


def agree(index: MatchIndex, world: World) -> None:
    """Hold the two against each other, decisions and what they count included."""
    index.fold(world.snapshot, world.deltas)
    world.deltas.clear()
    assert index.offers(NOW) == match(world.snapshot, NOW)


@pytest.mark.parametrize(
    "changes",
    [(_offer,), (_offer, _no_offer), (_pause, _offer), (_offer, _pause), (_pause, _no_offer)],
    ids=["offer", "offer that goes", "pause, offer", "offer, pause", "pause alone"],
)
def test_a_free_agent_who_gets_an_offer_and_something_else_at_once_is_seen_whole(
    changes: tuple[Callable[[World], None], ...],
) -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    index = indexed(world)
    assert index.offers(NOW) == ()
    for change in changes:
        change(world)
    world.ticket(1, sales=1)
    agree(index, world)


def _work(world: World) -> None:
    worked(world, "ann", 0)


def _rest(world: World) -> None:
    world.work("ann", seen_s=NOW.mono_s, rest_s=9.0)


def _learn(world: World) -> None:
    world.agent("ann", sales=3)


def _sign_in(world: World) -> None:
    ready = Presence(agent=ANN, site=SiteId("a"), state=PresenceState.READY, since_ms=0)
    world.put(keys.presence(ANN), ready, seen_s=NOW.mono_s)


@pytest.mark.parametrize(
    "changes",
    [
        (_no_offer, _work),
        (_work, _no_offer),
        (_pause, _work, _no_offer),
        (_work, _no_offer, _pause),
        (_no_offer, _rest),
        (_learn, _work, _no_offer),
        (_no_offer, _work, _learn),
        (_no_offer, _offer, _work),
    ],
    ids=lambda changes: ", ".join(change.__name__.strip("_") for change in changes),
)
@pytest.mark.parametrize("before", [(), (_pause,)], ids=["", "paused"])
def test_an_agent_whose_call_is_over_is_seen_with_all_else_that_is_new_of_them(
    before: tuple[Callable[[World], None], ...], changes: tuple[Callable[[World], None], ...]
) -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=9)
    world.offer("ann")
    world.offer("bob")
    for change in before:
        change(world)
    index = indexed(world)
    world.ticket(1, sales=1)
    world.ticket(2, sales=2)
    agree(index, world)
    for change in changes:
        change(world)
    world.drop(keys.offer(AgentId("bob")))
    agree(index, world)
    _sign_in(world)
    agree(index, world)


def test_an_agent_of_a_level_that_nobody_had_suits_classes_that_asked_before() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.ticket(1, sales=5)
    world.ticket(2, sales=5, french=2)
    index = indexed(world)
    assert index.offers(NOW) == ()
    world.agent("bob", sales=7)
    world.agent("cyd", sales=8, french=2)
    agree(index, world)
    assert pairs(index.offers(NOW)) == [(1, "bob"), (2, "cyd")]


def test_an_agent_whose_record_changes_within_one_instant_is_ranked_by_the_new_one() -> None:
    world = World()
    world.set_queue(Queue(id=QueueId("sales"), needs=(), strategy=Strategy.LONGEST_IDLE))
    for name, idle_s in (("ann", 50), ("bob", 40)):
        world.agent(name, sales=1, since_ms=NOW.wall_ms - 900_000)
        worked(world, name, idle_s)
    world.ticket(1, sales=1)
    index = indexed(world)
    assert pairs(index.offers(NOW)) == [(1, "ann")]
    worked(world, "ann", 30)
    agree(index, world)
    assert pairs(index.offers(NOW)) == [(1, "bob")]


def worked(world: World, name: str, idle_s: int) -> None:
    agent = AgentId(name)
    work = Work(agent=agent, ended_ms=NOW.wall_ms - 1000 * idle_s)
    world.put(keys.work(agent), work, seen_s=NOW.mono_s)


@pytest.mark.parametrize("waiting", [3, 12])
def test_many_who_become_free_together_are_counted_as_by_a_match(waiting: int) -> None:
    world = World()
    for number in range(9):
        if number % 4:
            world.agent(f"bob{number}", sales=1 + number % 3)
        else:
            world.agent(f"bob{number}", help=2, french=1 + number)
        world.offer(f"bob{number}")
    for number in range(waiting):
        asks = ({"sales": 2}, {"help": 1, "french": 5}, {"sales": 1})[number % 3]
        world.ticket(number, wants=asks)
    index = indexed(world)
    assert index.offers(NOW) == ()
    for number in range(9):
        world.drop(keys.offer(AgentId(f"bob{number}")))
    agree(index, world)
    assert call_id(0) in index.offered


def test_another_edge_of_a_site_that_lives_makes_nobody_be_looked_at_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    for number in range(30):
        world.agent(f"agent{number}", site="ab"[number % 2], sales=1)
    index = indexed(world)
    assert index.offers(NOW) == ()
    looked_at: list[AgentId] = []
    look = Crew.look

    def counted(crew: Crew, sight: Sight, agent: AgentId, *, is_changed: bool) -> None:
        looked_at.append(agent)
        look(crew, sight, agent, is_changed=is_changed)

    monkeypatch.setattr(Crew, "look", counted)
    world.edge("a2", sip="198.18.1.10:5082")
    agree(index, world)
    assert looked_at == [], "a hundred thousand agents take a second"
    world.drop(keys.edge(EdgeId("b1")))
    world.ticket(1, sales=1)
    agree(index, world)
    assert looked_at, "those of b are gone"


def test_what_agents_could_do_once_is_not_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.acd.index.crew.MOST_PROFILES", 8)
    world = World()
    world.queue("sales", sales=1)
    world.agent("bob", sales=1)
    world.ticket(1, sales=1)
    index = MatchIndex()
    remembered = []
    for number in range(40):
        can = skills(sales=1, **{f"skill{number}": 1})
        world.set_agent(Agent(id=ANN, name="ann", site=SiteId("a"), skills=can))
        agree(index, world)
        remembered.append(len(index._crew._skilled))  # noqa: SLF001 - what it keeps
    assert max(remembered) <= 8 + 2 * 2 + 1
