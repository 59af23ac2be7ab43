"""The tree as RFC 9162 has it, by the reference values of Certificate Transparency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.audit import tiles, tree

# The leaves and heads by which certificate-transparency-go and others test RFC 6962.
LEAVES = tuple(
    bytes.fromhex(each)
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
)  # fmt: skip
HEADS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
HASHES = tuple(tree.leaf_hash(each) for each in LEAVES)


def hashes(count: int) -> list[bytes]:
    return [tree.leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_heads_are_those_of_the_reference(size: int) -> None:
    assert tree.head(tree.of_leaves(HASHES), size).hex() == HEADS[size]


SIZES = st.integers(1, 700)


@given(st.data())
def test_an_entry_is_proved_at_its_place_and_at_no_other(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    node = tree.of_leaves(leaves)
    proof = tree.inclusion(node, index, size)
    root = tree.head(node, size)
    assert tree.root_of_inclusion(leaves[index], index, size, proof) == root
    if other != index:
        assert tree.root_of_inclusion(leaves[index], other, size, proof) != root
        assert tree.root_of_inclusion(leaves[other], index, size, proof) != root
    assert tree.root_of_inclusion(leaves[index], index, size, [*proof, root]) is None


@given(st.data())
def test_a_log_goes_on_from_what_it_was_and_from_nothing_else(data: st.DataObject) -> None:
    second = data.draw(SIZES)
    first = data.draw(st.integers(1, second))
    leaves = hashes(second)
    node = tree.of_leaves(leaves)
    proof = tree.consistency(node, first, second)
    old, new = tree.head(node, first), tree.head(node, second)
    assert tree.is_consistent(first, old, second, new, proof)
    changed = data.draw(st.integers(0, first - 1))
    leaves[changed] = tree.leaf_hash(b"another")
    forged = tree.of_leaves(leaves)
    theirs = tree.consistency(forged, first, second)
    assert not tree.is_consistent(first, old, second, tree.head(forged, second), theirs)
    assert not tree.is_consistent(first, old, second, new, [*proof, new])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.data())
def test_tiles_that_grow_by_pieces_hold_the_same_tree(
    pieces: list[int], data: st.DataObject
) -> None:
    leaves = hashes(sum(pieces))
    there: dict[tiles.Tile, bytes] = {}
    size = 0
    for piece in pieces:
        edge = {tile: there[tile] for tile in tiles.edge(size)}
        there |= tiles.grow(edge, size, leaves[size : size + piece])
        size += piece
        assert tree.head(tiles.nodes(there), size) == tree.head(tree.of_leaves(leaves), size)
    first = data.draw(st.integers(1, size))
    read = tiles.read_by(lambda node: tree.consistency(node, first, size))
    some = tiles.nodes({tile: there[tile] for tile in read})
    expected = tree.consistency(tree.of_leaves(leaves), first, size)
    assert tree.consistency(some, first, size) == expected


def test_a_tree_of_three_levels_of_tiles_is_the_same_too() -> None:
    leaves = hashes(66_000)
    there = tiles.grow({}, 0, leaves)
    assert {level for level, _ in there} == {0, 1, 2}
    assert tree.head(tiles.nodes(there), 66_000) == tree.head(tree.of_leaves(leaves), 66_000)


def test_a_tile_that_is_missing_or_cut_off_is_told_of() -> None:
    there = tiles.grow({}, 0, hashes(10))
    there[0, 0] = there[0, 0][:-1]
    with pytest.raises(LookupError, match="tile 0/0"):
        tree.head(tiles.nodes(there), 10)
