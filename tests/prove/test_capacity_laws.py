"""Agents who take no calls, but other conversations: nobody gives them any."""

from __future__ import annotations

import pytest

from drills.prove.center import CHANNELS, SKILLS, configuration
from drills.prove.laws_waiting import SERVED_S
from drills.prove.needs import Able, Asked, meets
from drills.prove.violations import Law
from edge.acd.eligibility import capacity
from edge.acd.transfer import No, ToAgent, destination
from state.model import AgentId, Channel, Outcome, TicketState
from tests.acd.worlds import NOW, World, ticket
from tests.edge.virtual_time import in_virtual_time
from tests.prove.consulting import colleague, consults
from tests.prove.histories import Tale
from tests.prove.planting import plant
from tests.prove.play import broken_laws
from tests.prove.tale_center import BOTH


def _chats(*agents: str) -> Tale:
    tale = Tale(*agents)
    tale.can("a09", BOTH, calls=0)
    tale.presence("a09")
    return tale


def test_the_edge_and_the_proof_agree_on_who_takes_calls() -> None:
    made = configuration({"a": "198.18.1.10:5060"})
    for agent in made.agents:
        assert Able.of(agent).takes_calls is (capacity(agent, Channel.VOICE) == 1)
    takes = [meets(Able.of(agent), Asked(tenant=agent.tenant)) for agent in made.agents]
    assert takes == [True] * 8 + [False, True, True]
    assert len(CHANNELS) == len(SKILLS)


def test_the_line_gives_them_no_call() -> None:
    tale = _chats()
    tale.waits("c1")
    tale.gets("c1", "a09")
    assert set(tale.laws()) == {Law.NO_CALLS, Law.UNSKILLED}


@pytest.mark.parametrize("agent", ["a09", "a02"])
def test_nor_do_they_get_one_that_somebody_passes_on_to_them(agent: str) -> None:
    tale = _chats("a01", "a02")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    tale.is_passed_on("c1")
    tale.target("c1", agent)
    assert tale.laws() == ([Law.NO_CALLS] if agent == "a09" else [])


def test_nor_are_they_asked_about_one() -> None:
    tale = _chats("a01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    consults(tale, "c1", "a01", "a09")
    colleague(tale, "c1", "a09")
    assert tale.laws() == [Law.NO_CALLS]


def test_nobody_is_forgotten_or_overtaken_beside_them() -> None:
    tale = _chats()
    tale.waits("c1", holder="b1")
    tale.now(SERVED_S + 1.0)
    tale.can("a01", BOTH)
    tale.waits("c2")
    tale.presence("a01")
    seen = tale.revision
    tale.gets("c2", "a01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen)
    assert tale.laws() == [Law.OVERTAKEN]


@in_virtual_time
async def test_a_bug_that_gives_them_calls_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "capacity_ignored")
    found = await broken_laws(seed=1, wanted=8, seconds=2.0, must=Law.NO_CALLS)
    assert Law.NO_CALLS in found
    assert found <= {Law.NO_CALLS, Law.UNSKILLED, Law.OVERTAKEN}


def test_a_bug_of_transfers_passes_callers_on_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for agent in configuration(dict.fromkeys("abc", "198.18.1.10:5060")).agents:
        world.set_agent(agent)
    talks = ticket(1, state=TicketState.CONNECTED, agent="a01")

    def where() -> object:
        return destination(world.snapshot, talks, AgentId("a01"), "b09", NOW)

    assert isinstance(where(), No)
    plant(monkeypatch, "capacity_ignored_by_transfers")
    assert where() == ToAgent(agent=AgentId("b09"))
