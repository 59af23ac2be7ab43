"""Shares in steps of one percent, through the order in which the proxy tries a row's edges."""

from __future__ import annotations

import uuid
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.steering import encode, rows
from state import keys
from state.model import DidNumber, Site, SiteId
from tests.acd.worlds import NOW, PATIENT, World
from tests.kemi.fake_ksr import load
from tests.kemi.script import Script, order

A = SiteId("a")
SALES = DidNumber("4930100")
CALLS = 20_000
PERCENT = 0.01


@pytest.fixture(scope="module")
def script() -> Script:
    return Script(*load())


def row_of(parts: tuple[int, int, int], edges: int, *, draining: str = "") -> str:
    world = World()
    world.queue("sales", sales=3)
    world.did(SALES, "sales")
    for site, number in zip("abc", (1, 2, 3), strict=True):
        for edge in range(1, edges + 1):
            world.edge(f"{site}{edge}", sip=f"198.18.{number}.10:508{edge}")
        if site == draining and site != "a":
            world.site(site, sip=f"198.18.{number}.10:5060", draining=True)
    shares = dict(zip(map(SiteId, "abc"), parts, strict=True))
    world.put(
        keys.site(A), Site(id=A, name="a", sip="h:1", shares=shares, draining=draining == "a")
    )
    return encode(rows(world.snapshot, A, NOW)[SALES])


def first_choices(script: Script, row: str, calls: int = CALLS) -> Counter[str]:
    """Return which site each of so many calls is sent to first, by its third octet."""
    found: Counter[str] = Counter()
    for number in range(calls):
        spin = zlib.crc32(f"{uuid.UUID(int=number * 2**64 + 7)}@sbc".encode())
        found[order(script, row, spin)[0].split(".")[2]] += 1
    return found


@pytest.mark.parametrize(
    "parts", [(100, 0, 0), (99, 1, 0), (50, 49, 1), (34, 33, 33), (1, 1, 98), (73, 20, 7)]
)
def test_each_site_serves_its_share_to_one_percent(
    script: Script,
    parts: tuple[int, int, int],
) -> None:
    found = first_choices(script, row_of(parts, edges=2))
    for number, part in enumerate(parts, start=1):
        assert abs(found[str(number)] / CALLS - part / 100) <= PERCENT


def test_the_same_call_goes_to_the_same_site_each_time_it_is_sent(script: Script) -> None:
    row = row_of((34, 33, 33), edges=2)
    assert first_choices(script, row, 500) == first_choices(script, row, 500)


@given(
    parts=st.tuples(*(st.integers(0, 100) for _ in "abc")),
    edges=st.integers(1, 3),
    draining=st.sampled_from("abc"),
)
@PATIENT
def test_a_site_that_drains_gets_no_call_while_another_serves_and_stands_last(
    parts: tuple[int, int, int], edges: int, draining: str
) -> None:
    groups = [group.split(",") for group in row_of(parts, edges, draining=draining).split("|")]
    drained = f"198.18.{'abc'.index(draining) + 1}."
    assert not any(edge.startswith(drained) for group in groups[:-1] for edge in group)
    assert all(edge.startswith(drained) for edge in groups[-1])
