"""What arrives of the media probes, and what that says of a site."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.steering.paths import A_SECOND, Numbered, Paths, pack, unpack
from state.model import EdgeId, SiteId

B1, B2 = EdgeId("b1"), EdgeId("b2")
B = SiteId("b")
EDGES = {B1: B, B2: B}


def lossy_after(  # noqa: PLR0913 - what a stretch of time is made of
    seconds: int,
    loss: float,
    *,
    paths: Paths,
    start: int = 0,
    seed: int = 1,
    edges: tuple[EdgeId, ...] = (B1, B2),
) -> int | None:
    """Return in which second the site becomes lossy."""
    chance = random.Random(seed)  # noqa: S311 - no secret: to be repeated
    for second in range(start, start + seconds):
        for edge in edges:
            for number in range(A_SECOND):
                if chance.random() >= loss:
                    paths.take(Numbered(edge, 7, second * A_SECOND + number), second + 0.01)
        if B in paths.lossy(EDGES, second + 1.0):
            return second - start + 1
    return None


@pytest.mark.parametrize("seed", range(20))
def test_a_tenth_lost_is_found_within_ten_seconds(seed: int) -> None:
    found = lossy_after(10, 0.10, seed=seed, paths=Paths())
    assert found is not None
    assert found <= 10


@pytest.mark.parametrize("seed", range(20))
def test_one_in_a_hundred_lost_is_no_fault(seed: int) -> None:
    assert lossy_after(60, 0.01, seed=seed, paths=Paths()) is None


def test_a_direction_that_goes_dead_is_found_after_three_seconds() -> None:
    paths = Paths()
    assert lossy_after(10, 0.0, paths=paths) is None
    found = lossy_after(10, 1.0, start=10, paths=paths)
    assert found is not None
    assert 3 <= found <= 5


def test_a_dead_process_does_not_make_its_site_lossy() -> None:
    paths = Paths()
    assert lossy_after(10, 0.0, paths=paths) is None
    assert lossy_after(20, 0.0, start=10, edges=(B1,), paths=paths) is None


def test_who_was_frozen_itself_says_nothing() -> None:
    paths = Paths()
    assert lossy_after(10, 0.0, paths=paths) is None
    for number in range(2 * A_SECOND):
        paths.take(Numbered(B1, 7, 400 + 3 * number), 15.0)
    assert paths.lossy(EDGES, 15.0) == frozenset()


def test_who_was_frozen_finds_a_direction_that_has_gone_dead_meanwhile() -> None:
    paths = Paths()
    assert lossy_after(10, 0.0, paths=paths) is None
    found = lossy_after(10, 1.0, start=15, paths=paths)
    assert found is not None
    assert 3 <= found <= 5


def test_who_was_frozen_takes_a_direction_that_is_well_for_well() -> None:
    paths = Paths()
    assert lossy_after(10, 0.0, paths=paths) is None
    assert lossy_after(20, 0.0, start=15, paths=paths) is None


def test_a_new_process_begins_its_numbers_anew() -> None:
    paths = Paths()
    assert lossy_after(10, 0.0, paths=paths) is None
    for number in range(3 * A_SECOND):
        paths.take(Numbered(B1, 8, number), 10.5)
    assert paths.lossy({B1: B}, 11.0) == frozenset()


def test_a_site_that_was_never_heard_says_nothing() -> None:
    assert all(Paths().lossy(EDGES, float(second)) == frozenset() for second in range(60))


@given(noise=st.binary(max_size=200))
def test_rubbish_is_no_packet(noise: bytes) -> None:
    assert unpack(noise) is None or noise.startswith(b"EvMP")
    packet = Numbered(B1, 2**32 - 1, 12)
    assert unpack(pack(packet)) == packet
    assert unpack(pack(packet)[:14]) is None
