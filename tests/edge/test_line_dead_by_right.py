"""A line that dies while its owner is silent by right: they hold, or have muted themselves."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.call_events import Side
from edge.acd.fallen_silent import AGAIN_S, LOOK_S, PATIENCE_BY_RIGHT_S
from edge.calls.call import CallShell
from edge.sip.events import LegId
from state.model import AgentId, Outcome, SiteId, TicketState, WorkEnd
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.lines import ASKED_WITHIN_S, GIVEN_UP_S, asked, speak, talk
from tests.edge.one_edge import Edge
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, settle, until

BY_RIGHT = {
    "the agent holds": (Side.AGENT, AGENT_SDP.replace(b"sendrecv", b"inactive")),
    "the agent is muted": (Side.AGENT, AGENT_SDP.replace(b"sendrecv", b"recvonly")),
    "the caller holds": (Side.CALLER, CALLER_SDP.replace(b"sendrecv", b"sendonly")),
    "the caller is muted": (Side.CALLER, CALLER_SDP.replace(b"sendrecv", b"recvonly")),
}


async def _silent(edge: Edge, who: str) -> tuple[LegId, LegId, LegId]:
    """Bring two together, of whom one may be silent by their own word; return both, and that one's.

    `who`: a key of `BY_RIGHT`.
    """
    theirs, ours = await talk(edge)
    one, offer = BY_RIGHT[who]
    edge.sip.offer(leg := ours if one is Side.AGENT else theirs, offer)
    await settle()
    return theirs, ours, leg


async def _others_speak(edge: Edge, who: str, seconds: float) -> None:
    one, _ = BY_RIGHT[who]
    await speak(edge, int(seconds), agent=one is Side.CALLER, caller=one is Side.AGENT)


@pytest.mark.parametrize("who", BY_RIGHT)
@in_virtual_time
async def test_who_is_silent_by_right_is_asked_seldom_and_left_alone_if_they_answer(
    who: str,
) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours, silent = await _silent(a1, who)
        await _others_speak(a1, who, AGAIN_S - 1)
        assert not asked(a1, silent)
        await _others_speak(a1, who, LOOK_S + 3)
        assert asked(a1, silent) == 1
        a1.sip.tell_of(silent, is_there=True)
        for times in (2, 3):
            await _others_speak(a1, who, AGAIN_S + LOOK_S)
            assert asked(a1, silent) == times
            a1.sip.tell_of(silent, is_there=True)
        assert a1.state_of(theirs) == "connected"
        assert asked(a1, theirs) + asked(a1, ours) == 3, "the other one is heard"


@pytest.mark.parametrize("who", BY_RIGHT)
@in_virtual_time
async def test_of_who_is_silent_by_right_silence_alone_ends_nothing(who: str) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, _, _ = await _silent(a1, who)
        await _others_speak(a1, who, 4 * AGAIN_S)
        assert a1.state_of(theirs) == "connected"


@pytest.mark.parametrize("how", ["holds", "is muted"])
@in_virtual_time
async def test_a_caller_whose_agents_line_dies_while_they_are_silent_by_right_waits_for_another(
    how: str,
) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        who = f"the agent {how}"
        theirs, _, ours = await _silent(a1, who)
        await _others_speak(a1, who, AGAIN_S + LOOK_S)
        a1.sip.tell_of(ours, is_there=False)
        await _others_speak(a1, who, PATIENCE_BY_RIGHT_S - 1)
        assert a1.state_of(theirs) == "connected", "they may be changing networks"
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=GIVEN_UP_S)
        assert a1.state_of(theirs) == "queued"
        assert a1.snapshot.works[AgentId("ann")].value.end is WorkEnd.TALKED
        (ticket,) = a1.snapshot.tickets.values()
        assert ticket.value.state is TicketState.QUEUED
        a1.sip.vanish(ours)
        a1.sip.answer_ours(theirs)
        await made.agent("bob")
        bob = await a1.joined(theirs, "bob")
        await a1.sees_them_talk()
        assert agent_states(a1.snapshot, a1.clock.now())[AgentId("bob")] is AgentState.TALKING
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(bob)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "bob")
        assert [each.holds for each in record.talks] == [int(how == "holds"), 0]
        await made.nothing_is_left()


@pytest.mark.parametrize("how", ["holds", "is muted"])
@in_virtual_time
async def test_a_caller_whose_line_dies_while_they_are_silent_by_right_is_missed(how: str) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        who = f"the caller {how}"
        theirs, ours, _ = await _silent(a1, who)
        await _others_speak(a1, who, AGAIN_S + LOOK_S)
        a1.sip.tell_of(theirs, is_there=False)
        await _others_speak(a1, who, PATIENCE_BY_RIGHT_S + LOOK_S)
        assert "caller_silent" in a1.sip.open[ours].reasons[-1]
        a1.sip.hang_up(ours)
        a1.sip.vanish(theirs)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.cause) == (Outcome.LOST, "caller_silent")
        await until(lambda: bool(a1.snapshot.places), "their place is kept")
        (place,) = a1.snapshot.places.values()
        assert place.value.prefers == "ann"


@in_virtual_time
async def test_an_agent_who_holds_learns_that_the_callers_line_has_died() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, _, ours = await _silent(a1, "the agent holds")
        await speak(a1, ASKED_WITHIN_S, agent=False, caller=False)
        assert asked(a1, theirs) == 1
        a1.sip.tell_of(theirs, is_there=False)
        await speak(a1, GIVEN_UP_S, agent=False, caller=False)
        assert "caller_silent" in a1.sip.open[ours].reasons[-1]


@in_virtual_time
async def test_who_waits_and_holds_is_missed_once_their_line_has_died() -> None:
    async with center(edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        await speak(a1, 10)
        a1.sip.offer(theirs, BY_RIGHT["the caller holds"][1])
        await settle()
        await speak(a1, AGAIN_S + LOOK_S, caller=False)
        assert asked(a1, theirs) == 1
        a1.sip.tell_of(theirs, is_there=False)
        await speak(a1, PATIENCE_BY_RIGHT_S + LOOK_S, caller=False)
        assert "bye" in a1.sip.open[theirs].said
        a1.sip.vanish(theirs)
        assert (await made.record(a1, theirs)).cause == "caller_silent"


@pytest.mark.parametrize("is_heard", [True, False])
@in_virtual_time
async def test_who_comes_back_from_hold_between_question_and_verdict_goes_on_talking(
    *, is_heard: bool
) -> None:
    """Who says so is there; also if nothing is heard of them yet."""
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, _, ours = await _silent(a1, "the agent holds")
        await speak(a1, AGAIN_S + LOOK_S, agent=False)
        assert asked(a1, ours) == 1
        await speak(a1, PATIENCE_BY_RIGHT_S - 2, agent=False)
        a1.sip.offer(ours, AGENT_SDP)
        await settle()
        a1.sip.tell_of(ours, is_there=False)
        await speak(a1, 3, agent=is_heard)
        assert a1.state_of(theirs) == "connected"
        await speak(a1, 30)
        assert a1.state_of(theirs) == "connected"
        assert asked(a1, ours) == 1


@in_virtual_time
async def test_who_holds_and_answers_when_asked_again_is_there() -> None:
    """The stack asks again some seconds after a proxy has said that they cannot be reached."""
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, _, ours = await _silent(a1, "the agent holds")
        await speak(a1, AGAIN_S + LOOK_S, agent=False)
        a1.sip.tell_of(ours, is_there=False)
        await speak(a1, PATIENCE_BY_RIGHT_S - 2, agent=False)
        a1.sip.tell_of(ours, is_there=True)
        await speak(a1, AGAIN_S - 5, agent=False)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_an_agent_who_holds_is_not_given_up_on_the_word_of_a_proxy_that_was_frozen() -> None:
    async with center(edges=("a1", "b1")) as made:
        await made.agent("ann", site="b")
        a1 = made.edges["a1"]
        theirs, _, ours = await _silent(a1, "the agent holds")
        await speak(a1, AGAIN_S + LOOK_S, agent=False)
        assert asked(a1, ours) == 1
        a1.unreachable = frozenset({SiteId("b")})
        await speak(a1, 4, agent=False)
        a1.unreachable = frozenset()
        a1.sip.tell_of(ours, is_there=False)
        await speak(a1, AGAIN_S - 1, agent=False)
        assert a1.state_of(theirs) == "connected"
        await speak(a1, LOOK_S + 3, agent=False)
        assert asked(a1, ours) == 2, "asked anew now that they can answer"


@in_virtual_time
async def test_who_holds_at_a_host_where_nobody_has_answered_is_not_given_up() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        with patch.object(CallShell, "host_of", lambda _call, _side: "new"):
            theirs, _, ours = await _silent(a1, "the agent holds")
            assert asked(a1, ours) == 1
            a1.sip.tell_of(ours, is_there=False)
            await speak(a1, 60, agent=False)
            assert asked(a1, ours) == 1
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_hold_taken_up_by_the_next_life_is_watched(tmp_path: Path) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, _, ours = await _silent(a1, "the agent holds")
        heir = await made.next_life(a1, tmp_path)
        await heir.takeover().run()
        before = asked(heir, ours)
        await speak(heir, AGAIN_S + LOOK_S + 2, agent=False)
        assert asked(heir, ours) == before + 1
        heir.sip.tell_of(ours, is_there=False)
        await speak(heir, PATIENCE_BY_RIGHT_S + LOOK_S, agent=False)
        assert "bye" in heir.sip.open[ours].said
        assert heir.state_of(theirs) != "connected"
