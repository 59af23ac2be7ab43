"""Who was cut off in talk, came again, has talked and is gone: what is left of the old call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from edge.acd.cut_off import cut_off
from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.heirs import left_places
from edge.acd.owed import Owed, debt_paid
from edge.acd.places import places_settled
from edge.acd.plan import Held, Plan, held_after, landed_at
from edge.acd.reservation import ended, orphan_closed
from state import keys
from state.codec import encode
from state.model import CallId, Heir, Outcome, SiteId, TicketState
from state.store import Delete, Put
from tests.acd.test_places import CALLER, Desk
from tests.acd.worlds import call_id

OLD, AGAIN = call_id(1), call_id(2)
GONE = Ending(outcome=Outcome.ANSWERED, cause="caller_hung_up")
CUT_OFF = Ending(outcome=Outcome.LOST, cause="media_lost")
LEFT = Ending(outcome=Outcome.ABANDONED, cause="caller_hung_up")


class Story(Desk):
    """Somebody who was cut off in talk, and has come again: two calls, and what becomes of them."""

    old: Held
    again: Held

    async def begin(self, *, talked: bool = True, called: bool = False) -> None:
        """Let the two calls stand. `called`: in the old one they were called back for `OLD`."""
        await self.open()
        back: dict[str, object] = {"callback_of": OLD, "tries": 1} if called else {}
        old = {"state": TicketState.CONNECTED, "connected_ms": 3, **back}
        self.old = await self.arrive(7 if called else 1, CALLER, **old)
        at_ms = 5 if talked else None
        state = TicketState.CONNECTED if talked else TicketState.QUEUED
        how: dict[str, object] = {"holder": "b1", "site": "b", "cut_off_of": OLD}
        self.again = await self.arrive(2, CALLER, state=state, connected_ms=at_ms, **how)

    async def left(self) -> list[CallId]:
        """Return the calls whose places are left, for whoever wants them."""
        return [each.value.call for each in left_places(await self.snapshot())]

    async def does(self, step: str) -> None:
        """Let something happen."""
        match step:
            case "closes":
                await self.lose(self.old)
            case "settles":
                place = (await self.snapshot()).places.get(OLD)
                if place is not None:
                    plan = places_settled(self.again, (place,), self.clock.now())
                    self.again = await self.lands(plan) or self.again
            case "ends":
                await self.lands(ended(self.again, GONE, WITHDRAWN, self.clock.now()))
            case "is cut off":
                await self.lands(ended(self.again, CUT_OFF, WITHDRAWN, self.clock.now()))
            case "leaves":
                await self.lands(ended(self.again, LEFT, WITHDRAWN, self.clock.now()))
            case "dies":
                plan = orphan_closed(self.again.ticket, None, self.clock.now(), guard=None)
                await self.lands(plan)
            case _:
                raise AssertionError(step)

    async def lands(self, plan: Plan) -> Held | None:
        """Carry a plan out, and once more, as if nobody had heard of it."""
        first = await self.store.txn(plan.compares, plan.success, plan.failure)
        second = await self.store.txn(plan.compares, plan.success, plan.failure)
        revision = landed_at(plan, first)
        assert revision is not None
        assert landed_at(plan, second) == revision
        return held_after(plan, revision)


def _orders(end: str) -> list[Sequence[str]]:
    """Return the orders in which the old call is closed, the place looked at, and the new ends."""
    steps = ("settles", end)
    return [(*steps[:n], "closes", *steps[n:]) for n in range(3)]


@pytest.mark.parametrize("called", [False, True], ids=["called", "was called back"])
@pytest.mark.parametrize("order", _orders("ends"), ids="-".join)
async def test_whoever_talked_and_hung_up_leaves_no_place_in_whatever_order(
    order: Sequence[str], *, called: bool
) -> None:
    story = Story()
    await story.begin(called=called)
    for step in order:
        await story.does(step)
    assert await story.left() == []


@pytest.mark.parametrize("how", ["is cut off", "dies"])
@pytest.mark.parametrize("when", range(3))
async def test_whoever_is_cut_off_in_talk_again_is_owed_the_place_of_that_call_alone(
    how: str, when: int
) -> None:
    story = Story()
    await story.begin()
    for step in _orders(how)[when]:
        await story.does(step)
    assert await story.left() == [AGAIN]


@pytest.mark.parametrize("order", _orders("leaves"), ids="-".join)
async def test_whoever_leaves_without_a_talk_is_owed_the_old_place_still(
    order: Sequence[str],
) -> None:
    story = Story()
    await story.begin(talked=False)
    for step in order:
        if step != "settles":
            await story.does(step)
    assert await story.left() == [OLD]


async def test_that_somebody_has_had_the_old_place_hinders_no_end() -> None:
    story = Story()
    await story.begin()
    record = Heir(call=OLD, heir=call_id(9))
    await story.store.txn((), (Put(key=keys.heir(OLD), value=encode(record)),))
    await story.does("ends")
    await story.does("closes")
    assert await story.left() == []


@pytest.mark.parametrize("is_known", [True, False], ids=["a ticket stands", "no ticket ever stood"])
async def test_a_next_life_that_writes_the_record_says_so_too(*, is_known: bool) -> None:
    story = Story()
    await story.begin()
    if not is_known:
        await story.store.txn((), (Delete(key=keys.ticket(AGAIN)),))
    owed = Owed(ticket=story.again.ticket.value, ending=GONE, part=WITHDRAWN, at=story.clock.now())
    await story.lands(debt_paid(owed, story.again if is_known else None))
    await story.does("closes")
    assert await story.left() == []


async def test_a_third_of_that_number_is_not_taken_for_who_was_cut_off() -> None:
    story = Story()
    await story.begin()
    await story.does("ends")
    found = cut_off(
        await story.snapshot(), (OLD,), story.clock.now(), unreachable=frozenset({SiteId("a")})
    )
    assert found is None


async def test_an_end_of_any_other_call_says_nothing() -> None:
    story = Story()
    await story.begin()
    story.again = replace(
        story.again,
        ticket=replace(
            story.again.ticket, value=replace(story.again.ticket.value, cut_off_of=None)
        ),
    )
    await story.does("ends")
    assert not (await story.snapshot()).heirs
