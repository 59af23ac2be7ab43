"""The shell that measures how long datagrams wait and tells Kamailio how many calls may come."""

from __future__ import annotations

import asyncio

from edge.headroom import HeadroomKeeper, Waits
from edge.steering.headroom import WINDOW_S
from state.clock import ManualClock


class Busy:
    """An edge that takes 100 calls in each window, whose datagrams wait as long as is said."""

    def __init__(self) -> None:
        self.windows = 0
        self.wait_s = 0.3
        self.told: list[int | None] = []

    def waits(self) -> Waits:
        """Return what stands after one more window."""
        self.windows += 1
        return Waits(count=100 * self.windows, sum_s=self.wait_s * 100 * self.windows)

    def taken(self) -> int:
        """Return how many calls there were."""
        return 100 * self.windows


async def test_limit_is_said_in_every_window_and_taken_back_when_it_goes() -> None:
    busy, clock = Busy(), ManualClock()
    keeper = HeadroomKeeper(clock=clock, waits=busy.waits, taken=busy.taken, tell=busy.told.append)
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(10):
            while len(busy.told) < 3:
                clock.advance(WINDOW_S / 10)
                await asyncio.sleep(WINDOW_S / 10)
    finally:
        running.cancel()
    assert None not in busy.told
    assert all(count is not None and count > 0 for count in busy.told)
