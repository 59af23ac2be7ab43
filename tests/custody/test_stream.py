"""The stream against Tink's own files, and against whoever changes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custody.errors import FormatError, TamperedError
from custody.stream import HEADER_BYTES, FrameCipher, Layout, header
from tests.custody.whole import seal_all

KEY = bytes(range(32))
HEAD = header(b"s" * 32, b"p" * 7)
VECTORS = json.loads((Path(__file__).parent / "tink_vectors.json").read_text())["vectors"]


def opened(key: bytes, place: bytes, sealed: bytes, layout: Layout) -> bytes:
    """Open as a reader that knows the length only."""
    cipher = FrameCipher(key, place, sealed[:HEADER_BYTES])
    last = (len(sealed) - 1) // layout.frame_bytes
    parts = []
    for index in range(last + 1):
        start, end = layout.span(index)
        parts.append(cipher.open(index, sealed[start:end], is_last=index == last))
    return b"".join(parts)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{len(each['message']) // 2} bytes")
def test_what_tink_has_sealed_opens(vector: dict[str, Any]) -> None:
    key, place, sealed = (bytes.fromhex(vector[name]) for name in ("key", "place", "sealed"))
    layout = Layout(vector["frame_bytes"])
    assert opened(key, place, sealed, layout).hex() == vector["message"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{len(each['message']) // 2} bytes")
def test_the_same_message_is_sealed_byte_for_byte_as_tink_does(vector: dict[str, Any]) -> None:
    key, place, sealed = (bytes.fromhex(vector[name]) for name in ("key", "place", "sealed"))
    message, layout = bytes.fromhex(vector["message"]), Layout(vector["frame_bytes"])
    frames, rest = [message[: layout.first_bytes]], message[layout.first_bytes :]
    while rest:
        frames.append(rest[: layout.other_bytes])
        rest = rest[layout.other_bytes :]
    assert seal_all(key, place, sealed[:HEADER_BYTES], frames) == sealed


def sealed_three() -> tuple[bytes, Layout]:
    layout = Layout(120)
    frames = [b"a" * layout.first_bytes, b"b" * layout.other_bytes, b"c" * layout.other_bytes, b"d"]
    return seal_all(KEY, b"here", HEAD, frames), layout


def test_every_flipped_byte_is_found() -> None:
    sealed, layout = sealed_three()
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 0x20
        with pytest.raises((TamperedError, FormatError)):
            opened(KEY, b"here", bytes(changed), layout)


def test_every_cut_is_found() -> None:
    sealed, layout = sealed_three()
    for size in range(HEADER_BYTES, len(sealed)):
        with pytest.raises((TamperedError, FormatError)):
            opened(KEY, b"here", sealed[:size], layout)


def test_frames_that_are_swapped_repeated_or_added_are_found() -> None:
    sealed, layout = sealed_three()
    pieces = [sealed[slice(*layout.span(index))] for index in range(4)]
    for order in ((0, 2, 1, 3), (0, 1, 1, 3), (0, 1, 3), (0, 1, 2, 3, 3), (0, 1, 2, 2, 3)):
        moved = sealed[:HEADER_BYTES] + b"".join(pieces[index] for index in order)
        with pytest.raises(TamperedError):
            opened(KEY, b"here", moved, layout)


def test_another_key_and_another_place_do_not_open() -> None:
    sealed, layout = sealed_three()
    with pytest.raises(TamperedError):
        opened(KEY, b"there", sealed, layout)
    with pytest.raises(TamperedError):
        opened(bytes(32), b"here", sealed, layout)
