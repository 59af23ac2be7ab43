"""One recording: its time, its segments, and the folder of the spool that it lives in.

The folder tells a later life everything: `facts.json` what is recorded since when, `marks.json` the
gaps and pauses, `NNNN.begun` where a segment begins, `NNNN.json` how it ended, `over` that it is
all there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from custody.errors import FormatError
from custody.frame import BLOCK, RATE_HZ, Frame, State
from custody.keyring import RecordingKey
from custody.manifest import NO_AGENT, Manifest, Segment, Span
from custody.place import Place
from edge.recorder import marks as noted
from edge.recorder.marks import Marks
from edge.recorder.segments import SegmentWriter, left_over, write_whole
from edge.recorder.timeline import PATIENCE, Timeline

SEGMENT_FRAMES: Final = 60
"""Seconds of a segment. When it is over it can go to the store, long before the call is."""
SHORTEST_GAP: Final = RATE_HZ // 5
RESTARTED: Final = "recorder_restarted"
LATE: Final = "recorder_late"
NOT_WRITTEN: Final = "spool_not_written"
OVER: Final = "over"

log = structlog.get_logger()


class Facts(Struct, frozen=True, kw_only=True):
    """What an edge has said of a call that is to be recorded."""

    call: str
    tenant: str
    queue: str
    agents: tuple[str, ...]
    media: str
    """The call's name at the media relay."""
    site: str
    started_ms: int
    started_s: float
    """On the machine's monotonic clock, which a restart of the recorder does not touch."""
    key: str = ""
    """The id of the key that is sealed to; empty: whichever is the tenant's newest."""


class _Begun(Struct, frozen=True, kw_only=True):
    start: int
    key_id: str


class Recording:
    """A call that is being recorded."""

    def __init__(self, folder: Path, facts: Facts, key: RecordingKey, now: int) -> None:
        """Begin in a new folder, or go on in one that a former life has left; `now` in samples."""
        self.facts = facts
        self._folder = folder
        self._key = key
        self._writer: SegmentWriter | None = None
        self._number = 0
        self._failed_at: int | None = None
        """Since when the spool takes nothing."""
        self.timeline = Timeline()
        self.closed: list[int] = []
        """Segments that have ended since somebody asked."""
        if (folder / "facts.json").exists():
            self._take_up(now)
        else:
            folder.mkdir(mode=0o700, parents=True)
            if now > SHORTEST_GAP:
                self.timeline = Timeline(now)
                self._gap(0, self.timeline.start, LATE)
                self._save_marks()
        self.seal_to(key)
        self._save_facts()

    @property
    def marks(self) -> Marks:
        """What is noted beside the sound."""
        return self.timeline.marks

    def join(self, agent: str, now: int) -> None:
        """Note that `agent` is in the call from now on, in place of whoever was."""
        if self.marks.agent == agent:
            return
        noted.end(self.marks.parts, now)
        noted.begin(self.marks.parts, now, agent)
        self.timeline.resume(now, NO_AGENT)
        self._save_marks()
        if agent not in self.facts.agents:
            self.facts = replace(self.facts, agents=(*self.facts.agents, agent))
            self._save_facts()

    def seal_to(self, key: RecordingKey) -> None:
        """Seal to another key from the next segment on; a later life will keep to it."""
        self._key = key
        if key.customer:
            self.facts = replace(self.facts, key=key.id)
            self._save_facts()

    def leave(self, now: int) -> None:
        """Note that nobody talks with the caller: they wait, and nothing is recorded."""
        noted.end(self.marks.parts, now)
        self.timeline.hold(now, on=False)
        self.timeline.pause(now, NO_AGENT)
        self._save_marks()

    def hold(self, now: int, *, on: bool) -> None:
        """Note that the agent has put the caller on hold, or talks again."""
        if on is not any(each.end is None for each in self.marks.holds):
            self.timeline.hold(now, on=on)
            self._save_marks()

    def pause(self, now: int, because: str) -> None:
        """Record nothing from now on; a later life of the recorder will keep to it."""
        self.timeline.pause(now, because)
        self._save_marks()

    def resume(self, now: int) -> None:
        """Record again what somebody has paused; while no agent is there it stays paused."""
        for each in {mark.what for mark in self.marks.pauses} - {NO_AGENT}:
            self.timeline.resume(now, each)
        self._save_marks()

    def obey(self, wish: int, pause_by: str, now: int) -> None:
        """Carry a wish out that is newer than the last: pause for `pause_by`, empty: resume.

        Raise OSError if it cannot be kept for a later life.
        """
        if wish <= self.marks.wish:
            return
        self.marks.wish = wish
        if pause_by:
            self.pause(now, pause_by)
        else:
            self.resume(now)

    def tick(self, now: int) -> None:
        """Seal every second that is over. A spool that takes nothing costs those seconds only."""
        self._seal(now, PATIENCE)

    def _seal(self, now: int, patience: int) -> None:
        while (frame := self.timeline.due(now, patience)) is not None:
            self._note_masks(frame)
            try:
                self._write(frame)
            except OSError as error:
                self._lost(frame.start, error)

    def end(self, now: int) -> None:
        """Seal what is left and write down that this is all. Raise OSError if that cannot be."""
        self._seal(now, 0)
        self.marks.close(now)
        if self._failed_at is not None:
            self._gap(self._failed_at, self.timeline.base, NOT_WRITTEN)
        if self._writer is None:
            self._begin(self.timeline.base)
        self._end_segment(now)
        self._save_marks()
        finish(self._folder)

    def abandon(self) -> None:
        """Let go of the files, as a crash would."""
        if self._writer is not None:
            self._writer.abandon()

    def _write(self, frame: Frame) -> None:
        writer = self._writer or self._begin(frame.start)
        writer.write(frame)
        if self._failed_at is not None:
            self._gap(self._failed_at, frame.start, NOT_WRITTEN)
            self._failed_at = None
            self._save_marks()
        if writer.frames >= SEGMENT_FRAMES:
            self._end_segment(self.timeline.base)

    def _note_masks(self, frame: Frame) -> None:
        for states in frame.states:
            if State.MASKED not in states:
                continue
            for block, state in enumerate(states):
                if state == State.MASKED:
                    start = frame.start + block * BLOCK
                    self.marks.mask(start, start + BLOCK)
            self._save_marks()

    def _lost(self, start: int, error: OSError) -> None:
        """Give up the segment, which opens up to here, and try a new one with the next second."""
        self.abandon()
        self._writer = None
        if self._failed_at is None:
            self._failed_at = start
            log.error("spool_not_written", call=self.facts.call, reason=error.strerror)

    def _gap(self, start: int, end: int, because: str) -> None:
        if end - start > SHORTEST_GAP:
            self.marks.gaps.append(Span(start=start, end=end, because=because))

    def _begin(self, start: int) -> SegmentWriter:
        self._number += 1
        begun = _Begun(start=start, key_id=self._key.id)
        write_whole(self._folder / f"{self._number:04d}.begun", msgspec.json.encode(begun))
        place = _place(self.facts, self._number, self._key.id)
        self._writer = SegmentWriter(self._folder, place, self._key, start)
        return self._writer

    def _end_segment(self, now: int) -> None:
        if self._writer is None:
            return
        left, right = self.timeline.sides
        segment = self._writer.end(self.timeline.rest(now), left.losses, right.losses)
        self._writer = None
        write_whole(self._folder / f"{self._number:04d}.json", msgspec.json.encode(segment))
        self.closed.append(self._number)

    def _take_up(self, now: int) -> None:
        """Close what a former life left open, and note the time that nobody recorded."""
        segments = closed_segments(self._folder)
        self._number = max((each.number for each in segments), default=0)
        self._number = max(self._number, len(list(self._folder.glob("*.begun"))))
        reached = max((each.start + each.samples for each in segments), default=0)
        self.timeline = Timeline(max(reached, now), _marks(self._folder))
        self._gap(reached, self.timeline.start, RESTARTED)
        (self._folder / OVER).unlink(missing_ok=True)
        self._save_marks()

    def _save_marks(self) -> None:
        write_whole(self._folder / "marks.json", msgspec.json.encode(self.marks))

    def _save_facts(self) -> None:
        write_whole(self._folder / "facts.json", msgspec.json.encode(self.facts))


