"""PURE. A CSV file's records as they stream in, and what is wrong with each; never its values."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from control_plane.customers.numbers import e164
from control_plane.customers.schemas import CustomerDraft

PLAIN: Final = ("name", "email", "address", "language", "notes")
LISTS: Final = ("numbers", "tags")
LONGEST: Final = 65_536


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line."""

    line: int
    """Of the file, from 1; where a record has several, its first."""
    field: str
    fault: str


class HeaderError(ValueError):
    """The file's first line does not name fields that are known; the text quotes none."""


async def records(lines: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, list[str] | None]]:
    """Give each record with its first line's number; None for one that cannot be read."""
    start, held = 1, b""
    number = 0
    async for line in lines:
        number += 1
        held += line
        if held.count(b'"') % 2 and len(held) <= LONGEST:
            continue  # a quoted field goes on in the next line
        if held.strip():
            yield start, _parse(held)
        start, held = number + 1, b""
    if held.strip():
        yield start, None if held.count(b'"') % 2 else _parse(held)


def _parse(raw: bytes) -> list[str] | None:
    if len(raw) > LONGEST:
        return None
    try:
        found = list(csv.reader([raw.decode("utf-8-sig")], strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    return found[0] if len(found) == 1 else None


def header(cells: list[str] | None, sensitive: Collection[str]) -> tuple[str, ...]:
    """Return the fields. Raise `HeaderError`."""
    known = (*PLAIN, *LISTS, *sensitive)
    names = tuple(each.strip() for each in cells or ())
    if "name" not in names or not set(names) <= set(known) or len(set(names)) != len(names):
        raise HeaderError(f"the first line should name fields, each once: {', '.join(known)}")
    return names


def draft(
    at: int, names: tuple[str, ...], cells: list[str] | None, region: str | None
) -> CustomerDraft | tuple[Fault, ...]:
    """Return the customer that a record describes, or what is wrong with it."""
    if cells is None:
        return (Fault(at, "", "cannot be read: UTF-8, quotes, at most 64 KiB"),)
    if len(cells) != len(names):
        return (Fault(at, "", f"should have {len(names)} fields"),)
    values = dict(zip(names, cells, strict=True))
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
