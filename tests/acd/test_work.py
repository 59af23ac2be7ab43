from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.ending import AgentPart
from edge.acd.granting import reserved
from edge.acd.match import match
from edge.acd.plan import Held
from edge.acd.reservation import freeing_of, given_agent
from edge.acd.work import WINDOW_S, idle_before_s, idle_told_s, rest_over_s, work_after
from state import keys
from state.codec import decode
from state.model import AgentId, EdgeId, Entry, Work, WorkEnd
from tests.acd.worlds import NOW, PATIENT, World, at

ANN = AgentId("ann")


def after(work: Work | None, *, end: WorkEnd = WorkEnd.TALKED, **durations: float) -> Work:
    return work_after(
        ANN,
        work,
        end=end,
        rest_s=durations.get("rest_s", 0.0),
        idle_s=durations.get("idle_s", 0.0),
        busy_s=durations.get("busy_s", 0.0),
        at=NOW,
    )


def test_a_first_call_makes_the_record() -> None:
    done = after(None, rest_s=5.0, idle_s=20.0, busy_s=60.0)
    assert done == Work(
        agent=ANN,
        calls=1,
        busy_s=65.0,
        idle_s=20.0,
        end=WorkEnd.TALKED,
        rest_s=5.0,
        ended_ms=NOW.wall_ms,
        recent_calls=1.0,
    )


def test_what_they_waited_before_calls_without_a_talk_is_told_with_the_next_talk() -> None:
    rung = after(None, end=WorkEnd.NO_ANSWER, idle_s=20.0)
    left = after(rung, end=WorkEnd.WITHDRAWN, idle_s=5.0)
    entry = Entry(value=left, create_revision=1, mod_revision=2, seen_s=0.0)
    assert idle_told_s(entry, 3.0) == 28.0
    talked = after(left, idle_s=3.0)
    assert talked.idle_untold_s == 0.0
    assert idle_told_s(None, 3.0) == 3.0


def test_a_ring_that_was_not_answered_is_no_call_and_its_pause_no_work() -> None:
    before = after(None, busy_s=60.0)
    done = after(before, end=WorkEnd.NO_ANSWER, rest_s=10.0, busy_s=15.0)
    assert (done.calls, done.busy_s, done.rest_s) == (1, 75.0, 10.0)


@PATIENT
@given(durations=st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 5000)), max_size=30))
def test_old_work_fades_so_that_occupancy_follows_the_last_hour(
    durations: list[tuple[float, float]],
) -> None:
    work = None
    for idle_s, busy_s in durations:
        work = after(work, idle_s=idle_s, busy_s=busy_s)
        assert 0.0 <= work.busy_s + work.idle_s <= WINDOW_S * (1 + 1e-9)
    for _ in range(40):
        work = after(work, idle_s=1800.0)
    assert work is None or work.busy_s < 1.0
    assert work is None or work.recent_calls < 41


@pytest.mark.parametrize("rested_s", [5.0, 60.0, 300.0])
@pytest.mark.parametrize("is_holder", [True, False])
def test_a_rest_counts_as_long_as_it_was_and_the_time_after_it_once(
    rested_s: float, *, is_holder: bool
) -> None:
    """A talk of a minute, a wrap-up of a minute that was changed, ten seconds free, a minute."""
    world = World()
    world.agent("ann", sales=1)
    before = after(None, rest_s=60.0, busy_s=60.0)
    revision = world.put(keys.work(ANN), before, seen_s=NOW.mono_s)
    if rested_s != before.rest_s:
        said = world.snapshot.presences[ANN].value
        changed = replace(said, rest_of=revision, rest_s=rested_s)
        world.put(keys.presence(ANN), changed, seen_s=NOW.mono_s + min(rested_s, 60.0))
    call = world.ticket(1, sales=1)
    given_s = rested_s + 10.0
    (offering,) = match(world.snapshot, at(given_s))
    held = Held(ticket=world.snapshot.tickets[call])
    plan = reserved(offering, held, world.snapshot, edge=EdgeId("a1"), at=at(given_s))
    assert plan.after is not None
    given = plan.after.given
    assert given is not None
    if not is_holder:
        given = replace(given_agent(world.snapshot, given.offer), idle_s=given.idle_s)
    freeing = freeing_of(given, AgentPart(end=WorkEnd.TALKED), at(given_s + 60.0))
    done = decode(Work, freeing.proof.value, freeing.proof.key)
    assert (done.busy_s, done.idle_s) == pytest.approx((60.0 + rested_s + 60.0, 10.0))


def test_a_pause_after_a_ring_that_was_prolonged_is_no_work() -> None:
    world = World()
    world.agent("ann")
    done = after(None, end=WorkEnd.NO_ANSWER, rest_s=10.0, busy_s=15.0)
    revision = world.put(keys.work(ANN), done)
    said = replace(world.snapshot.presences[ANN].value, rest_of=revision, rest_s=300.0)
    world.put(keys.presence(ANN), said)
    assert rest_over_s(world.snapshot.presences[ANN], world.snapshot.works[ANN]) == 0.0
    assert rest_over_s(world.snapshot.presences[ANN], None) == 0.0


def test_durations_that_make_no_sense_count_for_nothing() -> None:
    done = after(Work(agent=ANN, busy_s=-3.0, idle_s=-3.0), idle_s=-1.0, busy_s=-1.0, rest_s=-1.0)
    assert (done.busy_s, done.idle_s, done.rest_s) == (0.0, 0.0, 0.0)


def test_idling_is_counted_from_the_end_of_the_rest_or_from_signing_in() -> None:
    world = World()
    world.agent("ann")
    presence = world.snapshot.presences[ANN]
    assert idle_before_s(presence, None, at(7)) == 7.0
    world.work("ann", seen_s=NOW.mono_s, rest_s=5.0)
    work = world.snapshot.works[ANN]
    assert idle_before_s(presence, work, at(7)) == 2.0
    assert idle_before_s(None, work, at(3)) == 0.0
    assert idle_before_s(None, None, at(3)) == 0.0
