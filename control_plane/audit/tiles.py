"""PURE. The tree in tiles of 256 hashes (C2SP tlog-tiles): how they grow, and what a proof reads.

Tile (0, n) holds the hashes of the leaves from 256 n on; tile (l, n) holds, each, the hash of one
whole tile below it. Only the last tile of a level is ever written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from control_plane.audit.tree import HASH_BYTES, Node, node_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
Tile = tuple[int, int]
"""Level and number."""
T = TypeVar("T")


def edge(size: int) -> list[Tile]:
    """Return the tiles that an append to a log of `size` reads: the last one of each level."""
    found: list[Tile] = []
    level, count = 0, size
    while count:
        if count % WIDTH:
            found.append((level, count // WIDTH))
        level, count = level + 1, count // WIDTH
    return found


def grow(there: Mapping[Tile, bytes], size: int, leaves: Sequence[bytes]) -> dict[Tile, bytes]:
    """Return the tiles that differ when `leaves` (hashes) are put behind a log of `size`.

    `there` holds at least `edge(size)`.
    """
    made: dict[Tile, bytes] = {}
    level, count, coming = 0, size, list(leaves)
    while coming:
        whole: list[bytes] = []
        for each in coming:
            tile = (level, count // WIDTH)
            held = made.get(tile)
            if held is None:
                held = there[tile] if count % WIDTH else b""
            made[tile] = held = held + each
            count += 1
            if count % WIDTH == 0:
                whole.append(_fold(held))
        level, count, coming = level + 1, (count - len(coming)) // WIDTH, whole
    return made


def nodes(there: Mapping[Tile, bytes]) -> Node:
    """Return the nodes of a tree whose tiles, as far as they are asked for, are in `there`."""

    def node(level: int, index: int) -> bytes:
        tile, first, count = _where(level, index)
        held = there.get(tile, b"")[first * HASH_BYTES : (first + count) * HASH_BYTES]
        if len(held) != count * HASH_BYTES:
            raise LookupError(f"tile {tile[0]}/{tile[1]} is missing, or cut off")
        return _fold(held)

    return node


def read_by(ask: Callable[[Node], T]) -> set[Tile]:
    """Return the tiles that `ask` reads: its course depends on sizes, and on no hash."""
    read: set[Tile] = set()

    def node(level: int, index: int) -> bytes:
        read.add(_where(level, index)[0])
        return bytes(HASH_BYTES)

    ask(node)
    return read


def leaves(there: Mapping[Tile, bytes], size: int) -> Iterator[bytes | None]:
    """Yield the leaf hashes that the tiles hold; None where one is missing."""
    for index in range(size):
        held = there.get((0, index // WIDTH), b"")
        at = index % WIDTH * HASH_BYTES
        each = held[at : at + HASH_BYTES]
        yield each if len(each) == HASH_BYTES else None


def _where(level: int, index: int) -> tuple[Tile, int, int]:
    """Return in which tile a node's hashes are, from which one on, and how many."""
    row, height = divmod(level, HEIGHT)
    number, first = divmod(index << height, WIDTH)
    return (row, number), first, 1 << height


def _fold(hashes: bytes) -> bytes:
    """Return the hash over a power of two of hashes."""
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
