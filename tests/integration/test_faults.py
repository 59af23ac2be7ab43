"""A part of a site dies, freezes or fills up amid calls: nothing is left, others go on."""

from __future__ import annotations

import asyncio

import pytest

from edge.sip import events as sip
from state.model import EdgeId, Outcome
from tests.integration.center import HELP, Center, eventually
from tests.integration.people import Leg, Telephone

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]


async def held_by(center: Center, edge: EdgeId, caller: Telephone) -> Leg:
    """Return a waiting call that this edge holds; the others hang up."""
    for _ in range(40):
        leg = center.dial(caller)
        await leg.wait(sip.Answered)
        if (await center.ask(edge, "status"))["calls"]:
            return leg
        await caller.hang_up(leg)
        await center.nothing_is_left()
    raise AssertionError(f"no call came to {edge}")


async def test_who_is_frozen_beyond_the_lease_has_lost_its_calls_and_lets_them_go(
    center: Center,
) -> None:
    caller = center.caller()
    theirs = await held_by(center, EdgeId("a1"), caller)
    ann = await center.agent("ann")
    ours = await ann.rung()
    await ann.answer(ours)
    await center.connected()
    center.lab.supervisor.freeze("edge-a1")
    record = await center.record(theirs, within_s=20)
    assert (record.outcome, record.cause) == (Outcome.LOST, "edge_died")
    # The relay's part of the call is ended by the survivor, and the agent may have another.
    await eventually(lambda: _is_free(center, "ann"), "the agent is free")
    center.lab.supervisor.thaw("edge-a1")
    for leg in (theirs, ours):
        await leg.wait(sip.Ended)
    again = center.dial(caller)
    await ann.answer(await ann.rung(within_s=15))
    await center.connected()
    await caller.hang_up(again)
    await center.serving()
    await center.nothing_is_left()


async def test_calls_that_come_while_an_edge_is_frozen_are_served_by_the_other(
    center: Center,
) -> None:
    caller = center.caller()
    held = await held_by(center, EdgeId("a1"), caller)
    center.lab.supervisor.freeze("edge-a1")
    legs = [center.dial(caller) for _ in range(12)]
    for leg in legs:
        await leg.wait(sip.Answered, within_s=4.0)
    # What waited in the frozen edge's socket is too old to be answered when it wakes.
    await asyncio.sleep(5.0)
    center.lab.supervisor.thaw("edge-a1")
    await center.serving()
    for leg in legs:
        assert not leg.is_over
        await caller.hang_up(leg)
        assert (await center.record(leg)).edge == "a2"
    # The call that it held has outlived the freeze.
    assert not held.is_over
    await caller.hang_up(held)
    assert (await center.record(held)).outcome is Outcome.ABANDONED
    await center.nothing_is_left()


async def test_callers_are_let_go_when_the_relay_dies_and_the_next_are_served(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    waiting = center.dial(caller, HELP)
    await waiting.wait(sip.Answered)
    center.lab.supervisor.kill("rtpengine-a")
    for leg in (theirs, ours, waiting):
        ended = await leg.wait(sip.Ended)
        assert "media_lost" in ended.reason
    assert (await center.record(theirs)).outcome is Outcome.LOST
    assert (await center.record(waiting)).outcome is Outcome.LOST
    await center.lab.supervisor.wait_ready("rtpengine-a", 20)
    again = center.dial(caller)
    await ann.answer(await ann.rung())
    await center.connected()
    await caller.hang_up(again)
    await center.nothing_is_left()


async def test_a_caller_is_refused_with_503_while_there_is_no_relay(center: Center) -> None:
    caller = center.caller()
    center.lab.supervisor.freeze("rtpengine-a")
    theirs = center.dial(caller)
    rejected = await theirs.wait(sip.Rejected)
    center.lab.supervisor.thaw("rtpengine-a")
    assert rejected.status == 503
    assert int(rejected.headers["retry-after"]) > 0
    await center.nothing_is_left()


async def test_a_call_goes_on_while_etcd_is_away_and_is_recorded_when_it_is_back(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    center.lab.supervisor.freeze("etcd-a")
    waiting = center.dial(caller)
    await waiting.wait(sip.Answered)
    await caller.hang_up(waiting)
    await caller.hang_up(theirs)
    await ours.wait(sip.Ended)
    center.lab.supervisor.thaw("etcd-a")
    assert (await center.record(theirs, within_s=15)).outcome is Outcome.ANSWERED
    assert (await center.record(waiting, within_s=15)).outcome is Outcome.ABANDONED
    await center.serving()
    await center.nothing_is_left(within_s=20)


async def test_a_waiting_caller_is_served_after_etcd_was_killed(center: Center) -> None:
    caller = center.caller()
    theirs = center.dial(caller)
    await theirs.wait(sip.Answered)
    center.lab.supervisor.kill("etcd-a")
    await center.lab.supervisor.wait_ready("etcd-a", 20)
    bob = await center.agent("bob")
    ours = await bob.rung(within_s=15)
    await bob.answer(ours)
    await center.connected()
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    await center.serving()
    await center.nothing_is_left(within_s=20)


async def test_a_kamailio_that_was_killed_serves_the_same_calls_when_it_is_back(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    center.lab.supervisor.kill("kamailio-a")
    await center.lab.supervisor.wait_ready("kamailio-a", 20)
    # From the table on disk, at once; the location table is gone, so phones register anew.
    again = center.dial(caller)
    await again.wait(sip.Answered, within_s=4.0)
    await caller.hang_up(again)
    # A dialog of before goes through it as before: it kept no state of it.
    await caller.hang_up(theirs)
    await ours.wait(sip.Ended)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    assert await ann.register(center.site(), "not a secret") == 200
    await center.serving()
    third = center.dial(caller)
    await ann.answer(await ann.rung())
    await center.connected()
    await caller.hang_up(third)
    await center.nothing_is_left()


async def _is_free(center: Center, agent: str) -> bool:
    return agent not in await center.offers()
