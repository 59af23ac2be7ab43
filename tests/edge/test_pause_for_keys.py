"""A pause for keys while the recorder is away: nobody is left unheard, and what is said is so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge.calls.recording_wishes import RecordingWishes
from edge.media.errors import MediaUnavailable
from state import keys
from state.model import RecordingState, RecordingStatus, RecordingWish
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.stage import center, everybody_leaves
from tests.edge.test_keyed_tones import BOB_SDP, Scene, next_life
from tests.edge.test_keyed_tones import scene as talking
from tests.edge.virtual_time import in_virtual_time, settle, until

OPUS_SDP = CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 96 0") + b"a=rtpmap:96 opus/48000/2\r\n"
EVENTS_SDP = CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 0 101") + (
    b"a=rtpmap:101 telephone-event/8000\r\n"
)


class Recorder:
    """Puts silence in the caller's place for as long as a wish says, while it is there."""

    def __init__(self, now: Scene, *, records: bool = True) -> None:
        self._now = now
        self._records = records
        self.is_there = asyncio.Event()
        self.is_there.set()

    def records(self, call: str) -> bool:
        """Tell whether it does."""
        return self._records and call == self._now.call

    async def obey(self, call: str, wish: int) -> bool:
        """Have the relay do it, and say so."""
        await self.is_there.wait()
        edge = self._now.edge
        held = edge.snapshot.recording_wishes[self._now.call]
        assert held.mod_revision == wish
        on = held.value.pause and held.value.keyed
        await edge.media.silence_caller(call, on=on)
        edge.hearing.note_silence(self._now.call, on)
        return on


class Desk:
    """Asks for pauses, and reads what is answered."""

    def __init__(self, now: Scene, *, is_recorded: bool = True) -> None:
        self.now = now
        self.recorder = Recorder(now, records=is_recorded)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Let the edge's part live."""
        edge = self.now.edge
        part = RecordingWishes(
            edge=edge.name,
            store=edge.store,
            snapshot=lambda: edge.snapshot,
            holds=edge.switchboard.holds,
            hearing=edge.hearing,
            recorder=self.recorder,
        )
        self._task = asyncio.create_task(part.run())

    async def stop(self) -> None:
        """Let it die with its edge."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def wish(self, *, pause: bool) -> None:
        """Have it stand in the shared state."""
        call = self.now.call
        wish = RecordingWish(call=call, pause=pause, by="agent", keyed=pause)
        await self.now.made.put(keys.recording_wish(call), wish)

    async def pause(self) -> None:
        """Have the caller kept from the agent."""
        await self.wish(pause=True)
        await self.says(hears_caller=False)
        assert self.is_silent

    @property
    def status(self) -> RecordingStatus | None:
        """What is answered."""
        held = self.now.edge.snapshot.recordings.get(self.now.call)
        return None if held is None else held.value

    async def says(self, *, hears_caller: bool) -> None:
        """Wait until that is the answer, in a few seconds."""
        wanted = (hears_caller, hears_caller)

        def is_said() -> bool:
            status = self.status
            return status is not None and (status.hears_caller, status.hears_keys) == wanted

        await until(is_said, f"it says {wanted}", within_s=6)

    @property
    def is_silent(self) -> bool:
        """Whether the agent hears silence in the caller's place."""
        return self.now.call in self.now.edge.media.silent


@asynccontextmanager
async def desk(*others: str, is_recorded: bool = True) -> AsyncIterator[Desk]:
    async with talking(*others) as now:
        made = Desk(now, is_recorded=is_recorded)
        made.start()
        yield made
        await made.stop()


@in_virtual_time
async def test_who_resumes_hears_the_caller_though_the_recorder_has_died() -> None:
    async with desk() as at:
        await at.pause()
        at.recorder.is_there.clear()
        at.now.edge.media.fails_with["silence_caller"] = MediaUnavailable("no answer")
        await at.wish(pause=False)
        await until(lambda: not at.is_silent, "the agent hears the caller", within_s=8)
        await at.says(hears_caller=True)
        assert at.status is not None
        assert at.status.state is RecordingState.PAUSED, "nobody records again: that stays open"
        at.recorder.is_there.set()
        await until(lambda: at.status.state is RecordingState.RECORDING, "it is back")  # type: ignore[union-attr]


