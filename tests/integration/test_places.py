"""A caller who is cut off while waiting, and dials again, has the old place back: once."""

from __future__ import annotations

import pytest

from edge.sip import events as sip
from state import keys
from state.model import Outcome
from tests.integration.center import GREETED, Center, eventually
from tests.integration.people import Leg, Telephone

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]


async def cut_off(center: Center, caller: Telephone, leg: Leg) -> None:
    """Let the edge that holds the call freeze until its lease is gone, and wake up too late."""
    for edge in center.edges():
        if (await center.ask(edge, "stock"))["calls"]:
            break
    else:
        raise AssertionError("nobody holds a call")
    center.lab.supervisor.freeze(f"edge-{edge}")
    assert (await center.record(leg, within_s=20)).outcome is Outcome.LOST
    center.lab.supervisor.thaw(f"edge-{edge}")
    await leg.wait(sip.Ended)
    await center.serving()
    assert not [each for each in caller.legs.values() if not each.is_over]


async def places(center: Center) -> int:
    """Count the places that can be had back."""
    listed = await center.store.range(f"{keys.STATE}place/", prefix=True, keys_only=True)
    return len(listed.records)


async def test_who_dials_again_is_served_before_those_who_came_meanwhile(center: Center) -> None:
    early, late = center.caller("4930111"), center.caller("4930222")
    lost = center.dial(early, GREETED)
    await lost.wait(sip.Answered)
    await center.in_queue(1)
    await cut_off(center, early, lost)
    assert await places(center) == 1

    waiting = center.dial(late, GREETED)
    await waiting.wait(sip.Answered)
    await center.in_queue(1)
    again = center.dial(early, GREETED)
    await again.wait(sip.Answered)

    async def is_given() -> bool:
        return await places(center) == 0

    await eventually(is_given, "the place is given back")
    # The greeting has been heard: both wait at once.
    await center.in_queue(2)

    ann = await center.agent("ann")
    first = await ann.rung()
    assert first.invite is not None
    assert "4930111" in first.invite.from_uri
    await ann.answer(first)
    await center.connected()
    await early.hang_up(again)
    second = await ann.rung()
    assert second.invite is not None
    assert "4930222" in second.invite.from_uri
    await late.hang_up(waiting)
    await center.nothing_is_left()


async def test_a_place_is_had_back_once_and_only_from_the_same_number(center: Center) -> None:
    early, other = center.caller("4930333"), center.caller("4930444")
    lost = center.dial(early)
    await lost.wait(sip.Answered)
    await cut_off(center, early, lost)
    stranger = center.dial(other)
    await stranger.wait(sip.Answered)
    assert await places(center) == 1
    again, twice = center.dial(early), center.dial(early)
    for leg in (again, twice):
        await leg.wait(sip.Answered)

    async def is_given() -> bool:
        return await places(center) == 0

    await eventually(is_given, "the place is given back")
    for telephone, leg in ((other, stranger), (early, again), (early, twice)):
        await telephone.hang_up(leg)
        assert (await center.record(leg)).outcome is Outcome.ABANDONED
    # Who hangs up has given the place up: it was theirs to lose.
    assert await places(center) == 0
    await center.nothing_is_left()
