"""Every way in which a call can end leaves nothing behind, and is recorded as what it was."""

from __future__ import annotations

import pytest

from edge.sip import events as sip
from state.model import Outcome
from tests.integration.center import GREETED, HELP, Center
from tests.integration.people import sdp, until

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]


async def test_a_caller_who_hangs_up_after_talking_was_answered(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    await caller.hang_up(theirs)
    ended = await ours.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, "caller_hung_up")
    assert (record.agent, record.agent_site) == ("ann", "a")
    assert "caller_hung_up" in ended.reason
    await center.nothing_is_left()


async def test_an_agent_who_hangs_up_ends_the_call_for_the_caller(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    await ann.hang_up(ours)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
    await center.nothing_is_left()


async def test_a_caller_may_hang_up_in_the_greeting(center: Center) -> None:
    caller = center.caller()
    theirs = center.dial(caller, GREETED)
    await theirs.wait(sip.Answered)
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.outcome, record.queued_ms) == (Outcome.ABANDONED, None)
    await center.nothing_is_left()


async def test_a_caller_may_hang_up_in_the_queue(center: Center) -> None:
    caller = center.caller()
    theirs = center.dial(caller)
    await theirs.wait(sip.Answered)
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert record.outcome is Outcome.ABANDONED
    assert record.queued_ms is not None
    await center.nothing_is_left()


async def test_a_caller_who_hangs_up_while_the_agent_rings_stops_the_ringing(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs = center.dial(caller)
    ours = await ann.rung()
    await caller.hang_up(theirs)
    await ours.wait(sip.Cancelled)
    assert (await center.record(theirs)).outcome is Outcome.ABANDONED
    await center.nothing_is_left()
    # Nothing that the agent did: the next call rings at once.
    again = center.dial(caller)
    await ann.rung(within_s=3.0)
    await caller.hang_up(again)
    await center.nothing_is_left()


async def test_a_caller_who_hangs_up_as_the_agent_answers_leaves_nobody_hanging(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs = center.dial(caller)
    ours = await ann.rung()
    caller.do("bye", theirs)
    ann.do("answer", ours, ann.sdp)
    await theirs.wait(sip.Ended)
    await until(lambda: ours.is_over, "the agent's leg is over")
    assert (await center.record(theirs)).outcome in {Outcome.ABANDONED, Outcome.ANSWERED}
    await center.nothing_is_left()


async def test_an_agent_who_declines_is_passed_over_for_another(center: Center) -> None:
    ann, bob = await center.agent("ann"), await center.agent("bob")
    caller = center.caller()
    theirs = center.dial(caller)
    await until(lambda: bool(ann.incoming or bob.incoming), "somebody is rung")
    first, second = (ann, bob) if ann.incoming else (bob, ann)
    first.do("reject", await first.rung(), 603, reason="Decline")
    ours = await second.rung()
    await second.answer(ours)
    await center.connected()
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.agent, record.tried) == (second.user, (first.user,))
    await center.nothing_is_left()


async def test_an_agent_who_lets_it_ring_is_passed_over_for_another(center: Center) -> None:
    ann, bob = await center.agent("ann"), await center.agent("bob")
    caller = center.caller()
    theirs = center.dial(caller)
    await until(lambda: bool(ann.incoming or bob.incoming), "somebody is rung")
    first, second = (ann, bob) if ann.incoming else (bob, ann)
    let_ring = await first.rung()
    ours = await second.rung()
    assert let_ring.has(sip.Cancelled)
    await second.answer(ours)
    await center.connected()
    await second.hang_up(ours)
    assert (await center.record(theirs)).tried == (first.user,)
    await center.nothing_is_left()


async def test_the_only_agent_is_rung_again_after_declining(center: Center) -> None:
    fay, caller = await center.agent("fay"), center.caller()
    theirs = center.dial(caller, HELP)
    fay.do("reject", await fay.rung(), 486, reason="Busy Here")
    ours = await fay.rung()
    await fay.answer(ours)
    await caller.hang_up(theirs)
    await center.record(theirs)
    await center.nothing_is_left()


async def test_an_agent_who_vanished_costs_the_caller_seconds_and_not_the_call(
    center: Center,
) -> None:
    ann = await center.agent("ann")
    ann.close()
    center.telephones.remove(ann)
    caller = center.caller()
    theirs = center.dial(caller)
    await theirs.wait(sip.Answered)
    bob = await center.agent("bob")
    ours = await bob.rung()
    await bob.answer(ours)
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).agent == "bob"
    await center.nothing_is_left()
    # So that the next test does not find a phone that nobody answers.
    back = center.telephones[-1]
    await center.sign_out(back)
    gone = await center.agent("ann", is_ready=False)
    await center.sign_out(gone)