@in_virtual_time
async def test_the_next_agent_hears_the_caller_though_the_recorder_has_died() -> None:
    async with desk("bob") as at:
        now = at.now
        await at.pause()
        at.recorder.is_there.clear()
        now.edge.sip.refer(now.ann, "sip:bob@everline")
        await now.edge.answer_ours(now.theirs, "music")
        now.edge.sip.pick_up(await now.edge.rung("bob"), BOB_SDP)
        await now.edge.answer_ours(now.theirs, "bob is joined")
        assert not at.is_silent
        await at.says(hears_caller=True)


@in_virtual_time
@pytest.mark.parametrize("fails", [True, False])
async def test_what_an_agent_keyed_for_is_lifted_when_they_leave_by_an_edge_that_knew_nothing(
    *, fails: bool
) -> None:
    """`*3` is between the telephone, the relay and the recorder, which has died since."""
    async with desk("bob") as at:
        now = at.now
        await now.edge.media.silence_caller(now.call, on=True)
        if fails:
            now.edge.media.fails_with["silence_caller"] = MediaUnavailable("no answer")
        now.edge.sip.vanish(now.ann)
        await now.edge.answer_ours(now.theirs, "music")
        now.edge.sip.pick_up(await now.edge.rung("bob"), BOB_SDP)
        await now.edge.answer_ours(now.theirs, "bob is joined")
        assert now.edge.state_of(now.theirs) == "connected"
        assert not at.is_silent


@in_virtual_time
@pytest.mark.parametrize("sdp", [EVENTS_SDP, OPUS_SDP])
async def test_a_caller_whose_telephone_says_something_else_meanwhile_is_heard_after_the_pause(
    sdp: bytes,
) -> None:
    async with desk(is_recorded=False) as at:
        await at.pause()
        await at.now.offer(at.now.theirs, sdp)
        if sdp == OPUS_SDP:
            await at.says(hears_caller=True)  # which the relay does not silence
        await at.wish(pause=False)
        await until(lambda: not at.is_silent, "the agent hears the caller", within_s=6)


@in_virtual_time
async def test_who_resumes_is_not_told_so_before_the_relay_has_done_it() -> None:
    async with desk(is_recorded=False) as at:
        await at.pause()
        at.now.edge.media.is_dead = True
        await at.wish(pause=False)
        await asyncio.sleep(2)
        held = at.now.edge.snapshot.recording_wishes[at.now.call].mod_revision
        assert at.status is not None
        assert at.status.wish < held
        at.now.edge.media.is_dead = False
        await until(lambda: at.status is not None and at.status.wish == held, "it is answered")
        assert not at.is_silent
        assert at.status.hears_caller


@in_virtual_time
@pytest.mark.parametrize("is_recorded", [True, False])
async def test_the_next_life_of_an_edge_knows_of_the_silence_and_ends_it(
    tmp_path: Path, *, is_recorded: bool
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ann = await a1.talking()
        await settle()
        at = Desk(Scene(made, a1, theirs, ann), is_recorded=is_recorded)
        at.start()
        await at.pause()
        await at.stop()
        at.recorder.is_there.clear()
        await next_life(at.now, tmp_path, recorder_is_away=True, keys_on=False)
        at.start()
        await asyncio.sleep(3)
        await at.says(hears_caller=False)
        await at.now.offer(at.now.ann, AGENT_SDP)
        assert at.is_silent
        await at.wish(pause=False)
        await until(lambda: not at.is_silent, "the agent hears the caller", within_s=6)
        await at.says(hears_caller=True)
        await at.stop()
        await everybody_leaves(made)
