"""PURE. The log as a file, so that it can be checked where no control plane is: JSON, line by line.

    {"everline_audit": 1, "origin": ...}
    {"place": 0, "entry": {...}}              every entry, or those of one thing
    {"place": 1, "entry": {...}, "proof": []}   with an inclusion proof where not all are there
    {"tile": 0, "hashes": "..."}              of each 256 entries, as the log keeps them
    {"checkpoint": "..."}                     signed, the newest last

`detail` of an entry stands as the text that the tree is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from control_plane.audit.entry import COLUMNS
from control_plane.audit.errors import NoteError
from control_plane.audit.tiles import WIDTH
from control_plane.audit.tree import HASH_BYTES

VERSION: Final = 1
_encoder: Final = msgspec.json.Encoder(order="sorted")


class Kept(Struct, frozen=True, kw_only=True):
    """An entry, and where it stands."""

    place: int
    entry: Mapping[str, Any]
    """The columns of the row."""
    proof: tuple[bytes, ...] | None = None
    """That it is in the newest checkpoint's tree; None: the whole log is there."""


class _Line(Struct, kw_only=True):
    everline_audit: int | None = None
    origin: str = ""
    place: int | None = None
    entry: dict[str, Any] | None = None
    tile: int | None = None
    hashes: bytes = b""
    proof: tuple[bytes, ...] | None = None
    checkpoint: str | None = None


class File(Struct, frozen=True, kw_only=True):
    """What a file holds."""

    origin: str
    entries: tuple[Kept, ...]
    leaves: tuple[bytes, ...]
    """The hashes of all entries, as the log keeps them. Nobody has signed them by themselves: they
    say which entry it is that was changed."""
    checkpoints: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is the log, and not a part of it with proofs."""
        return all(each.proof is None for each in self.entries)


def columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a row what the tree is over."""
    return {name: row[name] for name in (*COLUMNS, "detail")}


def head_line(origin: str) -> bytes:
    """Return the first line of a file."""
    return _encoder.encode({"everline_audit": VERSION, "origin": origin}) + b"\n"


def entry_line(place: int, row: Mapping[str, Any], proof: Sequence[bytes] | None = None) -> bytes:
    """Return an entry's line."""
    told: dict[str, Any] = {"place": place, "entry": columns(row)}
    if proof is not None:
        told["proof"] = list(proof)
    return _encoder.encode(told) + b"\n"


def tile_line(number: int, hashes: bytes) -> bytes:
    """Return the line of a tile of the lowest level."""
    return _encoder.encode({"tile": number, "hashes": hashes}) + b"\n"


def checkpoint_line(note: str) -> bytes:
    """Return a checkpoint's line."""
    return _encoder.encode({"checkpoint": note}) + b"\n"


def read(lines: Iterable[bytes]) -> File:
    """Read a file. Raise `NoteError` naming the line."""
    origin: str | None = None
    entries: list[Kept] = []
    checkpoints: list[str] = []
    leaves: list[bytes] = []
    for number, line in _numbered(lines):
        if line.everline_audit is not None:
            if line.everline_audit != VERSION:
                raise NoteError(f"line {number}: a version that is not known here")
            origin = line.origin
        elif line.checkpoint is not None:
            checkpoints.append(line.checkpoint)
        elif line.tile is not None:
            if line.tile * WIDTH != len(leaves) or len(line.hashes) % HASH_BYTES:
                raise NoteError(f"line {number}: tile {line.tile} is out of its place")
            leaves += _hashes(line.hashes)
        elif line.place is not None and line.entry is not None:
            entries.append(_kept(number, line.place, line.entry, line.proof))
        else:
            raise NoteError(f"line {number}: neither an entry nor a checkpoint")
    if origin is None:
        raise NoteError("line 1: no export of an audit log")
    return File(
        origin=origin,
        entries=tuple(entries),
        leaves=tuple(leaves),
        checkpoints=tuple(checkpoints),
    )


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def _kept(number: int, place: int, entry: dict[str, Any], proof: tuple[bytes, ...] | None) -> Kept:
    if set(entry) != {*COLUMNS, "detail"}:
        raise NoteError(f"line {number}: an entry that has not all its columns, or more")
    return Kept(place=place, entry=entry, proof=proof)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, _Line]]:
    decoder = msgspec.json.Decoder(_Line)
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            yield number, decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise NoteError(f"line {number}: not JSON as we write it") from error
