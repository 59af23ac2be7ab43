"""The offer of a callback in real SIP, over loopback: what the caller's telephone sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge.sip import events as sip
from edge.sip.endpoint import SipEndpoint
from state import keys
from state.model import Limit, Outcome, TurnAway
from tests.edge.calling_back import RULES, TRUNK, places
from tests.edge.one_edge import SALES, Edge
from tests.edge.over_sip import HOST, edge_over_sip
from tests.edge.stage import Center
from tests.edge.test_offered_callbacks import ASKED
from tests.integration.people import Leg, Telephone, sdp, until

pytestmark = pytest.mark.parts


class Scene:
    """An edge whose queue asks callers at once, and a caller."""

    def __init__(self, made: Center, edge: Edge, endpoint: SipEndpoint) -> None:
        self.made = made
        self.edge = edge
        self.caller = Telephone(HOST, user="+4930123")
        self.ann = Telephone(HOST, user="ann")
        self._endpoint = endpoint

    async def asked(self) -> Leg:
        """Let the caller wait until they are asked."""
        leg = self.caller.dial(SALES, self._endpoint.local)
        await leg.wait(sip.Answered)
        await until(lambda: self.edge.media.played[-1:] == ["callback"], "asked")
        return leg

    async def told(self, leg: Leg) -> None:
        """Let the caller press the key, hear the notice, and be hung up on."""
        self.edge.recorder.pressed.set_result(ASKED.key)
        await until(lambda: self.edge.media.played[-1] == "called_back", "told")
        assert not leg.is_over
        ended = await leg.wait(sip.Ended)
        assert "callback_taken" in ended.reason

    async def record_is(self, outcome: Outcome) -> None:
        """Wait for the one record, and until nothing else is left."""
        await until(lambda: not self._endpoint.stack.legs(), "no leg is left")
        await until(lambda: not self.edge.snapshot.tickets, "no ticket is left")
        (record,) = (await self.made.records()).values()
        assert record.outcome is outcome


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    made = Center()
    await made.configure()
    await made.put(keys.trunk(TRUNK.id), TRUNK)
    limit = Limit(most=0.2, turn_away=TurnAway.CALLBACK)
    await made.change_queue(call_back=ASKED, longest_wait_s=limit)
    async with edge_over_sip(made) as (edge, endpoint):
        scene = Scene(made, edge, endpoint)
        try:
            yield scene
        finally:
            for telephone in (scene.caller, scene.ann):
                telephone.close()


async def test_who_takes_the_offer_hears_the_notice_before_the_bye() -> None:
    async with _scene() as scene:
        leg = await scene.asked()
        await scene.told(leg)
        await scene.record_is(Outcome.CALLBACK)
        (place,) = await places(scene.made)
        assert (place.caller, place.due_s, place.call_back) == ("+4930123", 0.0, ASKED)
        assert place.call_back != RULES


async def test_who_holds_in_the_middle_of_the_question_may_still_take_it() -> None:
    async with _scene() as scene:
        leg = await scene.asked()
        for direction in ("sendonly", "sendrecv"):
            before = sum(isinstance(event, sip.OfferAnswered) for event in leg.events)
            scene.caller.do("reinvite", leg, sdp(HOST, direction=direction))
            await until(
                lambda before=before: (  # type: ignore[misc]
                    sum(isinstance(event, sip.OfferAnswered) for event in leg.events) > before
                ),
                f"{direction} is answered",
            )
        assert "music" not in scene.edge.media.played[1:], "the question is begun anew"
        await scene.told(leg)
        await scene.record_is(Outcome.CALLBACK)


async def test_who_hangs_up_as_they_are_asked_has_given_up() -> None:
    async with _scene() as scene:
        leg = await scene.asked()
        await scene.caller.hang_up(leg)
        await scene.record_is(Outcome.ABANDONED)
        await asyncio.sleep(0.1)
        assert not await places(scene.made)
