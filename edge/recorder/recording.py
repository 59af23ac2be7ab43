"""One recording: its time, its segments, and what is written of it into its folder of the spool.

Disks hang, and packets do not wait: whatever is written is handed to an executor of one thread, in
order. What is heard and marked changes in the event loop alone, the folder in that thread alone.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from custody.frame import BLOCK, SAMPLES, Frame, State
from custody.keyring import RecordingKey
from custody.manifest import NO_AGENT, Losses, Span
from custody.place import Place
from edge.acd.recorded import NOT_COPIED
from edge.recorder import marks as noted
from edge.recorder.channel import WINDOW_S
from edge.recorder.folder import (
    FACTS,
    MARKS,
    OVER,
    RESTARTED,
    SHORTEST_GAP,
    Begun,
    Facts,
    add,
    closed_segments,
    finish,
    last_number,
    read_marks,
)
from edge.recorder.marks import KEYED, Marks
from edge.recorder.segments import SegmentWriter, write_whole
from edge.recorder.timeline import PATIENCE, Timeline
from state.discreet import fault

SEGMENT_FRAMES: Final = 60
"""Seconds of a segment. When it is over it can go to the store, long before the call is."""
LATE: Final = "recorder_late"
NOT_WRITTEN: Final = "spool_not_written"
STOOD_STILL: Final = "recorder_stood_still"
"""Nobody has taken in what came for longer than there is room for."""

log = structlog.get_logger()


class Recording:
    """A call that is being recorded."""

    def __init__(
        self, folder: Path, facts: Facts, key: RecordingKey, now: int, disk: Executor
    ) -> None:
        """Begin in a new folder, or go on in one that a former life has left; `now` in samples.

        What `disk` is given is done one after the other.
        """
        self.facts = facts
        self._folder = folder
        self._key = key
        self._disk = disk
        self._writer: SegmentWriter | None = None
        self._number = 0
        self._failed_at: int | None = None
        """Since when the spool takes nothing."""
        self._missed_at: int | None = None
        """Since when the relay has been asked for copies that have not come."""
        self.timeline = Timeline()
        self.closed: list[int] = []
        """Segments that have ended since somebody asked."""
        if (folder / FACTS).exists():
            self._take_up(now)
        elif now > SHORTEST_GAP:
            self.timeline = Timeline(now)
            self._gap(0, self.timeline.start, LATE)
        if key.customer:
            self.facts = replace(facts, key=key.id)
        self._made = self._facts_kept = self._marks_kept = disk.submit(self._make)

    @property
    def marks(self) -> Marks:
        """What is noted beside the sound."""
        return self.timeline.marks

    @property
    def is_made(self) -> bool:
        """Whether its folder is there, or will be; False: the spool did not take it."""
        return not self._made.done() or self._made.exception() is None

    async def kept(self) -> None:
        """Return when a later life would know all that was said of it. Raise OSError.

        What the disk did not take before, it is given again.
        """
        if self.is_made:
            if _has_failed(self._facts_kept):
                self._facts_kept = self._disk.submit(self._save_facts)
            if _has_failed(self._marks_kept):
                self._keep_marks()
        for each in (self._facts_kept, self._marks_kept):
            # Whoever waits may give up; the disk has it to do all the same.
            await asyncio.shield(asyncio.wrap_future(each))

    # -- what is said of it, in the event loop

    def join(self, agent: str, now: int) -> None:
        """Note that `agent` is in the call from now on, in place of whoever was."""
        if self.marks.agent == agent:
            return
        noted.end(self.marks.parts, now)
        self.marks.for_keys = False  # who comes has not asked for it, and would wonder
        noted.begin(self.marks.parts, now, agent)
        self.timeline.resume(now, NO_AGENT)
        self._keep_marks()
        if agent not in self.facts.agents:
            self.facts = replace(self.facts, agents=(*self.facts.agents, agent))
            self._facts_kept = self._disk.submit(self._save_facts)

    def seal_to(self, key: RecordingKey) -> None:
        """Seal to another key from the next segment on; a later life will keep to it."""
        self._key = key
        if key.customer:
            self.facts = replace(self.facts, key=key.id)
            self._facts_kept = self._disk.submit(self._save_facts)

    def leave(self, now: int) -> None:
        """Note that nobody talks with the caller: they wait, and nothing is recorded."""
        noted.end(self.marks.parts, now)
        self.marks.for_keys = False
        self.timeline.hold(now, on=False)
        self.timeline.pause(now, NO_AGENT)
        self._keep_marks()

    def hold(self, now: int, *, on: bool) -> None:
        """Note that the agent has put the caller on hold, or talks again."""
        if on is not any(each.end is None for each in self.marks.holds):
            self.timeline.hold(now, on=on)
            self._keep_marks()

    def pause(self, now: int, because: str, *, for_keys: bool = False) -> None:
        """Record nothing from now on; a later life of the recorder will keep to it.

        With `for_keys` the agent is to hear none of them, until somebody resumes.
        """
        self.marks.for_keys = self.marks.for_keys or for_keys
        self.timeline.pause(now, because)
        self._keep_marks()

    def resume(self, now: int) -> None:
        """Record again what somebody has paused; while no agent is there it stays paused."""
        self.marks.for_keys = False
        for each in {mark.what for mark in self.marks.pauses} - {NO_AGENT, KEYED}:
            self.timeline.resume(now, each)
        self._keep_marks()

    @property
    def is_paused_by_tones(self) -> bool:
        """Whether it is paused as the caller keys tones."""
        return any(each.end is None and each.what == KEYED for each in self.marks.pauses)

    def pause_by_tones(self, now: int, *, on: bool) -> None:
        """Record nothing while the caller keys, whoever else has paused it or resumes it."""
        if on:
            self.timeline.pause(now, KEYED)
        else:
            self.timeline.resume(now, KEYED)
        self._keep_marks()

    def obey(self, wish: int, pause_by: str, now: int, *, for_keys: bool = False) -> None:
        """Carry a wish out that is newer than the last: pause for `pause_by`, empty: resume."""
        if wish <= self.marks.wish:
            return
        self.marks.wish = wish
        if pause_by:
            self.pause(now, pause_by, for_keys=for_keys)
        else:
            self.resume(now)

    def miss(self, now: int) -> None:
        """Note that the relay is asked for copies: what is said until they come is not here."""
        if self._missed_at is None:
            self._missed_at = now

    def catch_up(self, now: int) -> None:
        """Note that there are copies again."""
        if self._missed_at is not None:
            gaps = len(self.marks.gaps)
            self._gap(self._missed_at, now, NOT_COPIED)
            self._missed_at = None
            if len(self.marks.gaps) > gaps:
                self._keep_marks()

    def tick(self, now: int) -> None:
        """Seal every second that is over. A spool that takes nothing costs those seconds only."""
        self._seal(now, PATIENCE)

    def end(self, now: int) -> Future[None]:
        """Seal what is left and write down that this is all; OSError if that cannot be."""
        self._seal(now, 0)
        self.catch_up(now)
        self.marks.close(now)
        return self._disk.submit(self._finish, self.timeline.rest(now), self._losses)

    def abandon(self) -> None:
        """Let go of the files, as a crash would. Nothing may be under way on the disk."""
        if self._writer is not None:
            self._writer.abandon()

    @property
    def _losses(self) -> tuple[Losses, Losses]:
        left, right = self.timeline.sides
        return left.losses, right.losses

    def _seal(self, now: int, patience: int) -> None:
        reached = self.timeline.base + WINDOW_S * SAMPLES
        if now - reached > SHORTEST_GAP:
            self._gap(reached, now, STOOD_STILL)
            self._keep_marks()
        while (frame := self.timeline.due(now, patience)) is not None:
            is_masked = self._note_masks(frame)
            self._disk.submit(self._keep, frame, self._losses)
            if is_masked:
                self._keep_marks()

    def _note_masks(self, frame: Frame) -> bool:
        """Tell whether there were any."""
        if not any(State.MASKED in states for states in frame.states):
            return False
        for block, states in enumerate(zip(*frame.states, strict=True)):
            if State.MASKED in states:
                start = frame.start + block * BLOCK
                self.marks.mask(start, start + BLOCK)
        return True

    def _keep_marks(self) -> None:
        self._marks_kept = self._disk.submit(self._save_marks)

    def _take_up(self, now: int) -> None:
        """Close what a former life left open, and note the time that nobody recorded."""
        segments = closed_segments(self._folder)
        self._number = last_number(self._folder)
        reached = max((each.start + each.samples for each in segments), default=0)
        self.timeline = Timeline(max(reached, now), read_marks(self._folder))
        self._gap(reached, self.timeline.start, RESTARTED)

    def _gap(self, start: int, end: int, because: str) -> None:
        if end - start > SHORTEST_GAP:
            self.marks.gaps.append(Span(start=start, end=end, because=because))

    # -- what is written, in the thread of the disk

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / OVER).unlink(missing_ok=True)
        self._save_marks()
        self._save_facts()

    def _keep(self, frame: Frame, losses: tuple[Losses, Losses]) -> None:
        try:
            self._write(frame, losses)
        except OSError as error:
            self._lost(frame.start, error.strerror)
        except Exception as error:  # noqa: BLE001 - nobody waits for this: what is not said here is lost
            log.error("recording_fault", call=self.facts.call, **fault(error))  # noqa: TRY400 - one line
            self._lost(frame.start, type(error).__name__)

    def _write(self, frame: Frame, losses: tuple[Losses, Losses]) -> None:
        writer = self._writer or self._begin(frame.start)
        writer.write(frame)
        if self._failed_at is not None:
            self._gap(self._failed_at, frame.start, NOT_WRITTEN)
            self._failed_at = None
            self._save_marks()
        if writer.frames >= SEGMENT_FRAMES:
            self._end_segment(_nothing_after(frame), losses)

    def _finish(self, rest: Frame, losses: tuple[Losses, Losses]) -> None:
        if self._failed_at is not None:
            self._gap(self._failed_at, rest.start, NOT_WRITTEN)
        if self._writer is None:
            self._begin(rest.start)
        self._end_segment(rest, losses)
        self._save_marks()
        finish(self._folder)

    def _lost(self, start: int, reason: str | None) -> None:
        """Give up the segment, which opens up to here, and try a new one with the next second."""
        self.abandon()
        self._writer = None
        if self._failed_at is None:
            self._failed_at = start
            log.error("spool_not_written", call=self.facts.call, reason=reason)

    def _begin(self, start: int) -> SegmentWriter:
        key, number = self._key, self._number + 1
        begun = Begun(start=start, key_id=key.id)
        write_whole(self._folder / f"{number:04d}.begun", msgspec.json.encode(begun))
        # Not before: a full spool is tried anew each second, and a number has four digits.
        self._number = number
        place = _place(self.facts, number, key.id)
        self._writer = SegmentWriter(self._folder, place, key, start)
        return self._writer

    def _end_segment(self, last: Frame, losses: tuple[Losses, Losses]) -> None:
        if self._writer is None:
            return
        segment = self._writer.end(last, *losses)
        self._writer = None
        write_whole(self._folder / f"{self._number:04d}.json", msgspec.json.encode(segment))
        self.closed.append(self._number)

    def _save_marks(self) -> None:
        # As they are now, and not as they were when this was asked for: the last one counts.
        add(self._folder / MARKS, self.marks)

    def _save_facts(self) -> None:
        add(self._folder / FACTS, self.facts)


def _has_failed(kept: Future[None]) -> bool:
    return kept.done() and kept.exception() is not None


def _nothing_after(frame: Frame) -> Frame:
    """Return the end of a segment that ends with a whole second."""
    return Frame(
        start=frame.start + frame.samples,
        codecs=frame.codecs,
        states=(b"", b""),
        left=b"",
        right=b"",
    )


def _place(facts: Facts, number: int, key_id: str) -> Place:
    return Place(
        tenant=facts.tenant,
        call=facts.call,
        recording=facts.call,
        segment=number,
        key_id=key_id,
    )
