"""Who is called back, answers, and hangs up at the very moment at which that is taken in."""

from __future__ import annotations

import asyncio
from unittest import mock

from state.model import Outcome
from tests.edge.calling_back import back_records, calling, rung_back, sent_away
from tests.edge.virtual_time import in_virtual_time


@in_virtual_time
async def test_who_hangs_up_as_the_relay_has_taken_their_answer_in_keeps_no_agent() -> None:
    """The relay's word and their goodbye are read in one turn of the loop."""
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        await made.agent("ann")
        _, theirs = await rung_back(made)
        is_taken_in = asyncio.Event()

        async def caller_answered(_call: str, _caller_sdp: bytes) -> None:
            await is_taken_in.wait()

        with mock.patch.object(a1.media, "caller_answered", caller_answered):
            a1.sip.pick_up(theirs)
            await asyncio.sleep(0.1)
        is_taken_in.set()
        a1.sip.hang_up(theirs)
        await made.nothing_is_left()
        (record,) = await back_records(made)
        assert record.outcome is Outcome.CALLBACK
