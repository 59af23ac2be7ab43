from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from edge.acd.eligibility import Reason, agent_facts, unsuited_because
from edge.acd.match import match, next_due_s
from edge.acd.needs import Needs, asked_of
from edge.acd.relaxation import GUESSED_MOST_S, effective_now, in_force, steps_of, waited_s
from state.model import (
    ANYBODY,
    Agent,
    AgentId,
    AttributeNeed,
    Entry,
    Limit,
    Queue,
    QueueId,
    Scope,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    Talk,
    Ticket,
    TurnAway,
)
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, at, needs, skills, ticket

GOLD = AttributeNeed(name="tier", value="gold")
GERMAN = AttributeNeed(name="language", value="de")
ANN, BOB = AgentId("ann"), AgentId("bob")
SALES = Queue(id=QueueId("sales"), needs=needs(sales=3))
NOTHING = Map[QueueId, Entry[Queue]]()


def agent(name: str = "ann", **fields: object) -> Agent:
    made = Agent(id=AgentId(name), name=name, site=SiteId("a"), skills=skills(sales=3))
    return replace(made, **fields)  # a test names its fields


def entry(place: Ticket, *, seen_s: float = NOW.mono_s, is_found: bool = False) -> Entry[Ticket]:
    return Entry(value=place, create_revision=1, mod_revision=1, seen_s=seen_s, is_found=is_found)


# ---- needs ---------------------------------------------------------------------------------------

ANY = Needs(any_of=(needs(french=2, dutch=4),))


@pytest.mark.parametrize(
    ("who", "wants", "because"),
    [
        (agent(skills=skills(french=2)), ANY, None),
        (agent(skills=skills(french=1, dutch=4)), ANY, None),
        (agent(skills=skills(french=1, dutch=3)), ANY, Reason.SKILL_TOO_LOW),
        (agent(skills=skills(sales=9)), ANY, Reason.MISSING_SKILL),
        (agent(), Needs(all_of=needs(sales=4), any_of=ANY.any_of), Reason.MISSING_SKILL),
        (agent(), Needs(attributes=(GOLD,)), Reason.MISSING_ATTRIBUTE),
        (agent(attributes={"tier": ("silver",)}), Needs(attributes=(GOLD,)), "missing_attribute"),
        (
            agent(attributes={"tier": ("gold",)}),
            Needs(attributes=(GOLD, GERMAN)),
            "missing_attribute",
        ),
        (agent(attributes={"language": ("en", "de")}), Needs(attributes=(GERMAN,)), None),
        (agent(), Needs(only=BOB), Reason.NOT_PREFERRED),
        (agent(), Needs(only=ANN), None),
        (agent(), Needs(scope=Scope(sites=(SiteId("b"),))), Reason.OUT_OF_SCOPE),
        (agent(team="red"), Needs(scope=Scope(teams=("red", "blue"))), None),
        (agent(team="red"), Needs(scope=Scope(teams=("red",), employers=("x",))), "out_of_scope"),
        (agent(employer="x"), Needs(scope=Scope(employers=("x",))), None),
        (agent(employer="x"), Needs(scope=Scope(employers=("",))), Reason.OUT_OF_SCOPE),
        (agent(), Needs(scope=Scope()), None),
    ],
)
def test_an_agent_suits_or_there_is_one_reason(
    who: Agent, wants: Needs, because: Reason | None
) -> None:
    assert unsuited_because(who, wants) == because


def test_of_a_group_the_first_that_is_met_is_what_the_agent_is_asked_for() -> None:
    wants = Needs(all_of=needs(sales=1), any_of=(needs(french=2, dutch=4),))
    assert asked_of(skills(sales=1, dutch=5), wants) == needs(sales=1, dutch=4)
    assert asked_of(skills(sales=1, dutch=5, french=2), wants) == needs(sales=1, french=2)
    assert asked_of(skills(sales=1), wants) == needs(sales=1)


# ---- steps ---------------------------------------------------------------------------------------

