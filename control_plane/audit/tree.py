"""PURE. The hash tree of the log (RFC 9162 §2.1): heads, inclusion and consistency proofs.

A tree is asked for the hashes of its perfect subtrees: `node(level, index)` covers the leaves
`index << level` up to the next one. Where they are kept is the caller's business; `control_plane.
audit.tiles` keeps them as tiles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

Node = Callable[[int, int], bytes]
"""Takes a level and an index; gives the hash of that perfect subtree."""
HASH_BYTES: Final = 32
EMPTY: Final = hashlib.sha256().digest()
"""The head of a log without entries."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def of_leaves(leaves: Sequence[bytes]) -> Node:
    """Return the nodes of a tree whose leaf hashes are in memory."""
    kept: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        found = kept.get((level, index))
        if found is None:
            found = node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
            kept[level, index] = found
        return found

    return node


def head(node: Node, size: int) -> bytes:
    """Return the root of the first `size` entries."""
    return _over(node, 0, size) if size else EMPTY


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """Return the proof that entry `index` is in the tree of `size` (§2.1.3.1), or ValueError."""
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a log of {size}")
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_over(node, middle, high))
            high = middle
        else:
            proof.append(_over(node, low, middle))
            low = middle
    return proof[::-1]


def consistency(node: Node, first: int, second: int) -> list[bytes]:
    """Return the proof that the tree of `second` goes on from that of `first` (§2.1.4.1).

    ValueError unless 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"no log of {second} goes on from one of {first}")
    proof: list[bytes] = []
    low, high, is_whole = 0, second, True
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            proof.append(_over(node, middle, high))
            high = middle
        else:
            proof.append(_over(node, low, middle))
            low, is_whole = middle, False
    if not is_whole:
        proof.append(_over(node, low, high))
    return proof[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """Return the head that follows from a proof; None: it is no proof (§2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, root = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return None
        if place & 1 or place == last:
            root = node_hash(each, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, each)
        place, last = place >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether the second head goes on from the first one (§2.1.4.2)."""
    if first == second:
        return first_root == second_root and not proof
    if not 0 < first < second or not proof:
        return False
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, each)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _over(node: Node, low: int, high: int) -> bytes:
    """Return the hash over the leaves from `low` to `high`, which the recursion has cut out."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, low >> level)
    middle = low + _split(count)
    return node_hash(_over(node, low, middle), _over(node, middle, high))


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1
