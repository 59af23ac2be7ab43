"""What a feature has running on the side: one part's fault is told, and is nobody else's end."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from control_plane import background
from control_plane.background import longer, running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_S", 0.001)


class Part:
    """Fails a few times, and goes on until cancelled."""

    def __init__(self, *faults: BaseException) -> None:
        self._faults = list(faults)
        self.goes_on, self.has_ended = asyncio.Event(), False

    async def run(self) -> None:
        """Be one life of it."""
        if self._faults:
            raise self._faults.pop(0)
        self.goes_on.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.has_ended = True


async def test_a_part_that_fails_is_told_with_its_names_and_begins_again() -> None:
    other = Part()
    part = Part(KeyError("+4930123"), ExceptionGroup("", [OSError("+4930123")]))
    with capture_logs() as told:
        async with running("desk", part.run, other.run):
            await asyncio.wait_for(part.goes_on.wait(), 5)
            assert not other.has_ended
    assert (part.has_ended, other.has_ended) == (True, True), "they end with the application"
    assert [each["fault"] for each in told] == ["KeyError", "OSError"]
    for each in told:
        assert (each["event"], each["feature"]) == ("part_failed", "desk")
        assert (each["part"], each["log_level"]) == ("Part.run", "error")
    assert told[0]["at"].startswith("test_background.py:")
    assert "+4930123" not in str(told), "an exception's text may quote what somebody sent"
    assert told[1]["again_s"] > told[0]["again_s"]


async def test_a_part_that_is_cancelled_by_nobody_of_ours_begins_again() -> None:
    part = Part(asyncio.CancelledError())
    async with running("desk", partial(part.run)):
        await asyncio.wait_for(part.goes_on.wait(), 5)


async def test_a_part_that_fails_on_its_way_out_keeps_nobody() -> None:
    goes_on = asyncio.Event()

    async def clings() -> None:
        try:
            goes_on.set()
            await asyncio.Event().wait()
        finally:
            raise KeyError("late")

    with capture_logs() as told:
        async with asyncio.timeout(5), running("desk", clings):
            await goes_on.wait()
    assert [each["fault"] for each in told] == ["KeyError"]


async def test_a_part_that_has_nothing_more_to_do_is_not_begun_again() -> None:
    begun: list[int] = []

    async def once() -> None:
        begun.append(1)

    async with running("desk", once):
        for _ in range(20):
            await asyncio.sleep(0)
    assert begun == [1]


def test_pauses_grow_to_a_limit() -> None:
    pauses = [1.0]
    while len(pauses) < 9:
        pauses.append(longer(pauses[-1]))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


async def test_who_has_gone_on_for_long_pauses_shortly_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "LONGEST_S", -1.0)  # any while is long
    monkeypatch.setattr(background, "longer", lambda _: 0.002)
    part = Part(KeyError(), KeyError(), KeyError())
    with capture_logs() as told:
        async with running("desk", part.run):
            await asyncio.wait_for(part.goes_on.wait(), 5)
    assert [each["again_s"] for each in told] == [background.FIRST_S] * 3
