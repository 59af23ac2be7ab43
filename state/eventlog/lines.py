"""The lines of an event log: how they are spelt, and what never stands in one. PURE.

A line is `CRC JSON`: eight hex digits over the JSON's bytes, so that a torn or altered line is told
from a whole one. A segment begins with a `Begin`, which holds everything that stood then, and goes
on with what changed and what was decided: it can be read without those before it.

What never stands here: callers' numbers and agents' HA1, that is every field that its noun does not
tell of itself (`state.discreet`), and whatever cannot be read, for nobody knows what is in it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from state.codec import RECORD_TYPES
from state.discreet import Discreet
from state.errors import BadKeyError
from state.keys import Key, Kind, parse
from state.model import AgentId, CallId, Now, SiteId
from state.raw import Change, KeyValue
from state.snapshot import FIELDS, Restored, Snapshot

VERSION: Final = 1
UNREADABLE: Final = b'""'
"""In place of a record that is none of ours."""
DELETED: Final = b"null"
_CRC_CHARS: Final = 8


class Row(Struct, frozen=True, array_like=True):
    """A key as it stood when the segment began, with what this reader knew of it."""

    key: str
    value: msgspec.Raw
    create_revision: int
    mod_revision: int
    seen_s: float
    is_found: bool


class ChangeRow(Struct, frozen=True, array_like=True):
    """A key that was written or deleted."""

    key: str
    value: msgspec.Raw
    """`null`: deleted."""
    create_revision: int
    mod_revision: int


class Begin(Struct, frozen=True, tag="begin", array_like=True):
    """The first line of a segment: the whole of a snapshot."""

    v: int
    reader: str
    """Whose log this is: an edge's id."""
    revision: int
    mono_s: float
    wall_ms: int
    rows: tuple[Row, ...]


class Changed(Struct, frozen=True, tag="changed", array_like=True):
    """What came in one batch of the watch."""

    revision: int
    mono_s: float
    wall_ms: int
    changes: tuple[ChangeRow, ...]


class Decided(Struct, frozen=True, tag="decided", array_like=True):
    """That this reader wanted an agent for a call, and what it knew beside the snapshot."""

    revision: int
    mono_s: float
    wall_ms: int
    call: CallId
    agent: AgentId
    unreachable: tuple[SiteId, ...]
    """Its own opinion of the sites."""
    asked: dict[CallId, AgentId]
    """What it had asked for before and the snapshot did not show yet; and a call of each edge that
    was silent (`edge.acd.match.PASSED_OVER`)."""

    @property
    def now(self) -> Now:
        """The moment of the decision."""
        return Now(mono_s=self.mono_s, wall_ms=self.wall_ms)


Line: TypeAlias = Begin | Changed | Decided

_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)
_any: Final = msgspec.json.Decoder(msgspec.Raw)
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


# ---- writing -------------------------------------------------------------------------------------


def begin(reader: str, snapshot: Snapshot, now: Now) -> Begin:
    """Return the line that holds a whole snapshot."""
    return Begin(
        VERSION,
        reader,
        snapshot.revision,
        now.mono_s,
        now.wall_ms,
        tuple(_rows(snapshot)),
    )


def _rows(snapshot: Snapshot) -> Iterator[Row]:
    for key, raw in snapshot.raw.items():
        parsed = _ours(key)
        if parsed is None:
            continue
        # What cannot be read has no entry, and no time at which it was seen.
        entry = getattr(snapshot, FIELDS[parsed.kind]).get(parsed.id)
        seen_s, is_found = (0.0, False) if entry is None else (entry.seen_s, entry.is_found)
        value = msgspec.Raw(masked(parsed.kind, raw.value))
        yield Row(key, value, raw.create_revision, raw.mod_revision, seen_s, is_found)


def changed(revision: int, changes: Iterable[Change], now: Now) -> Changed:
    """Return the line of one batch; keys that are none of ours are left out."""
    rows = []
    for each in changes:
        parsed = _ours(each.key)
        if parsed is None:
            continue
        value = msgspec.Raw(DELETED if each.value is None else masked(parsed.kind, each.value))
        rows.append(ChangeRow(each.key, value, each.create_revision, each.mod_revision))
    return Changed(revision, now.mono_s, now.wall_ms, tuple(rows))


def encode(line: Line) -> bytes:
    """Return the line's bytes, its end included."""
    data = _encoder.encode(line)
    return b"%08x %s\n" % (zlib.crc32(data), data)


def masked(kind: Kind, value: bytes) -> bytes:
    """Return a record's JSON on one line, without what is not to be told."""
    untold, pattern = _untold(kind)
    try:
        if not value.startswith(b"{"):
            return UNREADABLE
        if b"\n" in value:
            return _masked_slowly(untold, value)
        _any.decode(value)
        if pattern is None:
            return value
        told, count = pattern.subn(rb'\1""', value)
        # Spelt as nobody of us does: look again, and closer.
        return told if count == len(untold) else _masked_slowly(untold, value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UNREADABLE


def _masked_slowly(untold: Iterable[str], value: bytes) -> bytes:
    record = _objects.decode(value)
    hidden = {name: msgspec.Raw(b'""') for name in untold}
    text = _encoder.encode({**record, **hidden})
    return _encoder.encode(msgspec.json.decode(text)) if b"\n" in text else text


@cache
def _untold(kind: Kind) -> tuple[tuple[str, ...], re.Pattern[bytes] | None]:
    noun = RECORD_TYPES[kind]
    names = tuple(sorted(noun.UNTOLD)) if issubclass(noun, Discreet) else ()
    if not names:
        return names, None
    either = "|".join(map(re.escape, names)).encode()
    return names, re.compile(rb'("(?:' + either + rb')":)"(?:[^"\\]|\\.)*"')


def _ours(key: str) -> Key | None:
    """Return what a key says, if it is one that snapshots hold."""
    try:
        parsed = parse(key)
    except BadKeyError:
        return None
    return parsed if parsed.kind in FIELDS else None


# ---- reading -------------------------------------------------------------------------------------


def read(data: bytes) -> Iterator[Line]:
    """Yield the lines up to the first that is torn, altered or of a later version."""
    for text in data.split(b"\n"):
        crc, _, body = text.partition(b" ")
        if len(crc) != _CRC_CHARS or crc != b"%08x" % zlib.crc32(body):
            return
        try:
            line = _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if isinstance(line, Begin) and line.v != VERSION:
            return
        yield line


def restored(line: Begin) -> Iterator[Restored]:
    """Yield what a snapshot is made of again."""
    for row in line.rows:
        record = KeyValue(
            key=row.key,
            value=bytes(row.value),
            create_revision=row.create_revision,
            mod_revision=row.mod_revision,
        )
        yield Restored(record=record, seen_s=row.seen_s, is_found=row.is_found)


def changes_of(line: Changed, up_to: int) -> Iterator[Change]:
    """Yield the changes of a batch up to and including a revision."""
    for row in line.changes:
        if row.mod_revision <= up_to:
            yield Change(
                key=row.key,
                value=None if bytes(row.value) == DELETED else bytes(row.value),
                create_revision=row.create_revision,
                mod_revision=row.mod_revision,
            )


def decided(  # noqa: PLR0913  what a decision rests on
    *,
    revision: int,
    now: Now,
    call: CallId,
    agent: AgentId,
    unreachable: Iterable[SiteId],
    asked: Mapping[CallId, AgentId],
) -> Decided:
    """Return the line of a decision."""
    return Decided(
        revision, now.mono_s, now.wall_ms, call, agent, tuple(sorted(unreachable)), dict(asked)
    )
