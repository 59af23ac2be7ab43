"""Transfers in real SIP, over loopback: what the telephones of the three people see on the wire.

Between them there is no Kamailio: that REFER and NOTIFY pass it is `tests/kemi`'s, and the whole of
it `tests/integration`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge.sip import events as sip
from edge.sip.endpoint import SipEndpoint
from state import keys
from state.model import EdgeId, EdgeLife, EdgeState, Outcome, PresenceState, Site, SiteId
from tests.edge.one_edge import SALES, Edge
from tests.edge.over_sip import HOST, edge_over_sip
from tests.edge.stage import Center
from tests.integration.people import Leg, Telephone, until

pytestmark = pytest.mark.parts


class Scene:
    """An edge, a caller who talks to ann, and bob."""

    def __init__(self, made: Center, edge: Edge, endpoint: SipEndpoint) -> None:
        self.made = made
        self.edge = edge
        self.endpoint = endpoint
        self.caller, self.ann, self.bob = (Telephone(HOST, user=u) for u in ("c", "ann", "bob"))

    @property
    def state(self) -> str:
        """Where the call stands."""
        return next((call.state for call in self.edge.switchboard.held()), "gone")

    async def talking(self) -> tuple[Leg, Leg]:
        """Let the caller talk to ann, and bob be there."""
        for site, telephone in (("a", self.ann), ("b", self.bob)):
            where = str(telephone.endpoint.local)
            await self.made.put(
                keys.site(SiteId(site)), Site(id=SiteId(site), name=site, sip=where)
            )
        await self.made.agent("ann")
        theirs = self.caller.dial(SALES, self.endpoint.local)
        ours = await self.ann.rung()
        await self.ann.answer(ours)
        await until(lambda: self.state == "connected", "they talk")
        await self.made.agent("bob", site="b")
        await until(lambda: "bob" in self.edge.snapshot.presences, "bob is there")
        return theirs, ours

    async def nothing_is_left(self) -> None:
        """Wait until no leg is anywhere, nor a ticket or an offer."""
        people = (self.caller, self.ann, self.bob)
        await until(
            lambda: (
                not self.endpoint.stack.legs()
                and not any(each.endpoint.stack.legs() for each in people)
                and not self.edge.snapshot.tickets
                and not self.edge.snapshot.offers
            ),
            "nothing is left",
        )


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    made = Center()
    await made.configure()
    async with edge_over_sip(made) as (edge, endpoint):
        there = EdgeLife(
            edge=EdgeId("b1"), site=SiteId("b"), sip="-", state=EdgeState.SERVING, started_ms=0
        )
        await made.put(keys.edge(there.edge), there)
        scene = Scene(made, edge, endpoint)
        try:
            yield scene
        finally:
            for telephone in (scene.caller, scene.ann, scene.bob):
                telephone.close()


async def test_refer_is_notified_step_by_step_and_the_transferor_is_hung_up() -> None:
    async with _scene() as scene:
        theirs, ours = await scene.talking()
        scene.ann.do("refer", ours, "sip:bob@everline")
        second = await scene.bob.rung()
        scene.bob.do("progress", second, 180)
        await scene.bob.answer(second)
        await ours.wait(sip.Ended)
        assert ours.notified() == [(100, False), (180, False), (200, True)]
        assert scene.state == "connected"
        await scene.caller.hang_up(theirs)
        await scene.nothing_is_left()
        (record,) = (await scene.made.records()).values()
        assert record.outcome is Outcome.ANSWERED
        assert [talk.agent for talk in record.talks] == ["ann", "bob"]


async def test_a_target_who_declines_has_the_transferor_asked_back_by_reinvite() -> None:
    async with _scene() as scene:
        theirs, ours = await scene.talking()
        before = sum(isinstance(event, sip.OfferReceived) for event in ours.events)
        scene.ann.do("refer", ours, "sip:bob@everline")
        scene.bob.do("reject", await scene.bob.rung(), 486, reason="Busy Here")
        await until(lambda: (486, True) in ours.notified(), "ann hears why")
        await until(lambda: scene.state == "connected", "they talk again")
        asked = sum(isinstance(event, sip.OfferReceived) for event in ours.events)
        assert asked == before + 1
        await scene.ann.hang_up(ours)
        await theirs.wait(sip.Ended)
        await scene.nothing_is_left()


@pytest.mark.parametrize("wants_progress", [True, False])
async def test_refer_and_bye_in_one_breath_pass_the_caller_on(*, wants_progress: bool) -> None:
    async with _scene() as scene:
        theirs, ours = await scene.talking()
        scene.ann.do("refer", ours, "sip:bob@everline", wants_progress=wants_progress)
        scene.ann.do("bye", ours)
        second = await scene.bob.rung()
        await scene.bob.answer(second)
        await until(lambda: scene.state == "connected", "bob has them")
        await scene.bob.hang_up(second)
        await theirs.wait(sip.Ended)
        await scene.nothing_is_left()


async def test_a_refusal_bears_its_reason_and_the_talk_goes_on() -> None:
    async with _scene() as scene:
        theirs, ours = await scene.talking()
        await scene.made.presence("bob", PresenceState.PAUSED, site="b")
        await until(
            lambda: (
                [each.value.state for each in scene.edge.snapshot.presences.values()].count(
                    PresenceState.PAUSED
                )
                == 1
            ),
            "bob pauses",
        )
        for to, status in (("sip:bob@everline", 480), ("sip:+4930@x.example", 403)):
            scene.ann.do("refer", ours, to)
            await until(lambda status=status: (status, True) in ours.notified(), f"{status}")  # type: ignore[misc]
        assert scene.state == "connected"
        await scene.caller.hang_up(theirs)
        await scene.nothing_is_left()


async def test_a_transferor_who_hangs_up_while_the_target_rings_and_a_target_who_declines() -> None:
    async with _scene() as scene:
        theirs, ours = await scene.talking()
        scene.ann.do("refer", ours, "sip:bob@everline")
        second = await scene.bob.rung()
        await scene.ann.hang_up(ours)
        scene.bob.do("reject", second, 603)
        again = await scene.ann.rung()
        await scene.ann.answer(again)
        await until(lambda: scene.state == "connected", "ann has them after all")
        await scene.caller.hang_up(theirs)
        await scene.nothing_is_left()
