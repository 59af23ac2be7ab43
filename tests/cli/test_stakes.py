"""What a drill would put at stake, as a desk tells it: a load that cannot be read is not none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from drills.desk import desk as desks
from drills.desk import ledger
from drills.desk.answers import Stakes
from drills.desk.asks import StakesAsk
from drills.lab import replicas
from drills.lab.lab import Lab
from state import keys
from state.clock import SystemClock
from state.errors import UnavailableError
from state.model import SiteId
from state.store import Store
from tests.acd.worlds import World, call_id
from tests.cli.asked import Asked, opened, record


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    async def lags(_: Lab) -> Mapping[SiteId, int | None]:
        return {}

    monkeypatch.setattr(replicas, "raft_lags", lags)
    async with opened(tmp_path, monkeypatch) as desk:
        world = World()
        world.queue("sales", sales=3)
        world.agent("ann", sales=5)
        await desk.fill(world.snapshot)
        now_ms = SystemClock().now().wall_ms
        for number in range(5):
            call, came_ms = call_id(number + 1), now_ms - 60_000 * (number + 1)
            ended = record(
                call,
                arrived_ms=came_ms,
                queued_ms=came_ms,
                connected_ms=came_ms + 1,
                ended_ms=came_ms + 30_000,
            )
            await desk.put(keys.ended(call), ended)
        yield desk


async def stakes(asked: Asked) -> Stakes:
    found = await asked.desk.answer(StakesAsk())
    assert isinstance(found, Stakes)
    return found


async def unread(_: Store, _begins: str = "") -> ledger.Ledger:
    raise UnavailableError("no member of etcd takes the question")


async def test_the_load_is_that_of_the_calls_that_were_read(asked: Asked) -> None:
    peak = (await stakes(asked)).peak_erlangs
    assert peak is not None
    assert peak > 0.0


async def test_a_ledger_that_cannot_be_read_is_no_day_without_calls(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "read_ledger", unread)
    assert (await stakes(asked)).peak_erlangs is None


async def test_what_was_read_lately_stands_and_what_was_read_long_ago_does_not(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await stakes(asked)).peak_erlangs
    monkeypatch.setattr(ledger, "read_ledger", unread)
    monkeypatch.setattr(desks, "LEDGER_EVERY_S", 0.0)
    assert (await stakes(asked)).peak_erlangs == before
    monkeypatch.setattr(desks, "LATELY_S", 0.0)
    assert (await stakes(asked)).peak_erlangs is None
