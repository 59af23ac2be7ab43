"""A site without a quorum serves its own callers with its own agents, and merges afterwards."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from drills.desk.answers import Role, Status
from drills.desk.asks import StatusAsk
from drills.desk.desk import Desk, Place
from edge.sip import events as sip
from state.model import AgentId, Outcome, Readiness
from tests.integration.apart import all_in, cut_off, one_connected
from tests.integration.center import HELP, SALES, Center, eventually
from tests.integration.people import Leg, Telephone

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
SITES = 3


async def joined(caller: Leg, agent: Telephone) -> Leg:
    """Let an agent take the call that rings; return their leg."""
    ours = await agent.answer(await agent.rung())
    await caller.wait(sip.OfferReceived)
    return ours


async def test_a_site_that_is_cut_off_serves_its_own_and_merges_when_it_is_back(
    center: Center,
) -> None:
    ann, bob = await center.agent("ann"), await center.agent("bob")
    kim = await center.agent("bkim", site="b")
    before = center.caller("4930001")
    up = center.dial(before)
    up_agent = ann if await _rings(ann, bob) else bob
    other = bob if up_agent is ann else ann
    up_ours = await joined(up, up_agent)
    cut_off(center, "a")
    entered_s = await all_in(center, "a", "alone", within_s=8)
    assert entered_s < 9
    # A new caller: answered by the agent who is left here, and by nobody of another site.
    called_s = time.monotonic()
    second = center.dial(center.caller("4930002"))
    second_ours = await joined(second, other)
    assert time.monotonic() - called_s < 6
    third = center.dial(center.caller("4930003"))
    await third.wait(sip.Answered)
    # Elsewhere life goes on.
    elsewhere = center.caller("4930004")
    fourth = elsewhere.dial(HELP, center.site("b"))
    fourth_ours = await joined(fourth, kim)
    # The agent who is free again takes the one who waits.
    await other.hang_up(second_ours)
    await second.wait(sip.Ended)
    third_ours = await joined(third, other)
    # Long enough for the others to take the cut-off edges for dead.
    await _gone(center, "a")
    center.lab.wan.heal_all()
    back_s = time.monotonic()
    await all_in(center, "a", "quorum", within_s=15)
    merged_s = time.monotonic() - back_s
    logging.getLogger(__name__).warning("entered in %.1f s, merged in %.1f s", entered_s, merged_s)
    assert merged_s < 10
    assert (await center.record(second)).outcome is Outcome.ANSWERED
    assert set(await center.offers()) == {AgentId("ann"), AgentId("bob"), AgentId("bkim")}
    assert not any(leg.is_over for leg in (up, third, fourth))
    for owner, leg in ((up_agent, up_ours), (other, third_ours), (kim, fourth_ours)):
        await owner.hang_up(leg)
    for leg in (up, third, fourth):
        record = await center.record(leg)
        assert (record.outcome, record.cause) == (Outcome.ANSWERED, "agent_hung_up")
    # By the store again: the agents' gates let its tokens through.
    again = center.dial(before, SALES)
    await eventually(lambda: _any_rung(ann, bob, kim), "somebody is rung")
    await before.hang_up(again) if again.has(sip.Answered) else None
    await center.nothing_is_left(within_s=20)


async def _rings(ann: Telephone, bob: Telephone) -> bool:
    await eventually(lambda: _any_rung(ann, bob), "an agent is rung")
    return bool(ann.incoming)


async def _any_rung(*people: Telephone) -> bool:
    return any(each.incoming for each in people)


async def _gone(center: Center, site: str) -> None:
    """Wait until the shared state shows no edge of a site."""

    async def is_so() -> bool:
        listed = await center.store.range("/everline/state/edge/", prefix=True, keys_only=True)
        return not any(record.key.rpartition("/")[2][0] == site for record in listed.records)

    await eventually(is_so, f"the edges of {site} are gone", within_s=15)


async def test_without_any_quorum_each_site_serves_its_own(center: Center) -> None:
    ann = await center.agent("ann")
    kim = await center.agent("bkim", site="b")
    await center.wish("bob", Readiness.PAUSED)
    center.lab.wan.cut_between("a", "b")
    center.lab.wan.cut_between("a", "c")
    center.lab.wan.cut_between("b", "c")
    for site in "abc":
        await all_in(center, site, "alone", within_s=8)
    one = center.dial(center.caller("4930011"))
    one_ours = await joined(one, ann)
    two = center.caller("4930012").dial(HELP, center.site("b"))
    two_ours = await joined(two, kim)
    center.lab.wan.heal_all()
    for site in "abc":
        await all_in(center, site, "quorum", within_s=15)
    assert set(await center.offers()) == {AgentId("ann"), AgentId("bkim")}
    await ann.hang_up(one_ours)
    await kim.hang_up(two_ours)
    for leg in (one, two):
        assert (await center.record(leg)).outcome is Outcome.ANSWERED
    await center.nothing_is_left(within_s=20)


async def test_without_etcd_anywhere_but_here_each_site_serves_its_own_and_status_says_so(
    center: Center,
) -> None:
    """Only etcd dies: every link, probe and gate is well, and nothing but the quorum is gone."""
    ann = await center.agent("ann")
    kim = await center.agent("bkim", site="b")
    before = center.dial(center.caller("4930021"))
    before_ours = await joined(before, ann)
    desk = Desk(Place(launcher=1, kind="test"), center.lab, center.store)
    following = asyncio.create_task(desk.follow())
    await desk.answer(StatusAsk())
    supervisor = center.lab.supervisor
    for site in "bc":
        supervisor.hold_down(f"etcd-{site}")
    try:
        for site in "abc":
            await all_in(center, site, "alone", within_s=12)
        status = await desk.answer(StatusAsk())
        assert isinstance(status, Status)
        assert set(status.alone) == {"a", "b", "c"}
        assert {row.mode for row in status.edges} == {"alone"}
        assert [row.etcd for row in status.sites][1:] == [Role.SILENT, Role.SILENT]
        two = center.caller("4930022").dial(HELP, center.site("b"))
        two_ours = await joined(two, kim)
        await ann.hang_up(before_ours)
        await before.wait(sip.Ended)
        three = center.dial(center.caller("4930023"))
        three_ours = await joined(three, ann)
    finally:
        following.cancel()
        for site in "bc":
            await supervisor.release(f"etcd-{site}")
    back_s = time.monotonic()
    for site in "abc":
        await all_in(center, site, "quorum", within_s=25)
    logging.getLogger(__name__).warning("whole after %.1f s", time.monotonic() - back_s)
    assert set(await center.offers()) == {AgentId("ann"), AgentId("bkim")}
    await ann.hang_up(three_ours)
    await kim.hang_up(two_ours)
    for leg in (before, two, three):
        assert (await center.record(leg)).outcome is Outcome.ANSWERED
    await center.nothing_is_left(within_s=20)


async def test_edges_that_are_killed_while_their_site_is_alone_go_on_alone_and_merge(
    center: Center,
) -> None:
    ann = await center.agent("ann")
    cut_off(center, "a")
    await all_in(center, "a", "alone", within_s=12)
    # All of it is done without a quorum: the store has never heard of these two.
    talks = center.dial(center.caller("4930031"))
    ours = await joined(talks, ann)
    await center.connected()
    waits = center.dial(center.caller("4930032"))
    await waits.wait(sip.Answered)
    await center.in_queue(1)
    for edge in ("a1", "a2"):
        center.lab.supervisor.kill(f"edge-{edge}")
    for edge in ("a1", "a2"):
        await center.lab.supervisor.wait_ready(f"edge-{edge}", 20)
    await all_in(center, "a", "alone", within_s=12)
    await center.connected()
    assert not talks.is_over
    assert not waits.is_over
    await ann.hang_up(ours)
    await talks.wait(sip.Ended)
    ours = await joined(waits, ann)
    center.lab.wan.heal_all()
    await all_in(center, "a", "quorum", within_s=20)
    assert await center.offers() == [AgentId("ann")]
    await ann.hang_up(ours)
    for leg in (talks, waits):
        record = await center.record(leg)
        assert (record.outcome, record.cause, record.agent) == (
            Outcome.ANSWERED,
            "agent_hung_up",
            "ann",
        )
    await center.nothing_is_left(within_s=20)


async def test_a_caller_whose_agents_site_dies_in_silence_is_served_by_another(
    center: Center,
) -> None:
    """Nobody here sends audio: once the site is dead, nothing tells that its agent is there."""
    kim = await center.agent("bkim", site="b")
    leg = center.dial(center.caller("4930041"))
    await joined(leg, kim)
    await center.connected()
    ann = await center.agent("ann")
    center.lab.supervisor.kill_host("b")
    try:
        again = await ann.rung(within_s=20)
        assert again.invite is not None
        assert "4930041" in again.invite.from_uri
        assert AgentId("bkim") not in await center.offers()
        await ann.answer(again)
        await one_connected(center, "a")
        await ann.hang_up(again)
        record = await center.record(leg)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
    finally:
        await center.lab.supervisor.release_host("b")
