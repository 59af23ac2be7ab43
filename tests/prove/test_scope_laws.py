"""To whom a queue turns: agents of some sites, teams and employers, and of more with waiting."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from msgspec.structs import replace

from drills.prove.center import QUEUES as CENTER
from drills.prove.center import WIDENED_S, configuration
from drills.prove.laws_waiting import SERVED_S
from drills.prove.needs import Able, Asked, Queues, asked_by, meets
from drills.prove.turns import Asking, overtaken
from drills.prove.violations import Law
from edge.acd.eligibility import unsuited_because
from edge.acd.relaxation import in_force
from state.model import Agent, AgentId, Entry, Outcome, Scope, SiteId
from tests.edge.virtual_time import in_virtual_time
from tests.prove.histories import Tale
from tests.prove.planting import plant
from tests.prove.play import broken_laws
from tests.prove.tale_center import QUEUES, RELAXED_S

(SCOPED,) = (queue for queue in QUEUES if queue.id == "scoped")
KNOWN: Queues = {queue.id: (queue, 0) for queue in QUEUES}
ENTRIES = {
    queue.id: Entry(value=queue, create_revision=1, mod_revision=1, seen_s=0.0) for queue in QUEUES
}


def _agent(site: str, team: str, employer: str) -> Agent:
    agent = f"{site}01"
    return Agent(
        id=AgentId(agent),
        name=agent,
        site=SiteId(site),
        skills={},
        team=team,
        employer=employer,
    )


@pytest.mark.parametrize("waited_s", [0.0, RELAXED_S, RELAXED_S + 2.0])
def test_the_edge_and_the_proof_agree_on_whom_a_queue_turns_to(waited_s: float) -> None:
    ticket = Tale().arrives("c1", queue="scoped")
    needs = in_force(SCOPED, ticket, waited_s, queues=ENTRIES).needs
    for site, team, employer in product("abc", ("red", "blue", ""), ("", "others")):
        agent = _agent(site, team, employer)
        asked = asked_by(SCOPED, waited_s, KNOWN)
        assert meets(Able.of(agent), asked) is (unsuited_because(agent, needs) is None)


def test_in_the_center_some_are_left_out_by_site_by_team_and_by_employer_until_a_step() -> None:
    made = configuration({"a": "198.18.1.10:1", "b": "198.18.1.10:2", "c": "198.18.1.10:3"})
    queues: Queues = {queue.id: (queue, 0) for queue in CENTER}
    for queue in CENTER:
        asked = asked_by(queue, 0.0, queues)
        anybody = replace(asked, scope=Scope())
        out = [
            agent.id
            for agent in made.agents
            if meets(Able.of(agent), anybody) and not meets(Able.of(agent), asked)
        ]
        assert bool(out) is (queue.scope != Scope())
        assert asked_by(queue, max(WIDENED_S, 1.0), queues).scope == Scope()


@pytest.mark.parametrize(
    ("agent", "team", "employer", "waits_s", "laws"),
    [
        ("a01", "red", "", 0.0, []),
        ("c01", "red", "", 0.0, [Law.UNSKILLED]),
        ("a01", "blue", "", 0.0, [Law.UNSKILLED]),
        ("a01", "red", "others", 0.0, [Law.UNSKILLED]),
        ("c01", "blue", "others", RELAXED_S, []),
        ("a01", "", "", RELAXED_S, [Law.UNSKILLED]),
        ("a01", "", "", RELAXED_S + 2.0, []),
    ],
)
def test_somebody_to_whom_a_queue_does_not_turn_yet_may_not_be_given(
    agent: str, team: str, employer: str, waits_s: float, laws: list[Law]
) -> None:
    tale = Tale()
    tale.can(agent, {}, team=team, employer=employer)
    tale.presence(agent)
    tale.waits("c1", queue="scoped")
    tale.now(waits_s)
    tale.gets("c1", agent)
    assert tale.laws() == laws


@pytest.mark.parametrize(
    ("team", "waited_s", "laws"),
    [
        ("red", 0.0, [Law.OVERTAKEN]),
        ("blue", 0.0, []),
        ("blue", RELAXED_S, [Law.OVERTAKEN]),
        ("", RELAXED_S, []),
    ],
)
def test_a_caller_is_overtaken_only_by_who_gets_somebody_to_whom_their_queue_turns(
    team: str, waited_s: float, laws: list[Law]
) -> None:
    tale = Tale()
    tale.can("a01", {}, team=team)
    tale.presence("a01")
    tale.waits("c1", holder="b1", queue="scoped", waited_s=waited_s)
    seen = tale.waits("c2", queue="ages")
    tale.gets("c2", "a01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen)
    assert tale.laws() == laws


@pytest.mark.parametrize(
    ("team", "waits_s", "laws"),
    [
        ("red", SERVED_S + 1.0, [Law.FORGOTTEN]),
        ("blue", SERVED_S + 1.0, []),
        ("blue", RELAXED_S + SERVED_S + 1.0, [Law.FORGOTTEN]),
        ("", RELAXED_S + SERVED_S + 1.0, []),
    ],
)
def test_a_caller_is_forgotten_only_beside_somebody_to_whom_their_queue_turns(
    team: str, waits_s: float, laws: list[Law]
) -> None:
    tale = Tale()
    tale.can("a01", {}, team=team)
    tale.presence("a01")
    tale.waits("c1", queue="scoped")
    tale.now(waits_s)
    tale.ends("c1")
    assert tale.laws() == laws


def test_agents_who_are_alike_for_all_who_wait_are_counted_together() -> None:
    """With a kind for each of them all ways could not be tried."""
    line = [Asking((Asked(scope=Scope(teams=(team,))),)) for team in ("red", "blue")] * 20
    crew = Counter(
        Able(site=f"{number}", team=team) for team in ("red", "blue") for number in range(40)
    )
    assert overtaken(line, crew, Able()) is None
    assert overtaken(line * 2, crew, Able(team="red")) is None
    assert overtaken([*line * 2, line[0]], crew, Able(team="red")) == 80


@in_virtual_time
@pytest.mark.parametrize(
    ("bug", "laws"),
    [
        ("scope_ignored", {Law.UNSKILLED, Law.OVERTAKEN}),
        ("scope_never_widened", {Law.OVERTAKEN}),
    ],
)
async def test_a_bug_of_scopes_breaks_these_laws_alone(
    bug: str, laws: set[Law], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, bug)
    found = await broken_laws(seed=3, seconds=5.0, wanted=20)
    assert found
    assert found <= laws
