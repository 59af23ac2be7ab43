"""Who may have a call, and who comes first, where not every agent suits every call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.prove.center import DIALLED, DIDS, QUEUES, SKILLS, configuration
from drills.prove.history import FaultKind, PassedOn
from drills.prove.laws_waiting import SERVED_S
from drills.prove.needs import Able, Asked, Queues, asked_by, meets
from drills.prove.turns import Asking, overtaken
from drills.prove.violations import Law
from edge.acd.eligibility import capacity, unsuited_because
from edge.acd.relaxation import in_force
from state.keys import Kind as Key
from state.model import AgentId, Channel, Entry, Outcome, Queue, SkillId, Ticket
from tests.prove.histories import NOBODY, Tale, call_id
from tests.prove.tale_center import BOTH, RELAXED_S, TALK, TECH, can

CENTER: Queues = {queue.id: (queue, 0) for queue in QUEUES}
ENTRIES = {
    queue.id: Entry(value=queue, create_revision=1, mod_revision=1, seen_s=0.0) for queue in QUEUES
}
TALKS, KNOWS_LITTLE, KNOWS = {TALK: 3}, {TALK: 3, TECH: 3}, {TALK: 1, TECH: 5}


def _tale(**skills: dict[SkillId, int]) -> Tale:
    tale = Tale()
    for agent, levels in skills.items():
        tale.can(agent, levels)
        tale.presence(agent)
    return tale


# -- the center


def test_few_agents_suit_every_queue_and_one_queue_goes_first() -> None:
    made = configuration({"a": "198.18.1.10:5060"})
    asks = [asked_by(queue, 0.0, CENTER) for queue in QUEUES]
    suits = [sum(meets(Able.of(agent), asked) for asked in asks) for agent in made.agents]
    assert suits == [5, 4, 4, 2, 3, 1, 2, 2, 0, 2, 1]
    assert len({queue.priority for queue in QUEUES}) == 2
    overflows = {step.overflow for queue in QUEUES for step in queue.steps} - {None}
    assert {DIDS[did] for did in DIALLED} == {queue.id for queue in QUEUES} - overflows
    assert [agent.skills for agent in made.agents] == list(SKILLS)


@pytest.mark.parametrize("waited_s", [0.0, 0.2, 0.3, 0.9, 1.0, 1.4, 1.5, 2.0, 20.0])
def test_the_edge_and_the_proof_agree_on_who_suits_a_queue(waited_s: float) -> None:
    """They share no code; this center is where both have to know the same."""
    ticket = Tale().arrives("c1")
    for queue, agent in product(QUEUES, configuration({"a": "198.18.1.10:5060"}).agents):
        if capacity(agent, Channel.VOICE) == 0:
            continue
        effective = in_force(queue, _in(queue, ticket), waited_s, queues=ENTRIES)
        suits = unsuited_because(agent, effective.needs) is None
        assert meets(Able.of(agent), asked_by(queue, waited_s, CENTER)) is suits


def _in(queue: Queue, ticket: Ticket) -> Ticket:
    return replace(
        ticket,
        queue=queue.id,
        tenant=queue.tenant,
        needs=queue.needs,
        any_of=queue.any_of,
        attributes=queue.attributes,
    )


# -- who may have a call


@pytest.mark.parametrize(
    ("queue", "levels", "suits"),
    [
        ("q", TALKS, True),
        ("tech", TALKS, False),
        ("tech", KNOWS_LITTLE, False),
        ("tech", KNOWS, True),
        ("q", KNOWS, False),
        ("first", TALKS, False),
    ],
)
def test_an_agent_without_the_skill_or_of_too_low_a_level_may_not_be_given(
    queue: str,
    levels: dict[SkillId, int],
    suits: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    for is_at_once in (True, False):
        tale = _tale(a01=levels)
        if is_at_once:
            tale.ticket(tale.arrives("c1", queue=queue))
        else:
            tale.waits("c1", queue=queue)
        tale.gets("c1", "a01")
        assert tale.laws() == ([] if suits else [Law.UNSKILLED])


def test_who_knows_less_may_be_given_once_the_caller_can_have_waited_for_so_long() -> None:
    for waits_s, laws in ((RELAXED_S - 1.0, [Law.UNSKILLED]), (RELAXED_S, [])):
        tale = _tale(a01=KNOWS_LITTLE)
        tale.waits("c1", queue="tech")
        tale.now(waits_s)
        tale.gets("c1", "a01")
        assert tale.laws() == laws


@pytest.mark.parametrize(
    ("target", "laws"), [("a1", []), ("b1", [Law.UNSKILLED])], ids=["own", "other"]
)
def test_how_long_a_caller_has_waited_is_left_open_while_their_edges_clock_is_wrong(
    target: str, laws: list[Law]
) -> None:
    for levels, found in ((KNOWS_LITTLE, laws), (TALKS, [Law.UNSKILLED])):
        tale = _tale(a01=levels)
        tale.breaks(FaultKind.WRONG_CLOCK, target)
        tale.waits("c1", queue="tech")
        tale.gets("c1", "a01")
        assert tale.laws() == found


def test_a_caller_whose_ticket_names_another_queue_than_they_dialled_is_judged_by_theirs() -> None:
    tale = _tale(a01=TALKS)
    ticket = tale.arrives("c1", queue="tech")
    tale.store(tale.ticket(replace(ticket, queue=QUEUES[0].id, needs=QUEUES[0].needs)))
    tale.gets("c1", "a01")
    assert tale.laws() == [Law.UNSKILLED]


def test_whom_somebody_passes_a_caller_on_to_may_be_anybody() -> None:
    tale = _tale(a01=BOTH, b01=TALKS)
    tale.waits("c1", queue="tech")
    tale.gets("c1", "a01")
    tale.connects("c1")
    tale.is_passed_on("c1")
    tale.target("c1", "b01")
    assert tale.laws() == []


@pytest.mark.parametrize("is_chosen", [True, False])
def test_whom_a_site_gave_alone_suits_unless_somebody_has_chosen_them(
    is_chosen: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    tale = _tale(a01=TALKS)
    tale.waits("c1", queue="tech")
    if is_chosen:
        by = AgentId("b01")
        tale.note(PassedOn(at_s=tale.now(), agent=by, call=call_id("c1"), to="a01"))
    offer = replace(tale.offer_of("c1", "a01"), granted=3)
    ticket = replace(tale.arrives("c1", queue="tech"), agent=AgentId("a01"))
    tale.store((Key.OFFER, "a01", offer), tale.ticket(ticket))
    assert tale.laws() == ([] if is_chosen else [Law.UNSKILLED])


# -- who comes first


def _is_served(
    tale: Tale, call: str, agent: str, seen: int, asked: Mapping[str, str] = NOBODY
) -> list[Law]:
    tale.gets(call, agent)
    tale.talks(call)
    tale.ends(call, Outcome.ANSWERED, decided_at=seen, asked=asked)
    return tale.laws()


def test_a_caller_is_overtaken_only_by_who_gets_somebody_whom_they_could_have_had() -> None:
    for levels, laws in ((BOTH, [Law.OVERTAKEN]), (KNOWS, []), (TALKS, [Law.OVERTAKEN])):
        tale = _tale(a01=levels)
        tale.waits("c1", holder="b1")
        seen = tale.waits("c2", queue="q" if levels is TALKS else "tech")
        assert _is_served(tale, "c2", "a01", seen) == laws


def test_a_free_agent_whom_the_first_caller_cannot_have_excuses_nobody() -> None:
    tale = _tale(a01=TALKS, a02=KNOWS)
    tale.waits("c1", holder="b1")
    seen = tale.waits("c2")
    assert _is_served(tale, "c2", "a01", seen) == [Law.OVERTAKEN]


def test_the_higher_priority_goes_first_and_the_lower_does_not() -> None:
    for later, laws in (("first", []), ("q", [Law.OVERTAKEN])):
        tale = _tale(a01=BOTH)
        tale.waits("c1", queue="q" if later == "first" else "first")
        seen = tale.waits("c2", queue=later)
        assert _is_served(tale, "c2", "a01", seen) == laws


def test_who_would_have_had_another_lets_the_next_have_them() -> None:
    """The first takes the only one whom they suit: so the second has to get who is left."""
    tale = _tale(a01=KNOWS, a02=BOTH)
    tale.waits("c1", holder="b1", queue="tech")
    tale.waits("c2", holder="b1", queue="tech")
    seen = tale.waits("c3")
    assert _is_served(tale, "c3", "a02", seen) == [Law.OVERTAKEN]


def test_who_was_asked_for_before_somebody_more_urgent_came_is_not_theirs() -> None:
    """They wait for a moment; the next may have whom they cannot."""
    for asked, laws in (({"c1": "a01"}, []), ({}, [Law.OVERTAKEN])):
        tale = _tale(a01=BOTH, a02=TALKS)
        tale.waits("c1", holder="b1")
        tale.waits("c2", holder="b1", queue="first")
        seen = tale.waits("c3")
        assert _is_served(tale, "c3", "a02", seen, asked) == laws


def test_what_was_asked_for_excuses_nobody_who_gets_whom_another_could_have_had() -> None:
    tale = _tale(a01=BOTH)
    tale.waits("c1", holder="b1")
    seen = tale.waits("c2")
    assert _is_served(tale, "c2", "a01", seen, {"c1": "a01"}) == [Law.OVERTAKEN]


def test_whether_a_step_was_in_force_for_somebody_else_is_left_open() -> None:
    for waited_s, laws in ((0.0, []), (RELAXED_S, [Law.OVERTAKEN])):
        tale = _tale(a01=KNOWS_LITTLE)
        tale.waits("c1", holder="b1", queue="tech", waited_s=waited_s)
        tale.now(RELAXED_S + 1.0)
        seen = tale.waits("c2")
        assert _is_served(tale, "c2", "a01", seen) == laws


def test_an_agent_who_was_not_free_on_the_snapshot_cannot_have_been_chosen_on_it() -> None:
    tale = _tale(a01=BOTH)
    seen = tale.waits("c1")
    tale.can("a02", BOTH)
    tale.presence("a02")
    assert _is_served(tale, "c1", "a02", seen) == [Law.OVERTAKEN]


KINDS = tuple(can(each) for each in (BOTH, TALKS, KNOWS))
ASKS = tuple(asked_by(queue, 0.0, CENTER) for queue in QUEUES)


def _any_way(line: Sequence[Asking], crew: Counter[Able], winner: Able) -> bool:
    """Tell, by trying everything, whether all of a line can have had their turn."""
    if not line:
        return True
    first, *rest = line
    theirs = [kind for kind in +crew if first.may_take(kind)]
    if any(_any_way(rest, crew - Counter([kind]), winner) for kind in theirs):
        return True
    has_to = any(first.must_take(kind) for kind in (winner, *+crew))
    return not has_to and _any_way(rest, crew, winner)


@given(
    st.lists(st.sampled_from(ASKS), max_size=5),
    st.lists(st.sampled_from(KINDS), max_size=4),
    st.sampled_from(KINDS),
)
def test_all_ways_are_tried(asks: list[Asked], free: list[Able], winner: Able) -> None:
    line = [Asking((each,)) for each in asks]
    place = overtaken(line, Counter(free), winner)
    assert (place is None) is _any_way(line, Counter(free), winner)
    if place is not None:
        assert _any_way(line[:place], Counter(free), winner)
        assert line[place].must_take(winner) or any(line[place].must_take(kind) for kind in free)


@given(st.integers(0, 6), st.integers(0, 6))
def test_where_all_suit_all_as_many_may_be_passed_as_others_are_free(ahead: int, free: int) -> None:
    both = KINDS[0]
    line = [Asking((ASKS[0],))] * ahead
    assert (overtaken(line, Counter({both: free}), both) is None) is (ahead <= free)


# -- nobody forgotten


@pytest.mark.parametrize(
    ("levels", "waits_s", "laws"),
    [
        (TALKS, SERVED_S + RELAXED_S + 1.0, []),
        (KNOWS, SERVED_S + 1.0, [Law.FORGOTTEN]),
        (KNOWS_LITTLE, SERVED_S + 1.0, []),
        (KNOWS_LITTLE, SERVED_S + RELAXED_S + 1.0, [Law.FORGOTTEN]),
    ],
)
def test_a_caller_is_forgotten_only_beside_somebody_who_can_help_them(
    levels: dict[SkillId, int], waits_s: float, laws: list[Law]
) -> None:
    tale = _tale(a01=levels)
    tale.waits("c1", queue="tech")
    tale.now(waits_s)
    tale.ends("c1")
    assert tale.laws() == laws