WHOLE = Queue(
    id=QueueId("sales"),
    needs=needs(sales=5, french=2),
    any_of=(needs(dutch=3, polish=3),),
    attributes=(GOLD, GERMAN),
    scope=Scope(teams=("red",)),
    priority=1,
)
PLACE = replace(
    ticket(1, wants={"sales": 5, "french": 2}, priority=1),
    any_of=WHOLE.any_of,
    attributes=WHOLE.attributes,
)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            Step(after_s=10, lower=needs(sales=2, dutch=1, french=9)),
            {
                "all_of": needs(sales=2, french=2),
                "any_of": (needs(dutch=1, polish=3),),
            },
        ),
        (Step(after_s=10, drop=(SkillId("french"),)), {"all_of": needs(sales=5)}),
        (Step(after_s=10, drop=(SkillId("polish"),)), {"any_of": ()}),
        (Step(after_s=10, drop_attributes=("tier",)), {"attributes": (GERMAN,)}),
        (Step(after_s=10, scope=ANYBODY), {"scope": ANYBODY}),
    ],
    ids=["lower", "drop", "drop one of a group", "drop an attribute", "widen"],
)
def test_a_step_gives_something_up_from_its_very_second(
    step: Step, expected: dict[str, object]
) -> None:
    queue = replace(WHOLE, steps=(step,))
    before, after = in_force(queue, PLACE, 9.99), in_force(queue, PLACE, 10.0)
    first = Needs.of_queue(WHOLE)
    assert (before.needs, before.step, before.next_due_s) == (first, 0, 10.0)
    assert after.needs == replace(first, **expected)  # as the table says
    assert (after.step, after.next_due_s, after.priority) == (1, None, 1)
    assert after.scope == after.needs.scope


def test_steps_add_up_in_the_order_of_their_times() -> None:
    steps = (
        Step(after_s=30, raise_priority=2, turn_away=TurnAway.CALLBACK),
        Step(after_s=10, raise_priority=1, lower=needs(sales=4)),
        Step(after_s=20, lower=needs(sales=2)),
    )
    queue = replace(WHOLE, steps=steps)
    found = [in_force(queue, PLACE, float(waits_s)) for waits_s in (0, 10, 20, 30)]
    assert [each.step for each in found] == [0, 1, 2, 3]
    assert [each.priority for each in found] == [1, 2, 2, 4]
    assert [each.needs.all_of[0].level for each in found] == [5, 4, 2, 2]
    assert [each.turn_away for each in found] == [None, None, None, TurnAway.CALLBACK]
    assert [each.next_due_s for each in found] == [10, 20, 30, None]


def test_the_longest_wait_is_a_step() -> None:
    refuses = replace(SALES, longest_wait_s=Limit(most=60, turn_away=TurnAway.REFUSE))
    assert in_force(refuses, ticket(1), 59.0).turn_away is None
    assert in_force(refuses, ticket(1), 60.0).turn_away is TurnAway.REFUSE
    overflows = replace(SALES, longest_wait_s=Limit(most=60, overflow=QueueId("help")))
    (step,) = steps_of(overflows)
    assert (step.overflow, step.turn_away) == ("help", None)


def test_a_caller_who_overflows_is_served_by_the_other_queues_needs_and_keeps_the_place() -> None:
    world = World()
    world.set_queue(replace(SALES, steps=(Step(after_s=10, overflow=QueueId("help")),)))
    world.queue("help", help=1)
    world.agent("hal", help=1)
    first = world.set_ticket(ticket(1, sales=3), waits_s=8.0)
    world.ticket(2, queue="help", help=1)
    (offering,) = match(world.snapshot, at(1))
    assert offering.call != first
    (offering,) = match(world.snapshot, at(2))
    assert (offering.call, offering.agent, offering.decision.step) == (first, "hal", 1)
    rules = effective_now(world.snapshot.queues, world.snapshot.tickets[first], at(2))
    assert (rules.queue, rules.needs) == ("help", Needs(all_of=needs(help=1)))


