"""PURE. A CSV file's records as they stream in, and what is wrong with each; never its values."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import ValidationError

from control_plane.customers.numbers import e164
from control_plane.customers.schemas import CustomerDraft

PLAIN: Final = ("name", "email", "address", "language", "notes")
LISTS: Final = ("numbers", "tags")
LONGEST: Final = 65_536
STRAY: Final = "cannot be read: a quote is not closed, or is followed by no comma"
NUL: Final = "holds a NUL"
"""PostgreSQL keeps none in a text: one field would cost the whole batch, and end the import."""
Record: TypeAlias = list[str] | str
"""Its fields, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line."""

    line: int
    """Of the file, from 1; where a record has several, its first."""
    field: str
    fault: str


class HeaderError(ValueError):
    """The file's first line does not name fields that are known; the text quotes none."""


async def records(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, Record]]:
    """Give each record with its first line's number, and nothing of the file is held but that.

    A quoted field may go on over lines. Where no record comes of that, the quote was a stray one:
    it costs its own line, and those after it are read by themselves.
    """
    reader = _Reader()
    async for line in _lines(chunks):
        for found in reader.take(line):
            yield found
    for found in reader.end():
        yield found


class _Reader:
    """Makes records of lines."""

    def __init__(self) -> None:
        self._start = 1
        self._open: list[bytes] = []
        """The lines of a record whose quoted field has not ended."""
        self._quotes = self._size = 0

    def take(self, *lines: bytes) -> Iterator[tuple[int, Record]]:
        """Yield what is whole with these lines."""
        waiting = deque(lines)
        while waiting:
            line = waiting.popleft()
            self._open.append(line)
            self._quotes += line.count(b'"')
            self._size += len(line)
            if self._quotes % 2 == 0 or self._size > LONGEST:
                taken, record = _first(self._open)
                waiting.extendleft(reversed(self._open[taken:]))
                yield from self._give(taken, record)

    def end(self) -> Iterator[tuple[int, Record]]:
        """Yield what is left when no line comes any more."""
        while self._open:
            taken, record = _first(self._open)
            rest = self._open[taken:]
            yield from self._give(taken, record)
            yield from self.take(*rest)

    def _give(self, taken: int, record: Record) -> Iterator[tuple[int, Record]]:
        start, self._start = self._start, self._start + taken
        self._open, self._quotes, self._size = [], 0, 0
        if record:
            yield start, record


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut at line feeds. Of a line that is too long only so much is kept that this shows."""
    held = b""
    async for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        held = (held + first)[: LONGEST + 1]
        for each in rest:
            yield held + b"\n"
            held = each[: LONGEST + 1]
    if held:
        yield held


def _first(lines: Sequence[bytes]) -> tuple[int, Record]:
    """Return how many of `lines` are the first record, and that; empty: of blank lines."""
    whole = b"".join(lines)
    if not whole.strip():
        return len(lines), []
    record = _parse(whole)
    if isinstance(record, str) and len(lines) > 1:
        return 1, _parse(lines[0])
    return len(lines), record


def _parse(raw: bytes) -> Record:
    if len(raw) > LONGEST:
        return "cannot be read: it is longer than 64 KiB"
    try:
        found = list(csv.reader([raw.decode("utf-8-sig")], strict=True))
    except UnicodeDecodeError:
        return "cannot be read: it is not UTF-8"
    except csv.Error:
        return STRAY
    return found[0] if len(found) == 1 else STRAY


def header(cells: Record, sensitive: Collection[str]) -> tuple[str, ...]:
    """Return the fields. Raise `HeaderError`."""
    known = (*PLAIN, *LISTS, *sensitive)
    names = () if isinstance(cells, str) else tuple(each.strip() for each in cells)
    if "name" not in names or not set(names) <= set(known) or len(set(names)) != len(names):
        raise HeaderError(
            "the file should be UTF-8 with commas between fields, and its first line should name"
            f" fields, name and any others, each once: {', '.join(known)}"
        )
    return names


def draft(
    at: int, names: tuple[str, ...], cells: Record, region: str | None
) -> CustomerDraft | tuple[Fault, ...]:
    """Return the customer that a record describes, or what is wrong with it."""
    if isinstance(cells, str):
        return (Fault(at, "", cells),)
    if len(cells) != len(names):
        return (Fault(at, "", f"should have {len(names)} fields"),)
    values = dict(zip(names, cells, strict=True))
    if found := tuple(Fault(at, name, NUL) for name, value in values.items() if "\0" in value):
        return found
    try:
        return CustomerDraft.model_validate(_shaped(values, region))
    except ValueError as error:
        return _faults(at, error)


def _shaped(values: Mapping[str, str], region: str | None) -> dict[str, object]:
    made: dict[str, object] = {name: values[name] for name in PLAIN if name in values}
    numbers = [each.strip() for each in values.get("numbers", "").split(";") if each.strip()]
    made["numbers"] = [_number(each, region) for each in numbers]
    made["tags"] = values.get("tags", "").replace(";", " ").split()
    made["sensitive"] = {
        name: value
        for name, value in values.items()
        if name not in (*PLAIN, *LISTS) and value.strip()
    }
    return made


def _number(text: str, region: str | None) -> str:
    try:
        return e164(text, region)
    except ValueError:
        return text  # the model says what is wrong with it, and where


def _faults(at: int, error: ValueError) -> tuple[Fault, ...]:
    if not isinstance(error, ValidationError):
        return (Fault(at, "", "cannot be read"),)
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return tuple(
        Fault(
            at,
            str(each["loc"][0] if each["loc"][0] != "sensitive" else each["loc"][1]),
            each["msg"].removeprefix("Value error, "),
        )
        for each in found
    )
