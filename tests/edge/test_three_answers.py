"""More than two edges have had one INVITE: the records of the others make room, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge.acd.yielding import ACKNOWLEDGED_ELSEWHERE
from edge.calls.records import Landed, Refused
from state import keys
from state.store import RangeResult
from tests.edge.lone import CALL, Bench, configured, guess, ticket


def third_edge_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch, *causes: str) -> None:
    """Let another edge's record come between what is read of the call and what is written."""
    read: Callable[..., Any] = bench.shared.range
    left = list(causes)

    async def read_and_late(key: str, **asked: Any) -> RangeResult:  # noqa: ANN401 - passed on
        found: RangeResult = await read(key, **asked)
        if key == keys.ended(CALL) and found.records and left:
            await bench.put(key, guess(edge="b1", cause=left.pop(0)))
        return found

    monkeypatch.setattr(bench.shared, "range", read_and_late)


async def test_a_record_that_comes_over_the_one_that_made_room_makes_room_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = await configured()
    await bench.put(keys.ended(CALL), guess(edge="c2", cause=ACKNOWLEDGED_ELSEWHERE))
    third_edge_writes(bench, monkeypatch, ACKNOWLEDGED_ELSEWHERE, ACKNOWLEDGED_ELSEWHERE)
    written = await bench.records().create(ticket(), bench.clock.now())
    assert isinstance(written, Landed)
    assert await bench.has(keys.ticket(CALL))
    assert not await bench.has(keys.ended(CALL))


async def test_one_that_tells_how_the_call_ended_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await configured()
    await bench.put(keys.ended(CALL), guess(edge="c2", cause=ACKNOWLEDGED_ELSEWHERE))
    third_edge_writes(bench, monkeypatch, "media_lost")
    written = await bench.records().create(ticket(), bench.clock.now())
    assert isinstance(written, Refused)
    assert not await bench.has(keys.ticket(CALL))