def test_an_overflow_to_a_queue_that_is_not_there_changes_nothing() -> None:
    queue = replace(SALES, steps=(Step(after_s=10, overflow=QueueId("gone")),))
    rules = in_force(queue, ticket(1, sales=3), 10.0, queues=NOTHING)
    assert (rules.queue, rules.needs, rules.step) == ("sales", Needs.of_queue(SALES), 1)


def test_a_ticket_whose_queue_is_gone_is_served_by_what_it_says_itself() -> None:
    rules = in_force(None, PLACE, 1000.0)
    assert rules.needs == replace(Needs.of_queue(WHOLE), scope=ANYBODY)
    assert (rules.priority, rules.step, rules.next_due_s) == (1, 0, None)


# ---- the preferred agent -------------------------------------------------------------------------


def test_a_caller_waits_for_the_preferred_agent_alone_and_only_for_a_time() -> None:
    place = replace(ticket(1, sales=3), prefers=ANN, prefers_for_s=20.0)
    assert in_force(SALES, place, 19.9).needs.only == ANN
    assert in_force(SALES, place, 19.9).next_due_s == 20.0
    assert in_force(SALES, place, 20.0).needs.only is None
    dropped = replace(SALES, steps=(Step(after_s=5, drop_preference=True),))
    assert in_force(dropped, place, 4.9).next_due_s == 5.0
    assert in_force(dropped, place, 5.0).needs.only is None
    assert in_force(SALES, replace(place, tried=(ANN,)), 0.0).needs.only is None


def test_the_preferred_agent_gets_the_call_though_others_suit_it_better() -> None:
    world = World()
    world.agent("ann", sales=9)
    world.agent("bob", sales=3)
    world.set_ticket(replace(ticket(1, sales=3), prefers=ANN, prefers_for_s=20.0))
    (offering,) = match(world.snapshot, NOW)
    assert (offering.agent, offering.decision.excluded) == ("ann", {"not_preferred": 1})
    world.offer("ann")
    assert match(world.snapshot, NOW) == ()
    assert [each.agent for each in match(world.snapshot, at(20))] == ["bob"]


# ---- the clock of waiting ------------------------------------------------------------------------


def test_waiting_goes_on_through_writes_and_readers() -> None:
    place = replace(ticket(1), waited_s=40.0, queued_ms=WALL_MS)
    assert waited_s(entry(place, seen_s=NOW.mono_s - 5), NOW) == 45.0
    assert waited_s(entry(replace(place, waited_s=-1.0), seen_s=NOW.mono_s + 9), NOW) == 0.0


@pytest.mark.parametrize(
    ("queued_ago_s", "expected_s"),
    [(100.0, 100.0), (3.0, 45.0), (-900.0, 45.0), (1e9, 45.0 + GUESSED_MOST_S)],
    ids=["by wall clock", "never less than seen", "a clock ahead", "never far beyond what is seen"],
)
def test_who_found_the_ticket_guesses_within_bounds(queued_ago_s: float, expected_s: float) -> None:
    queued_ms = WALL_MS - round(queued_ago_s * 1000)
    place = replace(ticket(1), waited_s=40.0, queued_ms=queued_ms)
    found = entry(place, seen_s=NOW.mono_s - 5, is_found=True)
    assert waited_s(found, NOW) == pytest.approx(expected_s)
    assert waited_s(replace(found, is_found=False), NOW) == 45.0


def test_who_found_the_ticket_takes_no_talk_for_waiting() -> None:
    """Its agent was lost in talk: the caller waits again, since 30 s."""
    ago = [WALL_MS - round(seconds * 1000) for seconds in (400, 390, 30)]
    talk = Talk(agent=AgentId("ann"), since_ms=ago[1], until_ms=ago[2])
    place = replace(ticket(1), waited_s=10.0, queued_ms=ago[0], talks=(talk,))
    assert waited_s(entry(place, is_found=True), NOW) == pytest.approx(40.0)


