"""A line that dies while every site lives: nobody is left in silence, or rung for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import patch

import pytest

from edge.acd.call_events import Side
from edge.acd.fallen_silent import AGAIN_S, LOOK_S, LOST_S, MISSING_S, PATIENCE_S
from edge.calls.call import CallShell
from edge.media.errors import MediaRefused, MediaUnavailable
from state.model import AgentId, Outcome, SiteId, WorkEnd
from tests.edge.fake_telephony import AGENT_SDP, THEIR_HOST
from tests.edge.lines import ASKED_WITHIN_S, GIVEN_UP_S, asked, speak, talk
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, until


@in_virtual_time
async def test_a_caller_whose_agents_line_dies_waits_at_the_old_place_for_another() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        assert not asked(a1, ours)
        await speak(a1, ASKED_WITHIN_S, agent=False)
        assert asked(a1, ours) == 1
        assert a1.state_of(theirs) == "connected"
        a1.sip.tell_of(ours, is_there=False)
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=GIVEN_UP_S)
        assert a1.state_of(theirs) == "queued"
        assert a1.snapshot.works[AgentId("ann")].value.end is WorkEnd.TALKED
        assert not asked(a1, theirs)
        a1.sip.vanish(ours)
        a1.sip.answer_ours(theirs)
        await made.agent("bob")
        bob = await a1.joined(theirs, "bob")
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(bob)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "bob")


@in_virtual_time
async def test_a_caller_whose_line_dies_is_missed_and_their_agent_free_for_others() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, caller=False)
        assert (asked(a1, theirs), asked(a1, ours)) == (1, 0)
        a1.sip.tell_of(theirs, is_there=False)
        await speak(a1, PATIENCE_S, caller=False)
        await until(
            lambda: "bye" in a1.sip.open[ours].said, "the agent is let go", within_s=GIVEN_UP_S
        )
        assert "caller_silent" in a1.sip.open[ours].reasons[-1]
        a1.sip.hang_up(ours)
        a1.sip.vanish(theirs)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "caller_silent")
        await until(lambda: bool(a1.snapshot.places), "their place is kept")
        (place,) = a1.snapshot.places.values()
        assert place.value.prefers == "ann"


@pytest.mark.parametrize("answer", ["there", "none yet"])
@in_virtual_time
async def test_a_silent_telephone_that_does_not_fail_to_answer_is_left_alone(answer: str) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, agent=False)
        if answer == "there":
            a1.sip.tell_of(ours, is_there=True)
        await speak(a1, int(AGAIN_S) - 5, agent=False)
        assert asked(a1, ours) == 1, "nor is it asked all the time"
        assert a1.state_of(theirs) == "connected"
        await speak(a1, 8, agent=False)
        assert asked(a1, ours) == (2 if answer == "there" else 1)


@in_virtual_time
async def test_who_is_heard_again_before_the_answer_fails_to_come_goes_on_talking() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, agent=False)
        a1.media.packets += 50
        a1.sip.tell_of(ours, is_there=False)
        await speak(a1, 30)
        assert a1.state_of(theirs) == "connected"
        assert asked(a1, ours) == 1


@pytest.mark.parametrize("why", ["nothing was ever heard", "the relay is away"])
@in_virtual_time
async def test_nobody_is_asked_of_whom_silence_tells_nothing(why: str) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        if why == "nothing was ever heard":
            theirs, ours = await a1.talking("ann")
        else:
            theirs, ours = await talk(a1)
        for _ in range(30):
            if why == "the relay is away":
                a1.media.fails_with["packets_from"] = MediaUnavailable("no answer")
            await speak(a1, 1, agent=False, caller=False)
        assert (asked(a1, theirs), asked(a1, ours)) == (0, 0)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_caller_whose_way_is_cut_is_not_asked_as_nobody_could_answer() -> None:
    async with center(edges=("a1", "b1")) as made:
        await made.agent("ann", site="b")
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        a1.unreachable = frozenset({SiteId("a")})
        await speak(a1, 30, caller=False)
        assert (asked(a1, theirs), asked(a1, ours)) == (0, 0)


@in_virtual_time
async def test_of_two_who_are_silent_the_agent_is_asked_alone() -> None:
    """A caller who is left in silence may have nothing to say."""
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await asyncio.sleep(30.0)
        assert (asked(a1, theirs), asked(a1, ours)) == (0, 1)


@in_virtual_time
async def test_nobody_is_rung_for_a_caller_whose_line_has_died_as_they_waited() -> None:
    async with center(edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        await speak(a1, 10)
        assert not asked(a1, theirs)
        await speak(a1, ASKED_WITHIN_S, caller=False)
        assert asked(a1, theirs) == 1
        a1.sip.tell_of(theirs, is_there=False)
        await until(
            lambda: "bye" in a1.sip.open[theirs].said, "they are let go", within_s=GIVEN_UP_S
        )
        a1.sip.vanish(theirs)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "caller_silent")
        await until(lambda: bool(a1.snapshot.places), "their place is kept")
        await made.agent("ann")
        await asyncio.sleep(5.0)
        assert not a1.sip.rung("ann")
        assert not await made.left()


@in_virtual_time
async def test_who_is_rung_for_a_caller_who_was_being_asked_gets_them() -> None:
    async with center(edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        await speak(a1, 10)
        await speak(a1, ASKED_WITHIN_S, caller=False)
        await made.agent("ann")
        ours = await a1.rung("ann")
        a1.sip.tell_of(theirs, is_there=False)
        await speak(a1, 1, caller=False)
        a1.sip.pick_up(ours)
        await a1.answer_ours(theirs)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_call_that_the_relay_does_not_tell_of_keeps_no_other_from_being_looked_at() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        first = a1.switchboard.held()[0].id
        other = await a1.waiting()
        known = a1.media.packets_from

        async def refuse(call: str) -> object:
            if call == first:
                raise MediaRefused("it will not say")
            return await known(call)

        a1.media.packets_from = refuse  # type: ignore[method-assign,assignment]  # of one call only
        await speak(a1, ASKED_WITHIN_S, caller=False)
        assert asked(a1, other) == 1
        assert (asked(a1, theirs), asked(a1, ours)) == (0, 0)


@in_virtual_time
async def test_a_caller_whose_way_is_cut_while_they_are_asked_is_not_given_up() -> None:
    """The proxy of a site that stood still says that they did not answer, before their answer."""
    async with center(edges=("a1", "b1")) as made:
        await made.agent("ann", site="b")
        a1 = made.edges["a1"]
        theirs, _ = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, caller=False)
        assert asked(a1, theirs) == 1
        a1.unreachable = frozenset({SiteId("a")})
        await speak(a1, 4, caller=False)
        a1.sip.tell_of(theirs, is_there=False)
        await speak(a1, 4, caller=False)
        assert a1.state_of(theirs) == "connected"
        a1.unreachable = frozenset()
        await speak(a1, ASKED_WITHIN_S, caller=False)
        assert a1.state_of(theirs) == "connected"
        assert asked(a1, theirs) == 2, "asked anew now that they can answer"


@in_virtual_time
async def test_who_answers_after_a_proxy_has_given_them_up_is_there() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, agent=False)
        a1.sip.tell_of(ours, is_there=False)
        a1.sip.tell_of(ours, is_there=True)
        await speak(a1, 10, agent=False)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_question_of_which_nothing_comes_is_asked_again() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        _, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, agent=False)
        assert asked(a1, ours) == 1
        await speak(a1, int(LOST_S) + 2, agent=False)
        assert asked(a1, ours) == 2


@in_virtual_time
async def test_nobody_waits_behind_a_caller_whose_line_has_died_for_them_to_hear_goodbye() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        theirs = await a1.waiting()
        await speak(a1, 10)
        next_one = await b1.waiting()
        await speak(a1, ASKED_WITHIN_S, caller=False)
        a1.sip.tell_of(theirs, is_there=False)
        await until(
            lambda: "bye" in a1.sip.open[theirs].said, "they are let go", within_s=GIVEN_UP_S
        )
        await made.agent("ann")
        await until(lambda: bool(b1.sip.rung("ann")), "the next one's turn has come", within_s=1)
        assert b1.state_of(next_one) == "ringing"
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "caller_silent")
        a1.sip.vanish(theirs)


@in_virtual_time
async def test_an_agent_is_free_before_a_dead_line_has_failed_to_answer_goodbye() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, caller=False)
        a1.sip.tell_of(theirs, is_there=False)
        await speak(a1, PATIENCE_S, caller=False)
        await until(
            lambda: "bye" in a1.sip.open[ours].said, "the agent is let go", within_s=GIVEN_UP_S
        )
        a1.sip.hang_up(ours)
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=0.5)
        a1.sip.vanish(theirs)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_call_taken_up_by_the_next_life_is_watched(tmp_path: Path) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await talk(a1)
        heir = await made.next_life(a1, tmp_path)
        await heir.takeover().run()
        assert heir.state_of(theirs) == "connected"
        before = asked(heir, ours)
        heir.sip.tell_of(ours, is_there=False)
        await speak(heir, 10)
        assert asked(heir, ours) == before, "they are heard"
        await speak(heir, ASKED_WITHIN_S, agent=False)
        assert asked(heir, ours) == before + 1
        assert heir.state_of(theirs) == "connected", "what was said before they were asked is old"
        heir.sip.tell_of(ours, is_there=False)
        await until(lambda: heir.state_of(theirs) == "queued", within_s=GIVEN_UP_S)


@in_virtual_time
async def test_who_changes_networks_has_as_long_to_be_heard_again_as_who_does_not_answer() -> None:
    """Of a connection that is closed the proxy says so at once."""
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        while not asked(a1, ours):
            await speak(a1, 1, agent=False)
        a1.sip.tell_of(ours, is_there=False)
        await speak(a1, int(PATIENCE_S) - 1, agent=False)
        await speak(a1, 20)
        assert a1.state_of(theirs) == "connected"


@pytest.mark.parametrize("ms", [0, 10, 1500])
@in_virtual_time
async def test_an_edge_that_dies_of_a_caller_whose_line_had_has_one_record(
    ms: int, tmp_path: Path
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, _ = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, caller=False)
        a1.sip.tell_of(theirs, is_there=False)
        while "bye" not in a1.sip.open[theirs].said:
            a1.media.packets += 1
            await asyncio.sleep(0.001)
        await asyncio.sleep(ms / 1000)
        heir = await made.next_life(a1, tmp_path)
        await heir.takeover().run()
        await asyncio.sleep(5.0)
        (record,) = (await made.records()).values()
        assert (record.outcome, record.cause) == (Outcome.LOST, "caller_silent")
        assert not await made.tickets()
        assert not await made.offers()


@pytest.mark.parametrize("answers", [True, False])
@in_virtual_time
async def test_nobody_is_given_up_whose_like_has_never_answered_such_a_question(
    *, answers: bool
) -> None:
    """There are carriers that pass on no OPTIONS within a dialog, and send nothing in silence."""
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        with patch.object(CallShell, "host_of", lambda _call, _side: "new"):
            theirs, ours = await talk(a1)
            assert (asked(a1, theirs), asked(a1, ours)) == (1, 1), "each once, while it is heard"
            a1.sip.tell_of(theirs, is_there=answers)
            await speak(a1, ASKED_WITHIN_S, caller=False)
            assert asked(a1, theirs) == (2 if answers else 1)
            a1.sip.tell_of(theirs, is_there=False)
            await speak(a1, int(GIVEN_UP_S) + 1, caller=False)
        assert (a1.state_of(theirs) == "connected") is not answers


@in_virtual_time
async def test_a_caller_is_not_asked_while_an_agent_is_silent_whose_host_is_unknown() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        with patch.object(
            CallShell, "host_of", lambda _call, side: THEIR_HOST if side is Side.CALLER else "new"
        ):
            theirs, _ = await talk(a1)
            await asyncio.sleep(30.0)
        assert not asked(a1, theirs)


@in_virtual_time
async def test_an_agent_whose_line_comes_back_with_their_goodbye_leaves_the_caller_waiting() -> (
    None
):
    """They hung up as they heard nobody: the talk had ended before."""
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S, agent=False)
        assert asked(a1, ours) == 1
        await speak(a1, MISSING_S, agent=False)
        a1.sip.hang_up(ours)
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=0.1)
        assert a1.snapshot.works[AgentId("ann")].value.end is WorkEnd.TALKED
        assert a1.state_of(theirs) == "queued"
        a1.sip.answer_ours(theirs)
        await made.agent("bob")
        bob = await a1.joined(theirs, "bob")
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(bob)
        assert (await made.record(a1, theirs)).agent == "bob"


@in_virtual_time
async def test_a_caller_whose_line_comes_back_with_their_goodbye_is_missed() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        await speak(a1, ASKED_WITHIN_S + MISSING_S, caller=False)
        assert asked(a1, theirs) == 1
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "caller_silent")


@pytest.mark.parametrize("why", ["just asked", "has answered", "heard again", "holds"])
@in_virtual_time
async def test_a_goodbye_of_somebody_who_may_be_silent_ends_the_talk_as_any_other(why: str) -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await talk(a1)
        if why == "holds":
            a1.sip.offer(ours, AGENT_SDP.replace(b"sendrecv", b"sendonly"))
        await until(lambda: asked(a1, ours) == 1, "they are asked", within_s=60.0)
        if why == "has answered":
            a1.sip.tell_of(ours, is_there=True)
        if why != "just asked":
            await speak(a1, LOOK_S + 1, agent=why == "heard again")
        a1.sip.hang_up(ours)
        a1.sip.hang_up(theirs)
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, "agent_hung_up")
