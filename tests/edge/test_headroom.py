"""The shell that measures how long datagrams wait and tells Kamailio how many calls may come."""

from __future__ import annotations

import asyncio

from edge.duties.headroom import HeadroomKeeper, Waits
from edge.steering.headroom import WINDOW_S, Headroom
from state.clock import ManualClock


class Busy:
    """An edge that takes 40 calls in each window, whose datagrams wait as long as is said."""

    def __init__(self) -> None:
        self.windows = 0
        self.wait_s = 0.3
        self.told: list[int] = []

    def waits(self) -> Waits:
        """Return what stands after one more window."""
        self.windows += 1
        return Waits(count=40 * self.windows, sum_s=self.wait_s * 40 * self.windows)

    def taken(self) -> int:
        """Return how many calls there were."""
        return 40 * self.windows


async def test_room_is_said_in_every_window_and_gets_less_when_datagrams_wait() -> None:
    busy, clock = Busy(), ManualClock()
    keeper = HeadroomKeeper(
        clock=clock,
        waits=busy.waits,
        taken=busy.taken,
        unanswered=lambda: 40,
        tell=busy.told.append,
    )
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(10):
            while len(busy.told) < 2:
                clock.advance(WINDOW_S / 10)
                await asyncio.sleep(WINDOW_S / 10)
    finally:
        running.cancel()
    first, second = busy.told[:2]
    assert first == Headroom().calls
    assert keeper.headroom.is_limiting
    assert second < first