def test_a_match_is_due_when_the_next_step_of_one_of_these_calls_falls_due() -> None:
    world = World()
    world.set_queue(replace(SALES, steps=(Step(after_s=10, lower=needs(sales=1)),)))
    world.agent("ann", sales=1)
    call = world.set_ticket(ticket(1, sales=3), waits_s=4.0)
    assert next_due_s(world.snapshot, NOW) is None
    due_s = next_due_s(world.snapshot, NOW, [call, ticket(2).call])
    assert due_s == NOW.mono_s + 6.0
    assert match(world.snapshot, at(5.99)) == ()
    (offering,) = match(world.snapshot, at(6))
    assert (offering.agent, offering.decision.step) == ("ann", 1)
    assert next_due_s(world.snapshot, at(6), [call]) is None


# ---- properties ----------------------------------------------------------------------------------

LEVELS = st.integers(1, 10)
SKILL = st.sampled_from(["sales", "french", "dutch"])
RELAXING = st.builds(
    Step,
    after_s=st.sampled_from([5.0, 10.0, 20.0, 40.0]),
    lower=st.lists(st.builds(SkillNeed, skill=SKILL.map(SkillId), level=LEVELS), max_size=2).map(
        tuple
    ),
    drop=st.lists(SKILL.map(SkillId), max_size=1).map(tuple),
    drop_attributes=st.sampled_from([(), ("tier",)]),
    drop_preference=st.booleans(),
    scope=st.sampled_from([None, ANYBODY]),
    raise_priority=st.integers(0, 3),
)


@given(
    steps=st.lists(RELAXING, max_size=5).map(tuple),
    has=st.dictionaries(SKILL, LEVELS),
    team=st.sampled_from(["red", "blue"]),
    prefers=st.sampled_from([None, ANN, BOB]),
    times=st.tuples(st.floats(0, 60), st.floats(0, 60)).map(sorted),
)
@PATIENT
def test_who_suits_a_caller_suits_them_ever_after_and_their_priority_never_falls(
    steps: tuple[Step, ...],
    has: dict[str, int],
    team: str,
    prefers: AgentId | None,
    times: list[float],
) -> None:
    queue = replace(WHOLE, steps=steps)
    place = replace(PLACE, prefers=prefers, prefers_for_s=15.0)
    who = agent(skills=skills(**has), team=team)
    sooner, later = (in_force(queue, place, waits_s) for waits_s in times)
    if unsuited_because(who, sooner.needs) is None:
        assert unsuited_because(who, later.needs) is None
    assert sooner.priority <= later.priority
    assert sooner.step <= later.step


@given(steps=st.lists(RELAXING, max_size=5).map(tuple), waits_s=st.floats(0, 60))
@PATIENT
def test_nothing_changes_before_the_next_step_is_due(
    steps: tuple[Step, ...], waits_s: float
) -> None:
    queue = replace(WHOLE, steps=steps)
    place = replace(PLACE, prefers=ANN, prefers_for_s=15.0)
    now = in_force(queue, place, waits_s)
    due_s = now.next_due_s
    if due_s is None:
        assert in_force(queue, place, 1e6) == now
        return
    assert due_s > waits_s
    assert in_force(queue, place, (waits_s + due_s) / 2) in {now, in_force(queue, place, due_s)}
    assert in_force(queue, place, due_s).next_due_s != due_s


def test_every_agent_who_is_kept_away_is_so_for_a_reason_that_has_a_name() -> None:
    world = World()
    world.set_queue(replace(SALES, scope=Scope(teams=("red",))))
    world.set_agent(agent("ann", team="red"))
    world.set_agent(agent("bob", team="blue"))
    world.ticket(1, sales=3)
    (offering,) = match(world.snapshot, NOW)
    assert (offering.agent, offering.decision.excluded) == ("ann", {"out_of_scope": 1})
    assert set(agent_facts(world.snapshot)) == {ANN, BOB}
