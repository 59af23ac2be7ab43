"""A telephone's line dies in a talk, every site lives: nobody is left in silence for long.

Real audio by a real relay, and the Kamailio that says that it cannot reach the telephone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from edge.media.sdp import audio
from edge.phone.rtp import RtpClock, RtpStream
from edge.sip import events as sip
from state.model import AgentId, Outcome
from tests.integration.center import Center, eventually
from tests.integration.people import Leg, Telephone, sdp, until

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
SILENCE = b"\xff" * 160
KNOWN = 300
"""Packets in 6 s: an edge has looked by then, and knows that these telephones answer."""
NOTICED_WITHIN_S = 16.0
"""13 s by the watch, and what a busy machine adds."""
ON_HOLD_NOTICED_WITHIN_S = 58.0
"""50 s by the watch, and what a busy machine adds."""


@contextlib.contextmanager
def voices(*people: Telephone) -> Iterator[list[RtpStream]]:
    """Give each a voice, of which their session descriptions tell."""
    clock = RtpClock()
    streams = [RtpStream(clock, each.endpoint.local.host) for each in people]
    for person, stream in zip(people, streams, strict=True):
        person.sdp = sdp(stream.host, stream.port)
    try:
        yield streams
    finally:
        for stream in streams:
            stream.close()


def speak(stream: RtpStream, told: bytes | None) -> None:
    """Speak to whom a session description names."""
    there = audio(told or b"")
    stream.send_to(there.host, there.port, SILENCE, 0)


async def talk(
    center: Center, people: tuple[Telephone, Telephone], says: list[RtpStream], *, packets: int = 20
) -> tuple[Leg, Leg]:
    """Let a caller and an agent talk until each has heard so much of the other."""
    theirs, ours = await center.talking(*people)
    assert ours.invite is not None
    speak(says[1], ours.invite.sdp)
    speak(says[0], (await theirs.wait(sip.OfferReceived)).sdp)

    async def is_so() -> bool:
        return all(each.received > packets for each in says)

    await eventually(is_so, "each hears the other", within_s=packets / 50 + 8)
    return theirs, ours


async def test_a_caller_whose_agents_line_dies_is_given_another_agent(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with voices(caller, ann) as says:
        _, agent_says = says
        theirs, ours = await talk(center, (caller, ann), says, packets=KNOWN)
        with ann.line_dead():
            agent_says.pause()
            bob = await center.agent("bob")
            again = await bob.rung(within_s=NOTICED_WITHIN_S)
            assert not theirs.is_over
            await bob.answer(again)
            await center.connected()
        await ours.wait(sip.Ended)
        await bob.hang_up(again)
        await theirs.wait(sip.Ended)
        record = await center.record(theirs)
        assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
        assert record.agent == "bob"
        assert [each.agent for each in record.talks] == ["ann", "bob"]
        await center.nothing_is_left()


async def test_a_caller_whose_agents_line_dies_on_hold_is_given_another_agent(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with voices(caller, ann) as says:
        _, agent_says = says
        theirs, ours = await talk(center, (caller, ann), says, packets=KNOWN)
        ann.do("reinvite", ours, ann.sdp.replace(b"a=sendrecv", b"a=sendonly"))
        await ours.wait(sip.OfferAnswered)
        with ann.line_dead():
            agent_says.pause()
            bob = await center.agent("bob")
            again = await bob.rung(within_s=ON_HOLD_NOTICED_WITHIN_S)
            assert not theirs.is_over
            await bob.answer(again)
            await center.connected()
        await ours.wait(sip.Ended)
        await bob.hang_up(again)
        await theirs.wait(sip.Ended)
        record = await center.record(theirs)
        assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
        assert [(each.agent, each.holds) for each in record.talks] == [("ann", 1), ("bob", 0)]
        await center.nothing_is_left()


async def test_an_agent_whose_callers_line_dies_is_free_and_the_caller_missed(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with voices(caller, ann) as says:
        caller_says, _ = says
        theirs, ours = await talk(center, (caller, ann), says, packets=KNOWN)
        with caller.line_dead():
            caller_says.pause()
            ended = await ours.wait(sip.Ended, within_s=NOTICED_WITHIN_S)
            assert "caller_silent" in ended.reason
            record = await center.record(theirs)
        assert (record.outcome, record.cause) == (Outcome.LOST, "caller_silent")
        assert record.agent == AgentId("ann")
        await center.nothing_is_left()


async def test_who_is_silent_and_answers_goes_on_talking(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with voices(caller, ann) as says:
        caller_says, _ = says
        theirs, ours = await talk(center, (caller, ann), says, packets=KNOWN)
        caller_says.pause()
        # In a talk nothing else is said to a telephone.
        before = caller.endpoint.received
        await until(
            lambda: caller.endpoint.received > before,
            "the caller's telephone is asked",
            within_s=NOTICED_WITHIN_S,
        )
        await center.connected()
        assert not theirs.is_over
        assert not ours.is_over
        await caller.hang_up(theirs)
        record = await center.record(theirs)
        assert (record.outcome, record.cause) == (Outcome.ANSWERED, "caller_hung_up")
        await center.nothing_is_left()


async def test_a_caller_who_hangs_up_on_an_agent_whose_line_is_dead_was_cut_off(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    with voices(caller, ann) as says:
        caller_says, agent_says = says
        theirs, _ = await talk(center, (caller, ann), says)
        with ann.line_dead():
            agent_says.pause()
            # The relay tells whole seconds: of a silence of 4 s it can say that it is one of 3.
            await until(lambda: (caller_says.silent_s or 0.0) > 4.1, "the caller hears nobody")
            await caller.hang_up(theirs)
            record = await center.record(theirs, within_s=NOTICED_WITHIN_S)
        assert (record.outcome, record.cause) == (Outcome.LOST, "agent_unheard")
        assert record.agent == AgentId("ann")
        await center.nothing_is_left()
