"""Whoever gets at a store: every change is found, without keys and with them, and nothing leaks."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from custody import listening
from custody.errors import CustodyError
from custody.frame import LAYOUT
from custody.stream import HEADER_BYTES
from tests.recorder.made import Archive

ONE, TWO = "1" * 24, "2" * 24
FLIPS = 150


async def make(folder: Path) -> None:
    """Make two recordings of two segments each."""
    archive = Archive(folder)
    await archive.make_key()
    for call in (ONE, TWO):
        archive.record(call, 62.5)
        archive.end()
    await archive.ship()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make them once for all tests."""
    folder = tmp_path_factory.mktemp("made")
    asyncio.run(make(folder))
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Archive:
    """Return a copy, to be changed."""
    archive = Archive(tmp_path / "copy")
    for name in ("store", "keyring"):
        shutil.copytree(made / name, tmp_path / "copy" / name)
    return archive


def objects(archive: Archive, call: str) -> dict[str, list[Path]]:
    """Return the files of a recording by what they are."""
    root = archive.store / "main"
    return {
        "audio": sorted((root / "audio" / call).iterdir()),
        "keys": sorted((root / "keys" / call).iterdir()),
        "manifest": [root / "manifests" / f"{call}.json"],
    }


async def opened(archive: Archive) -> bytes:
    """Return all that a listener gets of the first recording, before something is found."""
    library, heard = archive.library(), b""
    account = await library.manifest("main", ONE)
    async for frame in library.frames(account):
        heard += listening.pcm(frame)
    return heard


async def is_found(archive: Archive) -> bool:
    """Tell whether a change shows to a listener."""
    try:
        await opened(archive)
    except (CustodyError, FileNotFoundError):
        return True
    return False


def flipped(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield the content with one bit changed, at places all over it."""
    places = {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(FLIPS))}
    for place in sorted(places):
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        yield bytes(changed)


@pytest.mark.parametrize("kind", ["audio", "keys", "manifest"])
async def test_every_flipped_bit_is_found_without_a_key_and_with_one(
    archive: Archive, kind: str
) -> None:
    chance, library = random.Random(5), archive.library()  # noqa: S311 - the same every time
    for path in objects(archive, ONE)[kind][:1]:
        content = path.read_bytes()
        for number, changed in enumerate(flipped(content, chance)):
            path.write_bytes(changed)
            assert await library.verify("main", ONE), number
            if number % 10 == 0 or kind != "audio":
                assert await is_found(archive), number
        path.write_bytes(content)
    assert await library.verify("main", ONE) == []
    assert not await is_found(archive)


def swap(one: Path, two: Path) -> None:
    """Put each in the other's place."""
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def _swap_segments(mine: dict[str, list[Path]], _: dict[str, list[Path]]) -> None:
    swap(mine["audio"][0], mine["audio"][1])


def _swap_keys(mine: dict[str, list[Path]], _: dict[str, list[Path]]) -> None:
    swap(mine["keys"][0], mine["keys"][1])


def _swap_whole_segments(mine: dict[str, list[Path]], _: dict[str, list[Path]]) -> None:
    _swap_segments(mine, mine)
    _swap_keys(mine, mine)


def _take_anothers(mine: dict[str, list[Path]], other: dict[str, list[Path]]) -> None:
    for kind in ("audio", "keys"):
        shutil.copy(other[kind][0], mine[kind][0])


def _take_anothers_manifest(mine: dict[str, list[Path]], other: dict[str, list[Path]]) -> None:
    shutil.copy(other["manifest"][0], mine["manifest"][0])


def _leave_out_a_segment(mine: dict[str, list[Path]], _: dict[str, list[Path]]) -> None:
    mine["audio"][1].unlink()


def _frames(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[..., None]:
    def change(mine: dict[str, list[Path]], _: dict[str, list[Path]]) -> None:
        path = mine["audio"][0]
        content = path.read_bytes()
        whole = LAYOUT.whole(len(content))
        pieces = [content[slice(*LAYOUT.span(index))] for index in range(whole)]
        pieces.append(content[whole * LAYOUT.frame_bytes :])
        path.write_bytes(content[:HEADER_BYTES] + b"".join(edit(pieces)))

    return change


CHANGES = {
    "two segments swapped": _swap_segments,
    "two keys swapped": _swap_keys,
    "two segments swapped, keys and all": _swap_whole_segments,
    "another recording's segment and key": _take_anothers,
    "another recording's manifest": _take_anothers_manifest,
    "a segment left out": _leave_out_a_segment,
    "two frames swapped": _frames(lambda f: [*f[:3], f[4], f[3], *f[5:]]),
    "a frame repeated": _frames(lambda f: [*f[:4], f[3], *f[4:]]),
    "a frame left out": _frames(lambda f: [*f[:3], *f[4:]]),
    "the end cut off": _frames(lambda f: f[:-1]),
    "cut in a frame": _frames(lambda f: [*f[:5], f[5][:100]]),
    "something behind the end": _frames(lambda f: [*f, b"more"]),
    "the end twice": _frames(lambda f: [*f, f[-1]]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_whatever_is_moved_or_cut_is_found(
    archive: Archive, change: Callable[..., None]
) -> None:
    library = archive.library()
    change(objects(archive, ONE), objects(archive, TWO))
    assert await library.verify("main", ONE)
    assert await is_found(archive)
    assert await library.verify("main", TWO) == [], "the other one is as it was"


async def test_nothing_of_a_bad_frame_is_heard(archive: Archive) -> None:
    whole = await opened(archive)
    path = objects(archive, ONE)["audio"][0]
    content = bytearray(path.read_bytes())
    start, _ = LAYOUT.span(7)
    content[start + 100] ^= 1
    path.write_bytes(content)
    library = archive.library()
    account = await library.manifest("main", ONE)
    segment = await library.open_segment(account, account.segments[0])
    for index in range(10):
        if index == 7:
            with pytest.raises(CustodyError):
                await segment.frame(index)
        else:
            heard = listening.pcm(await segment.frame(index))
            assert heard == whole[index * len(heard) : (index + 1) * len(heard)]
