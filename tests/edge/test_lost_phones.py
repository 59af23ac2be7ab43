"""A site whose Kamailio is gone keeps no agent: their telephones are elsewhere, or nowhere."""

from __future__ import annotations

import asyncio

import pytest

from edge.duties.lost_phones import GONE_S, LOOK_S, NEVER_HEARD_S, LostPhones
from edge.proxy.errors import ProxyUnreachableError
from state.model import PresenceState
from tests.edge.test_presence import ANN, Desk, center_without_presence, lives, wishes_to_be
from tests.edge.virtual_time import in_virtual_time, until

NOTICED_S = GONE_S + 2 * LOOK_S


class Kamailio:
    """That of a site, as its edge reaches it."""

    def __init__(self) -> None:
        self.is_connected = True
        self.answers = True

    async def is_gate_open(self) -> bool:
        """Answer, if it is there."""
        await asyncio.sleep(0.1)
        if not self.answers:
            raise ProxyUnreachableError("nobody answers")
        return True

    def die(self) -> None:
        """Be gone, by both ways."""
        self.is_connected = self.answers = False


@in_virtual_time
async def test_an_agent_whose_sites_kamailio_stays_dead_is_at_home_where_their_phone_has_come() -> (
    None
):
    center, kamailio = await center_without_presence(), Kamailio()
    desks = {}
    for name in ("a1", "b1"):
        await lives(center, name)
        desks[name] = Desk(center, name)
        desks[name].keeper.set_registered(frozenset())
    home, away = desks["a1"], desks["b1"]
    losing = asyncio.create_task(LostPhones(kamailio, home.keeper).run())
    await wishes_to_be(center)
    await asyncio.sleep(LOOK_S)
    home.keeper.note(ANN, registered=True)
    await until(lambda: away.state() is PresenceState.READY, "ready at a")
    kamailio.die()
    away.keeper.note(ANN, registered=True)
    await until(lambda: away.site() == "b", "taken over", within_s=NOTICED_S)
    assert away.state() is PresenceState.READY
    losing.cancel()
    await asyncio.gather(losing, return_exceptions=True)
    for desk in desks.values():
        await desk.end()


@pytest.mark.parametrize("how", ["started anew", "only the stream is broken", "not heard yet"])
@in_virtual_time
async def test_nobody_is_lost_of_whom_kamailio_may_know_yet(how: str) -> None:
    center, kamailio = await center_without_presence(), Kamailio()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    desk.keeper.set_registered(frozenset({ANN}))
    losing = asyncio.create_task(LostPhones(kamailio, desk.keeper).run())
    await wishes_to_be(center)
    for _ in range(3):
        kamailio.die()
        kamailio.answers = how == "only the stream is broken"
        if how == "not heard yet":
            await asyncio.sleep(NEVER_HEARD_S - LOOK_S)
            break
        await asyncio.sleep(GONE_S - LOOK_S if how == "started anew" else 4 * GONE_S)
        kamailio.is_connected = kamailio.answers = True
        await asyncio.sleep(2 * LOOK_S)
    assert desk.state() is PresenceState.READY
    losing.cancel()
    await asyncio.gather(losing, return_exceptions=True)
    await desk.end()


@in_virtual_time
async def test_whom_an_edge_before_had_is_given_up_by_one_that_never_hears_kamailio() -> None:
    center, kamailio = await center_without_presence(), Kamailio()
    kamailio.die()
    await lives(center, "a1")
    before, desk = Desk(center, "a1"), Desk(center, "a1")
    before.keeper.set_registered(frozenset({ANN}))
    await wishes_to_be(center)
    await until(lambda: desk.state() is PresenceState.READY, "ready, by the life before")
    await before.end()
    losing = asyncio.create_task(LostPhones(kamailio, desk.keeper).run())
    lost_s = NEVER_HEARD_S + 2 * LOOK_S
    await until(lambda: desk.state() is PresenceState.SIGNED_OUT, "given up", within_s=lost_s)
    losing.cancel()
    await asyncio.gather(losing, return_exceptions=True)
    await desk.end()


@in_virtual_time
async def test_who_is_registered_at_a_kamailio_that_only_stood_still_is_there_again() -> None:
    center, kamailio = await center_without_presence(), Kamailio()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    desk.keeper.set_registered(frozenset({ANN}))
    losing = asyncio.create_task(LostPhones(kamailio, desk.keeper).run())
    await wishes_to_be(center)
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    await asyncio.sleep(LOOK_S)
    kamailio.die()
    await until(lambda: desk.state() is PresenceState.SIGNED_OUT, "gone", within_s=NOTICED_S)
    kamailio.is_connected = kamailio.answers = True
    desk.keeper.reading()
    desk.keeper.set_registered(frozenset({ANN}))
    await until(lambda: desk.state() is PresenceState.READY, "ready again")
    await asyncio.sleep(2 * GONE_S)
    assert desk.state() is PresenceState.READY
    losing.cancel()
    await asyncio.gather(losing, return_exceptions=True)
    await desk.end()
