"""An edge process is killed in the middle of calls: its next life goes on with them, in 2 s."""

from __future__ import annotations

import time
from typing import Final

import pytest

from edge.sip import events as sip
from state.model import EdgeId, Outcome
from tests.integration.center import GREETED, PASSWORD, Center
from tests.integration.people import Leg, Telephone, sdp, until

LATE_S: Final = 20.0
"""Where processes wait for a processor, a start takes as long as that."""

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]


async def holder_of(center: Center) -> EdgeId:
    """Return the edge that holds the one call there is."""
    for edge in center.edges():
        if (await center.ask(edge, "stock"))["calls"]:
            return edge
    raise AssertionError("nobody holds a call")


async def killed(center: Center, *, calls: int = 1) -> EdgeId:
    """Kill the edge that holds the calls; return when its next life has taken them up."""
    edge = await holder_of(center)
    supervisor = center.lab.supervisor
    began_s = time.monotonic()
    supervisor.kill(f"edge-{edge}")
    starts = supervisor.starts(f"edge-{edge}")
    await until(lambda: supervisor.starts(f"edge-{edge}") > starts, "the edge is started again")
    await supervisor.wait_ready(f"edge-{edge}", LATE_S)
    assert (await center.ask(edge, "stock"))["calls"] == calls
    # What it takes is the figure `takeover_s` of the drill edge_killed, on a machine with time.
    print(f"taken over {time.monotonic() - began_s:.2f} s after the kill")  # noqa: T201
    return edge


async def talking(center: Center) -> tuple[Telephone, Leg, Telephone, Leg]:
    """Return a caller and an agent in a call, with their legs."""
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    return caller, theirs, ann, ours


@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_a_connected_call_ends_as_ever_after_its_edge_was_killed(
    center: Center, who: str
) -> None:
    caller, theirs, ann, ours = await talking(center)
    edge = await killed(center)
    assert not theirs.is_over
    assert not ours.is_over
    if who == "caller":
        await caller.hang_up(theirs)
        await ours.wait(sip.Ended)
    else:
        await ann.hang_up(ours)
        await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause) == (Outcome.ANSWERED, f"{who}_hung_up")
    assert (record.edge, record.agent, record.agent_site) == (edge, "ann", "a")
    assert record.agent_sip_call_id == ours.sip_call_id
    await center.nothing_is_left()


async def test_hold_and_resume_work_after_a_takeover(center: Center) -> None:
    caller, theirs, ann, _ = await talking(center)
    await killed(center)
    await center.connected()
    for direction in ("sendonly", "sendrecv"):
        before = sum(isinstance(event, sip.OfferAnswered) for event in theirs.events)
        offer = sdp(caller.endpoint.local.host, direction=direction)
        caller.do("reinvite", theirs, offer)
        await until(
            lambda before=before: (  # type: ignore[misc]
                sum(isinstance(event, sip.OfferAnswered) for event in theirs.events) > before
            ),
            f"an answer to {direction}",
        )
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    assert ann.legs
    await center.nothing_is_left()


async def test_a_waiting_caller_keeps_the_place_through_a_takeover(center: Center) -> None:
    caller = center.caller()
    first = center.dial(caller)
    await first.wait(sip.Answered)
    await until(lambda: first.events != [], "the call is up")
    [place] = await center.tickets()
    await killed(center)
    assert await center.tickets() == [place]
    ann = await center.agent("ann")
    ours = await ann.rung()
    await ann.answer(ours)
    await center.connected()
    await caller.hang_up(first)
    assert (await center.record(first)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_a_greeted_caller_waits_for_an_agent_after_a_takeover(center: Center) -> None:
    caller = center.caller()
    theirs = center.dial(caller, GREETED)
    await theirs.wait(sip.Answered)
    await killed(center)
    ann = await center.agent("ann")
    await ann.answer(await ann.rung())
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).queued_ms is not None
    await center.nothing_is_left()


async def test_an_agent_who_was_ringing_is_rung_again_after_a_takeover(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs = center.dial(caller)
    before = await ann.rung()
    await killed(center)
    again = await ann.rung(within_s=12)
    # The proxy takes back the ringing that nobody can take back any more.
    await before.wait(sip.Cancelled)
    await ann.answer(again)
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_who_hangs_up_while_the_edge_is_dead_is_not_kept_in_the_call(center: Center) -> None:
    caller, theirs, _, ours = await talking(center)
    edge = await holder_of(center)
    center.lab.supervisor.kill(f"edge-{edge}")
    caller.do("bye", theirs)
    # The next life hears it when it is sent again, or is too late: both sides tell the same.
    is_heard = (await theirs.wait(sip.Ended, within_s=10)).cause == "bye"
    await ours.wait(sip.Ended, within_s=10)
    record = await center.record(theirs)
    heard, unheard = (Outcome.ANSWERED, "caller_hung_up"), (Outcome.LOST, "goodbye_unheard")
    assert (record.outcome, record.cause) == (heard if is_heard else unheard)
    await center.serving()
    await center.nothing_is_left()


async def test_an_agent_has_no_second_call_while_theirs_is_taken_over(center: Center) -> None:
    caller, theirs, ann, ours = await talking(center)
    waiting = center.dial(caller)
    await waiting.wait(sip.Answered)
    edge = await holder_of(center)
    center.lab.supervisor.kill(f"edge-{edge}")
    await center.lab.supervisor.wait_ready(f"edge-{edge}", 8)
    await center.serving()
    assert not ann.incoming
    await ann.hang_up(ours)
    await ann.answer(await ann.rung())
    await caller.hang_up(waiting)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.nothing_is_left()


async def test_a_torn_journal_costs_the_torn_call_alone(center: Center) -> None:
    caller, theirs, ann, ours = await talking(center)
    edge = await holder_of(center)
    journal = center.lab.paths.of(center.lab.plan.sites[0]) / f"journal-{edge}"
    with journal.open("ab") as file:
        file.write(b'{"v":1,"call":"aaaaaaaaaaaaaaaaaaaaaaaa","note":{"ticket":{"call"')
    await killed(center)
    await caller.hang_up(theirs)
    await ours.wait(sip.Ended)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    assert await ann.register(center.site(), PASSWORD) == 200
    await center.nothing_is_left()
