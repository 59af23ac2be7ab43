"""Changes copies of stored recordings in every way, and counts which changes were found.

The changed store is a copy; a change counts as found if both the check without keys and a listener
with keys notice it.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from custody.errors import CustodyError
from custody.frame import LAYOUT
from custody.library import Library

FLIPS: Final = 40
"""Bits flipped in each kind of object of a recording."""


class Found(Struct, frozen=True, kw_only=True):
    """How many changes were made, and which of them nobody noticed."""

    tried: int = 0
    missed: tuple[str, ...] = ()

    def plus(self, other: Found) -> Found:
        """Return both together."""
        return Found(tried=self.tried + other.tried, missed=self.missed + other.missed)


async def tamper(library: Library, store: Path, tenant: str, call: str, seed: str) -> Found:
    """Try everything on one recording of `store`, a folder that may be changed."""
    tried, missed = 0, []
    for what, change in _changes(store / tenant, call, random.Random(seed)):  # noqa: S311 - the same every time
        undo = change()
        tried += 1
        if not (
            await library.verify(tenant, call) and await _is_heard_wrong(library, tenant, call)
        ):
            missed.append(f"{call}: {what}")
        for path, content in undo.items():
            path.write_bytes(content)
    return Found(tried=tried, missed=tuple(missed))


async def _is_heard_wrong(library: Library, tenant: str, call: str) -> bool:
    try:
        account = await library.manifest(tenant, call)
        async for _ in library.frames(account):
            pass
    except (CustodyError, FileNotFoundError):
        return True
    return False


Undo = dict[Path, bytes]


def _changes(
    root: Path, call: str, chance: random.Random
) -> Iterator[tuple[str, Callable[[], Undo]]]:
    """Yield what is changed, and the change, which returns how it was before."""
    audio = sorted((root / "audio" / call).iterdir())
    keys = sorted((root / "keys" / call).iterdir())
    account = root / "manifests" / f"{call}.json"
    for path in (audio[0], keys[0], account):
        size = path.stat().st_size
        for _ in range(FLIPS):
            place, bit = chance.randrange(size), chance.randrange(8)
            yield f"bit {place}.{bit} of {path.name}", lambda p=path, a=place, b=bit: _flip(p, a, b)  # type: ignore[misc]
        cut = chance.randrange(size)
        yield f"{path.name} cut to {cut}", lambda p=path, a=cut: _edit(p, lambda c: c[:a])  # type: ignore[misc]
        yield f"something behind {path.name}", lambda p=path: _edit(p, lambda c: c + b"x")  # type: ignore[misc]
    whole = LAYOUT.whole(audio[0].stat().st_size)
    if whole > 1:
        one = chance.randrange(whole - 1)
        yield (
            f"frames {one} and {one + 1} swapped",
            lambda: _edit(audio[0], lambda content: _swapped(content, one)),
        )
        yield (
            f"frame {one} left out",
            lambda: _edit(audio[0], lambda content: _without(content, one)),
        )


def _flip(path: Path, place: int, bit: int) -> Undo:
    def flipped(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        return bytes(changed)

    return _edit(path, flipped)


def _edit(path: Path, change: Callable[[bytes], bytes]) -> Undo:
    before = path.read_bytes()
    path.write_bytes(change(before))
    return {path: before}


def _swapped(content: bytes, one: int) -> bytes:
    start, middle = LAYOUT.span(one)
    _, end = LAYOUT.span(one + 1)
    return content[:start] + content[middle:end] + content[start:middle] + content[end:]


def _without(content: bytes, one: int) -> bytes:
    start, end = LAYOUT.span(one)
    return content[:start] + content[end:]


def copied(store: Path, tenant: str, calls: list[str], to: Path) -> Path:
    """Copy some recordings of a store to a folder that may be changed."""
    for call in calls:
        for part in (f"audio/{call}", f"keys/{call}"):
            shutil.copytree(store / tenant / part, to / tenant / part)
        (to / tenant / "manifests").mkdir(parents=True, exist_ok=True)
        shutil.copy(store / tenant / "manifests" / f"{call}.json", to / tenant / "manifests")
    return to
