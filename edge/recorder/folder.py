"""What the folder of one recording says: to the shipper, and to a later life of the recorder.

`facts.jsonl` what is recorded since when, `marks.jsonl` the gaps and pauses, each all of it in its
last line; `NNNN.begun` where a segment begins, `NNNN.key` its sealed key, `NNNN.seg` what is
sealed, `NNNN.json` how it ended; `over` that it is all there is.

A machine that loses its power may leave a file that was made since the last flush with nothing in
it, and of one that was added to only what was flushed. So nothing is written in the place of what
somebody needs, and what is found is looked at before it is believed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from custody.errors import FormatError
from custody.frame import RATE_HZ
from custody.manifest import Manifest, Segment, Span
from edge.recorder import marks as noted
from edge.recorder.marks import Marks
from edge.recorder.segments import is_as_told, left_over, write_whole

FACTS: Final = "facts.jsonl"
MARKS: Final = "marks.jsonl"
OVER: Final = "over"
TORN: Final = "not_on_disk"
RESTARTED: Final = "recorder_restarted"
SHORTEST_GAP: Final = RATE_HZ // 5
_REMOVED: Final = ".removed-"
T = TypeVar("T", bound=Struct)


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


class Begun(Struct, frozen=True, kw_only=True):
    """Of a segment, from its first moment."""

    start: int
    key_id: str


def closed_segments(folder: Path) -> list[Segment]:
    """Return the folder's segments; one that was never closed is closed at its last whole frame."""
    found = []
    for begun_path in sorted(folder.glob("*.begun")):
        number = int(begun_path.stem)
        path = folder / f"{begun_path.stem}.json"
        segment = _read(path, Segment)
        if segment is None or not is_as_told(folder, segment):
            begun = _read(begun_path, Begun)
            if begun is None:
                continue
            segment = left_over(folder, number, begun.start, begun.key_id)
            if segment is None:
                continue
            write_whole(path, msgspec.json.encode(segment))
        found.append(segment)
    return found


def closed_samples(folder: Path) -> int:
    """Return up to where segments were closed, in samples; changes nothing, whatever was torn."""
    found = (_read(path, Segment) for path in folder.glob("[0-9]*.json"))
    return max((each.start + each.samples for each in found if each is not None), default=0)


def last_number(folder: Path) -> int:
    """Return the number of the folder's last segment, also of one that nothing is left of."""
    return max((int(path.stem) for path in folder.glob("[0-9]*")), default=0)


def _read(path: Path, kind: type[T]) -> T | None:
    """Return what a file holds; None: it is not there, or not whole."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _read_last(path: Path, kind: type[T]) -> T | None:
    """Return the last whole line of a file; None: there is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            return msgspec.json.decode(line, type=kind)
    return None


def add(path: Path, what: Facts | Marks) -> None:
    """Write all of it down behind what is there."""
    # A line of its own also behind one that was torn.
    line = b"\n" + msgspec.json.encode(what) + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def folders(spool: Path) -> list[Path]:
    """Return the folders of recordings, in order; what is just being removed is none any more."""
    return sorted(each for each in spool.iterdir() if not each.name.startswith(_REMOVED))


def remove(folder: Path) -> None:
    """Remove the folder of a recording that the store has. Raise OSError.

    Under another name first: what is left of it by a kill would pass for another account of the
    same recording.
    """
    shutil.rmtree(folder.rename(folder.with_name(f"{_REMOVED}{folder.name}")))


def remove_left(spool: Path) -> None:
    """Remove what a kill, or the disk, has left of folders that were being removed."""
    for each in spool.glob(f"{_REMOVED}*/"):
        shutil.rmtree(each, ignore_errors=True)


def read_facts(folder: Path) -> Facts | None:
    """Return what is recorded in a folder; None: nothing that a recorder has written."""
    return _read_last(folder / FACTS, Facts)


def is_over(folder: Path) -> bool:
    """Tell whether everything has been written."""
    return (folder / OVER).exists()


def finish(folder: Path) -> None:
    """Write down that a recording is over."""
    write_whole(folder / OVER, b"")


def finish_left(folder: Path, until: int | None = None) -> None:
    """Write down that a recording of a former life is over, and that nobody recorded its end.

    `until`: where the call ended, in samples, if anybody knows.
    """
    reached = max((each.start + each.samples for each in closed_segments(folder)), default=0)
    marks = read_marks(folder)
    end = reached if until is None else max(reached, until)
    marks.gaps.append(Span(start=reached, end=end, because=RESTARTED))
    add(folder / MARKS, marks)
    finish(folder)


def manifest_of(folder: Path, recorder: str) -> Manifest:
    """Return the account of a recording that is over. Raise `FormatError` if there are no facts."""
    facts = read_facts(folder)
    if facts is None:
        raise FormatError(f"{folder}: no recording")
    marks = read_marks(folder)
    segments = tuple(closed_segments(folder))
    reached = max((each.start + each.samples for each in segments), default=0)
    gaps = (*marks.gaps, *_lost(segments, marks.gaps))
    if last_number(folder) > max((each.number for each in segments), default=0):
        # It was begun, and nothing of it is left: for how long it was recorded nobody knows.
        gaps += (Span(start=reached, end=reached, because=TORN),)
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
        gaps=gaps,
        pauses=noted.spans(marks.pauses, reached),
        holds=noted.spans(marks.holds, reached),
        masks=tuple(marks.masks),
        parts=noted.parts(marks.parts, reached),
    )


def _lost(segments: tuple[Segment, ...], known: list[Span]) -> list[Span]:
    """Return what is missing between segments, and in no gap that was noted: files are gone."""
    found, reached = [], 0
    for segment in segments:
        for gap in sorted(known, key=lambda each: each.start):
            if gap.start <= reached + SHORTEST_GAP:
                reached = max(reached, gap.end)
        if segment.start - reached > SHORTEST_GAP:
            found.append(Span(start=reached, end=segment.start, because=TORN))
        reached = max(reached, segment.start + segment.samples)
    return found


def read_marks(folder: Path) -> Marks:
    """Return what was noted; nothing if there is no word of it."""
    return _read_last(folder / MARKS, Marks) or Marks()
