from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.attendance import (
    LONGEST_REST_S,
    UNANSWERED,
    Attendance,
    NoRest,
    RestChange,
    attendance,
    presence_due,
    rest_changed,
)
from edge.acd.eligibility import RESERVED_AHEAD_S
from edge.acd.match import match, next_due_s
from edge.acd.work import idle_before_s, work_after
from state import keys
from state.model import (
    Agent,
    AgentId,
    Entry,
    Presence,
    PresenceState,
    Readiness,
    SiteId,
    Wish,
    Work,
    WorkEnd,
)
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, at

ANN = AgentId("ann")
AGENT = Agent(id=ANN, name="ann", site=SiteId("a"), skills={}, pause_after=3)
P = PresenceState


def wish(
    readiness: Readiness, *, revision: int = 10, reason: str = "", by: str = ""
) -> Entry[Wish]:
    value = Wish(agent=ANN, readiness=readiness, reason=reason, by=by)
    return Entry(value=value, create_revision=1, mod_revision=revision, seen_s=NOW.mono_s)


def work(unanswered: int, *, end: WorkEnd = WorkEnd.NO_ANSWER) -> Entry[Work]:
    value = Work(agent=ANN, unanswered=unanswered, end=end)
    return Entry(value=value, create_revision=1, mod_revision=20, seen_s=NOW.mono_s)


def held(state: PresenceState, *, reason: str = "", site: str = "a") -> Entry[Presence]:
    value = Presence(agent=ANN, site=SiteId(site), state=state, since_ms=5, reason=reason)
    return Entry(value=value, create_revision=1, mod_revision=30, seen_s=NOW.mono_s)


READY = wish(Readiness.READY)


@pytest.mark.parametrize(
    ("registered", "asked", "done", "expected"),
    [
        (False, READY, None, Attendance(P.SIGNED_OUT)),
        (True, None, None, Attendance(P.PAUSED)),
        (True, READY, None, Attendance(P.READY)),
        (True, wish(Readiness.PAUSED, reason="lunch"), None, Attendance(P.PAUSED, "lunch")),
        (
            True,
            wish(Readiness.SIGNED_OUT, reason="shift over", by="sue"),
            None,
            Attendance(P.SIGNED_OUT, "shift over"),
        ),
        (True, READY, work(2), Attendance(P.READY)),
        (True, READY, work(3), Attendance(P.PAUSED, UNANSWERED)),
        (True, wish(Readiness.READY, revision=21), work(3), Attendance(P.READY)),
        (True, READY, work(4), Attendance(P.READY)),
        (True, READY, work(6), Attendance(P.PAUSED, UNANSWERED)),
        (True, READY, work(3, end=WorkEnd.WITHDRAWN), Attendance(P.READY)),
        (True, READY, work(0, end=WorkEnd.TALKED), Attendance(P.READY)),
    ],
    ids=[
        "no telephone",
        "never said anything",
        "ready",
        "paused with a reason",
        "sent home by a supervisor",
        "let two ring",
        "let three ring",
        "is back since",
        "is back and let one ring",
        "is back and let three ring",
        "is back and a caller left",
        "talked",
    ],
)
def test_what_the_home_site_says(
    *, registered: bool, asked: Entry[Wish] | None, done: Entry[Work] | None, expected: Attendance
) -> None:
    assert attendance(AGENT, registered=registered, wish=asked, work=done) == expected


def test_by_default_nobody_is_paused_for_letting_it_ring() -> None:
    patient = replace(AGENT, pause_after=0)
    found = attendance(patient, registered=True, wish=READY, work=work(30))
    assert found.state is P.READY


@pytest.mark.parametrize(
    ("end", "count"),
    [
        (WorkEnd.NO_ANSWER, 3),
        (WorkEnd.WITHDRAWN, 2),
        (WorkEnd.UNREACHABLE, 2),
        (WorkEnd.DECLINED, 0),
        (WorkEnd.TALKED, 0),
    ],
)
def test_only_offers_that_rang_for_nothing_count_as_unanswered(end: WorkEnd, count: int) -> None:
    before = Work(agent=ANN, unanswered=2)
    after = work_after(ANN, before, end=end, rest_s=0.0, idle_s=0.0, busy_s=0.0, at=NOW)
    assert after.unanswered == count


# ---- what is written -----------------------------------------------------------------------------


def test_a_presence_is_written_when_something_changed_and_only_then() -> None:
    paused = Attendance(P.PAUSED, "lunch")
    made = presence_due(None, AGENT, paused, WALL_MS)
    assert made == Presence(
        agent=ANN, site=AGENT.site, state=P.PAUSED, since_ms=WALL_MS, reason="lunch"
    )
    assert presence_due(None, AGENT, Attendance(P.SIGNED_OUT), WALL_MS) is None
    assert presence_due(held(P.PAUSED, reason="lunch"), AGENT, paused, WALL_MS) is None
    moved = presence_due(held(P.PAUSED, reason="lunch", site="b"), AGENT, paused, WALL_MS)
    assert moved == made