async def test_a_caller_who_cancels_before_the_answer_leaves_nothing(center: Center) -> None:
    caller = center.caller()
    legs = [center.dial(caller) for _ in range(10)]
    for leg in legs:
        caller.do("cancel", leg)
    for leg in legs:
        await until(lambda leg=leg: leg.is_over, "the leg is over")  # type: ignore[misc]
    await center.nothing_is_left()


@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_either_side_may_hold_and_resume(center: Center, who: str) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    telephone, leg = (caller, theirs) if who == "caller" else (ann, ours)
    host = telephone.endpoint.local.host
    for direction, answered in (("sendonly", b"a=recvonly"), ("sendrecv", b"a=sendrecv")):
        before = sum(isinstance(event, sip.OfferAnswered) for event in leg.events)
        telephone.do("reinvite", leg, sdp(host, direction=direction))
        await until(
            lambda before=before: (  # type: ignore[misc]
                sum(isinstance(event, sip.OfferAnswered) for event in leg.events) > before
            ),
            f"an answer to {direction}",
        )
        answers = [event for event in leg.events if isinstance(event, sip.OfferAnswered)]
        assert answers[-1].sdp is not None
        assert answered in answers[-1].sdp
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_a_caller_may_hold_while_waiting_and_is_connected_after(center: Center) -> None:
    caller = center.caller()
    theirs = center.dial(caller)
    await theirs.wait(sip.Answered)
    caller.do("reinvite", theirs, sdp(caller.endpoint.local.host, direction="sendonly"))
    await theirs.wait(sip.OfferAnswered)
    ann = await center.agent("ann")
    ours = await ann.rung()
    await ann.answer(ours)
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_a_late_offer_is_served_like_any_other(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs = center.dial(caller, offer=None)
    answered = await theirs.wait(sip.Answered)
    assert answered.needs_ack_sdp
    assert b"m=audio" in answered.sdp
    caller.do("acknowledge", theirs, caller.sdp)
    ours = await ann.rung()
    await ann.answer(ours)
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_crossing_goodbyes_end_one_call_once(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    caller.do("bye", theirs)
    ann.do("bye", ours)
    await theirs.wait(sip.Ended)
    await ours.wait(sip.Ended)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_many_callers_and_few_agents_come_to_one_end_each(center: Center) -> None:
    agents = [await center.agent(name) for name in ("ann", "bob", "cem")]
    caller = center.caller()
    legs = [center.dial(caller) for _ in range(12)]
    served = 0
    while served < len(legs):
        await until(lambda: any(agent.incoming for agent in agents), "somebody is rung")
        agent = next(each for each in agents if each.incoming)
        ours = await agent.rung()
        await agent.answer(ours)
        # Who hangs up before the caller is joined has declined: the caller would wait on.
        await center.connected()
        await agent.hang_up(ours)
        await center.connected(0)
        served += 1
    records = [await center.record(leg) for leg in legs]
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    order = sorted(records, key=lambda each: each.connected_ms or 0)
    arrivals = [each.arrived_ms for each in order]
    # First come, first served; calls of one instant may change places.
    assert all(a <= b + 50 for a, b in zip(arrivals, arrivals[3:], strict=False))
    await center.nothing_is_left()
