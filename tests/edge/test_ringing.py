"""What an agent's telephone is told with the INVITE."""

from __future__ import annotations

from math import ceil

from edge.calls.ringing import STILL_RINGS_S
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_telephone_learns_when_to_give_up_should_no_cancel_ever_come() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        (queue,) = {each.queue for each in await made.tickets()}
        rings_s = a1.mirror.snapshot.queues[queue].value.ring_timeout_s
        assert a1.sip.open[ours].headers["Expires"] == str(ceil(rings_s) + STILL_RINGS_S)
        a1.sip.hang_up(theirs)