def test_another_reason_does_not_begin_the_pause_anew() -> None:
    before = held(P.PAUSED, reason="lunch")
    after = presence_due(before, AGENT, Attendance(P.PAUSED, "training"), WALL_MS)
    assert after == replace(before.value, reason="training")
    ready = presence_due(before, AGENT, Attendance(P.READY), WALL_MS)
    assert ready == replace(before.value, state=P.READY, reason="", since_ms=WALL_MS)


# ---- the rest ------------------------------------------------------------------------------------


def resting(rest_s: float = 30.0) -> World:
    world = World()
    world.agent("ann", sales=1)
    world.work("ann", seen_s=NOW.mono_s, rest_s=rest_s)
    return world


def change(world: World, how: RestChange, *, by_s: float = 0.0, after_s: float = 0.0) -> None:
    """Let ann's home edge change her rest, and all see it in the same instant."""
    snapshot, now = world.snapshot, at(after_s)
    found = rest_changed(snapshot.presences[ANN], snapshot.works[ANN], how, by_s, now)
    assert isinstance(found, Presence)
    world.put(keys.presence(ANN), found, seen_s=now.mono_s)


def test_a_rest_that_is_finished_early_is_over_at_once() -> None:
    world = resting()
    world.ticket(1, sales=1)
    assert match(world.snapshot, at(5)) == ()
    change(world, RestChange.FINISH, after_s=5.0)
    assert [each.agent for each in match(world.snapshot, at(5))] == ["ann"]
    assert next_due_s(world.snapshot, at(5)) is None
    assert idle_before_s(world.snapshot.presences[ANN], world.snapshot.works[ANN], at(7)) == 2.0


def test_a_rest_can_be_prolonged_more_than_once() -> None:
    world = resting()
    change(world, RestChange.EXTEND, by_s=20.0, after_s=5.0)
    assert next_due_s(world.snapshot, at(5)) == NOW.mono_s + 50.0 - RESERVED_AHEAD_S
    assert agent_states(world.snapshot, at(49.9)) == {ANN: AgentState.WRAP_UP}
    change(world, RestChange.EXTEND, by_s=10.0, after_s=45.0)
    assert agent_states(world.snapshot, at(59.9)) == {ANN: AgentState.WRAP_UP}
    assert agent_states(world.snapshot, at(60)) == {ANN: AgentState.READY}


def test_a_changed_rest_is_of_one_offer_and_not_of_the_next() -> None:
    world = resting()
    change(world, RestChange.EXTEND, by_s=500.0)
    world.work("ann", seen_s=NOW.mono_s + 60.0, rest_s=3.0)
    assert agent_states(world.snapshot, at(62.9)) == {ANN: AgentState.WRAP_UP}
    assert agent_states(world.snapshot, at(63)) == {ANN: AgentState.READY}


def test_a_pause_does_not_give_a_changed_rest_back() -> None:
    world = resting()
    change(world, RestChange.FINISH, after_s=1.0)
    entry = world.snapshot.presences[ANN]
    paused = presence_due(entry, AGENT, Attendance(P.PAUSED, "lunch"), WALL_MS)
    assert paused is not None
    assert (paused.rest_of, paused.rest_s) == (entry.value.rest_of, entry.value.rest_s)


def test_who_does_not_rest_has_no_rest_to_change() -> None:
    world = resting(rest_s=5.0)
    snapshot = world.snapshot
    done, there = snapshot.works[ANN], snapshot.presences[ANN]
    for how in RestChange:
        assert rest_changed(there, done, how, 10.0, at(5)) is NoRest.NOT_RESTING
        assert rest_changed(there, None, how, 10.0, at(0)) is NoRest.NOT_RESTING
        assert rest_changed(None, done, how, 10.0, at(0)) is NoRest.NOT_SIGNED_IN
        assert rest_changed(held(P.SIGNED_OUT), done, how, 10.0, at(0)) is NoRest.NOT_SIGNED_IN


@given(
    rest_s=st.floats(0.1, 4000),
    after_s=st.floats(0, 4000),
    by_s=st.floats(-10, 1e6),
    how=st.sampled_from(RestChange),
)
@PATIENT
def test_no_rest_is_prolonged_beyond_all_measure_and_none_ends_before_now(
    rest_s: float, after_s: float, by_s: float, how: RestChange
) -> None:
    world = resting(rest_s)
    snapshot = world.snapshot
    found = rest_changed(snapshot.presences[ANN], snapshot.works[ANN], how, by_s, at(after_s))
    if isinstance(found, NoRest):
        assert after_s >= rest_s or found is NoRest.NOT_SIGNED_IN
    elif how is RestChange.FINISH:
        assert found.rest_s == pytest.approx(after_s, abs=1e-6)
    else:
        assert rest_s <= found.rest_s <= max(LONGEST_REST_S, rest_s)