def closed_segments(folder: Path) -> list[Segment]:
    """Return the folder's segments; one that was never closed is closed at its last whole frame."""
    found = []
    facts = read_facts(folder)
    for begun_path in sorted(folder.glob("*.begun")):
        number = int(begun_path.stem)
        path = folder / f"{begun_path.stem}.json"
        if not path.exists():
            begun = msgspec.json.decode(begun_path.read_bytes(), type=_Begun)
            segment = left_over(folder, number, begun.start, begun.key_id)
            if segment is None or facts is None:
                continue
            write_whole(path, msgspec.json.encode(segment))
        found.append(msgspec.json.decode(path.read_bytes(), type=Segment))
    return found


def read_facts(folder: Path) -> Facts | None:
    """Return what is recorded in a folder; None: nothing that a recorder has written."""
    try:
        return msgspec.json.decode((folder / "facts.json").read_bytes(), type=Facts)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def is_over(folder: Path) -> bool:
    """Tell whether everything has been written."""
    return (folder / OVER).exists()


def finish(folder: Path) -> None:
    """Write down that a recording is over."""
    write_whole(folder / OVER, b"")


def manifest_of(folder: Path, recorder: str) -> Manifest:
    """Return the account of a recording that is over. Raise `FormatError` if there are no facts."""
    facts = read_facts(folder)
    if facts is None:
        raise FormatError(f"{folder}: no recording")
    marks = _marks(folder)
    segments = tuple(closed_segments(folder))
    reached = max((each.start + each.samples for each in segments), default=0)
    return Manifest(
        recording=facts.call,
        tenant=facts.tenant,
        call=facts.call,
        queue=facts.queue,
        agents=facts.agents,
        site=facts.site,
        recorder=recorder,
        started_ms=facts.started_ms,
        segments=segments,
        gaps=tuple(marks.gaps),
        pauses=noted.spans(marks.pauses, reached),
        holds=noted.spans(marks.holds, reached),
        masks=tuple(marks.masks),
        parts=noted.parts(marks.parts, reached),
    )


def _marks(folder: Path) -> Marks:
    try:
        return msgspec.json.decode((folder / "marks.json").read_bytes(), type=Marks)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Marks()


def _place(facts: Facts, number: int, key_id: str) -> Place:
    return Place(
        tenant=facts.tenant,
        call=facts.call,
        recording=facts.call,
        segment=number,
        key_id=key_id,
    )
