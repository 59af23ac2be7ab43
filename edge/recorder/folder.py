"""What the folder of one recording says: to the shipper, and to a later life of the recorder.

`facts.json` what is recorded since when, `marks.json` the gaps and pauses, `NNNN.begun` where a
segment begins, `NNNN.json` how it ended, `over` that it is all there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from custody.errors import FormatError
from custody.manifest import Manifest, Segment
from edge.recorder import marks as noted
from edge.recorder.marks import Marks
from edge.recorder.segments import left_over, write_whole

FACTS: Final = "facts.json"
MARKS: Final = "marks.json"
OVER: Final = "over"


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
    facts = read_facts(folder)
    for begun_path in sorted(folder.glob("*.begun")):
        number = int(begun_path.stem)
        path = folder / f"{begun_path.stem}.json"
        if not path.exists():
            begun = msgspec.json.decode(begun_path.read_bytes(), type=Begun)
            segment = left_over(folder, number, begun.start, begun.key_id)
            if segment is None or facts is None:
                continue
            write_whole(path, msgspec.json.encode(segment))
        found.append(msgspec.json.decode(path.read_bytes(), type=Segment))
    return found


def read_facts(folder: Path) -> Facts | None:
    """Return what is recorded in a folder; None: nothing that a recorder has written."""
    try:
        return msgspec.json.decode((folder / FACTS).read_bytes(), type=Facts)
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
    marks = read_marks(folder)
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


def read_marks(folder: Path) -> Marks:
    """Return what was noted; nothing if there is no word of it."""
    try:
        return msgspec.json.decode((folder / MARKS).read_bytes(), type=Marks)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Marks()
