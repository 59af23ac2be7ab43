"""Callers are passed on while a site has no quorum, and while another site is lost."""

from __future__ import annotations

import time

import pytest

from edge.sip import events as sip
from state.model import AgentId, Outcome
from tests.integration.apart import all_in, cut_off, one_connected
from tests.integration.center import Center, eventually
from tests.integration.people import Leg, Telephone
from tests.integration.test_transfers import asks, heard_last, refer, replacing

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
SITES = 3


async def held_by(center: Center, *agents: str) -> None:
    """Wait until these agents, and no others, are given to a call, as the store says."""

    async def is_so() -> bool:
        return set(await center.offers()) == {AgentId(agent) for agent in agents}

    await eventually(is_so, f"{agents} are held", within_s=15)


async def test_a_site_without_a_quorum_passes_callers_on_among_its_own_and_merges(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller("4930051")
    theirs, ours = await center.talking(caller, ann)
    bob, _ = await center.agent("bob"), await center.agent("bkim", site="b")
    await center.abreast()
    asking, second = await asked(center, ann, bob)
    cut_off(center, "a")
    await all_in(center, "a", "alone", within_s=12)
    # The consultation has outlived that, and ends as any.
    await bob.hang_up(second)
    await asking.wait(sip.Ended)
    refer(ann, ours, "bkim")
    assert await heard_last(ours) == 480
    refer(ann, ours, "bob")
    second = await bob.answer(await bob.rung())
    await passed_on(ours)
    await center.connected()
    # He asks her first, and gives the caller back to her.
    asking, third = await asked(center, bob, ann)
    bob.do("refer", second, replacing(bob, asking))
    await passed_on(second)
    await asking.wait(sip.Ended)
    await center.connected()
    # She asks him, and hands over when all that has been merged.
    asking, fourth = await asked(center, ann, bob)
    center.lab.wan.heal_all()
    await all_in(center, "a", "quorum", within_s=20)
    await held_by(center, "ann", "bob")
    ann.do("refer", third, replacing(ann, asking))
    await passed_on(third)
    await held_by(center, "bob")
    await bob.hang_up(fourth)
    await theirs.wait(sip.Ended)
    record = await center.record(theirs)
    assert (record.outcome, record.cause, record.agent) == (
        Outcome.ANSWERED,
        "agent_hung_up",
        "bob",
    )
    assert [talk.agent for talk in record.talks] == ["ann", "bob", "ann", "bob"]
    await center.nothing_is_left(within_s=20)


async def passed_on(leg: Leg) -> None:
    """Wait until who has passed the caller on is let go, having heard that it is done."""
    assert "transferred" in (await leg.wait(sip.Ended)).reason
    assert leg.notified()[-1] == (200, True)


async def asked(center: Center, asker: Telephone, colleague: Telephone) -> tuple[Leg, Leg]:
    """Let one agent call another, and the two talk; return their legs."""
    asking = asks(center, asker, colleague.user)
    answered = await colleague.answer(await colleague.rung())
    assert isinstance(await asking.outcome(), sip.Answered)
    return asking, answered


async def test_a_site_that_is_cut_off_while_a_caller_is_passed_on_brings_it_to_an_end(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller("4930052")
    theirs, ours = await center.talking(caller, ann)
    bob = await center.agent("bob")
    await center.abreast()
    refer(ann, ours, "bob")
    second = await bob.rung()
    cut_off(center, "a")
    await bob.answer(second)
    await passed_on(ours)
    await all_in(center, "a", "alone", within_s=12)
    await center.connected()
    center.lab.wan.heal_all()
    await all_in(center, "a", "quorum", within_s=20)
    await held_by(center, "bob")
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.outcome, record.agent) == (Outcome.ANSWERED, "bob")
    assert [talk.agent for talk in record.talks] == ["ann", "bob"]
    await center.nothing_is_left(within_s=20)


async def test_a_target_whose_site_dies_as_it_rings_brings_the_caller_back(center: Center) -> None:
    ann, caller = await center.agent("ann"), center.caller("4930054")
    theirs, ours = await center.talking(caller, ann)
    kim = await center.agent("bkim", site="b")
    await center.abreast()
    refer(ann, ours, "bkim")
    await kim.rung()
    center.lab.supervisor.kill_host("b")
    began_s = time.monotonic()
    try:
        assert await heard_last(ours) >= 400
        await one_connected(center, "a")
        assert time.monotonic() - began_s < 6
        refer(ann, ours, "bkim")
        await eventually(lambda: _count(ours.notified(), 3), "ann is refused")
        assert ours.notified()[-1][0] in {480, 486}
        await ann.hang_up(ours)
        record = await center.record(theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
    finally:
        await center.lab.supervisor.release_host("b")
    kim.give_up()
    await center.serving()


async def test_a_transferor_whose_site_dies_has_passed_the_caller_on_all_the_same(
    center: Center,
) -> None:
    kim = await center.agent("bkim", site="b")
    theirs, ours = await center.talking(center.caller("4930055"), kim)
    ann = await center.agent("ann")
    await center.abreast()
    refer(kim, ours, "ann")
    second = await ann.rung()
    center.lab.supervisor.kill_host("b")
    try:
        await ann.answer(second)
        await one_connected(center, "a")
        await held_by(center, "ann")
        await ann.hang_up(second)
        await theirs.wait(sip.Ended)
        record = await center.record(theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
        assert [talk.agent for talk in record.talks] == ["bkim", "ann"]
    finally:
        await center.lab.supervisor.release_host("b")
    kim.give_up()
    await center.serving()


async def _count(found: list[tuple[int, bool]], count: int) -> bool:
    return len(found) >= count
