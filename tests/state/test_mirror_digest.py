"""One number tells whether two know the same."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state import keys
from state.mirror.comparing import PIECE
from state.mirror.digest import Digest
from state.model import AgentId, Readiness
from tests.edge.virtual_time import in_virtual_time
from tests.prove.planting import plant
from tests.state.test_late_watch import follow
from tests.state.test_mirror import CALM, PATIENCE_S, QUICK, World, make_world, running

HELD = st.dictionaries(st.text("ab/", min_size=1, max_size=4), st.integers(1, 9), max_size=6)


@given(one=HELD, other=HELD)
def test_it_is_the_same_for_the_same_whatever_came_when(
    one: dict[str, int], other: dict[str, int]
) -> None:
    followed = Digest(one.items())
    for key, revision in one.items():
        if other.get(key) != revision:
            followed.drop(key, revision)
    followed.add((key, revision) for key, revision in other.items() if one.get(key) != revision)
    backwards = Digest(reversed(other.items()))
    assert str(followed) == str(backwards)
    assert (str(Digest(one.items())) == str(backwards)) is (one == other)


def test_it_is_of_one_length_and_of_nothing_too() -> None:
    assert str(Digest()) == "0" * 16
    assert all(len(str(Digest([("a", n)]))) == 16 for n in range(100))
    taken = Digest()
    taken.drop("a", 1)
    taken.add([("a", 1)])
    assert str(taken) == str(Digest())


def test_keys_that_are_no_utf_8_count_as_others_do() -> None:
    named = [b"\xff".decode("utf-8", "surrogateescape"), b"\xfe".decode("utf-8", "surrogateescape")]
    assert len({str(Digest([(key, 1)])) for key in ("", *named)}) == 3


async def _stored(world: World) -> str:
    found = await world.memory.range(keys.STATE, prefix=True)
    return str(Digest((each.key, each.mod_revision) for each in found.records))


async def test_a_mirror_tells_it_with_the_revision_of_its_snapshot() -> None:
    world = make_world()
    for number in range(PIECE + 3):
        await world.put(f"agent{number}")
    async with running(world.mirror):
        revision = await world.put("anna")
        await world.mirror.wait_until(lambda s: "anna" in s.wishes, PATIENCE_S)
        assert await world.mirror.digest() == (revision, await _stored(world))


async def test_it_is_of_one_snapshot_though_the_mirror_goes_on_meanwhile() -> None:
    world = make_world()
    for number in range(PIECE + 3):
        await world.put(f"agent{number}")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: len(s.wishes) == PIECE + 3, PATIENCE_S)
        before, revision = await _stored(world), world.mirror.snapshot.revision
        digest = asyncio.create_task(world.mirror.digest())
        await asyncio.sleep(0)
        await world.put("anna")
        assert await digest == (revision, before)


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_what_a_lost_event_makes_wrong_is_seen_and_goes_with_a_check_alone(
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_forgotten: bool,
) -> None:
    """With the planted bug of the proof, too: nothing else may put it right."""
    if is_forgotten:
        plant(monkeypatch, "check_forgotten")
    world = make_world(replace(QUICK if is_forgotten else CALM, check_every_s=0.3))
    await world.put("anna")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: "anna" in s.wishes, PATIENCE_S)
        world.store.is_lost = lambda change: change.key == keys.wish(AgentId("anna"))
        await world.put("anna", Readiness.PAUSED)
        revision = await world.put("bert")
        await world.mirror.wait_until(lambda s: "bert" in s.wishes, PATIENCE_S)
        told = await world.mirror.digest()
        assert told[0] == revision
        assert told[1] != await _stored(world)
        await asyncio.sleep(1.0)
        is_right = await world.mirror.digest() == (revision, await _stored(world))
    assert is_right is not is_forgotten


@in_virtual_time
async def test_with_the_planted_bug_a_watch_that_is_late_is_not_listed_anew_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine that would put right what no check does, and the bug would not show."""
    plant(monkeypatch, "check_forgotten")
    mirror, _, _ = await follow(late_s=0.1)
    assert (mirror.counters.lists, mirror.counters.checks) == (1, 0)
