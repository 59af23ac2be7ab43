"""Listening goes on where it was, also when whoever answers first cannot let anybody in yet."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from drills.ctl import follow
from drills.ctl.client import Api, ProblemError
from drills.ctl.line import Request
from drills.ctl.problems import Problem

REQUEST = Request(method="GET", path="/v1/events", headers={}, body=None)
AWAY = Problem(status=503, error_id="unavailable", title="Try again")
UPGRADE = Problem(status=426, error_id="upgrade-needed", title="This is a WebSocket")
FORBIDDEN = Problem(status=403, error_id="forbidden", title="No")


class Socket:
    """A stream that tells one thing, and is cut."""

    close_code = 1006

    def __init__(self, revision: int) -> None:
        said = json.dumps({"revision": revision})
        self._told = [aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, said, "")]

    async def receive(self, _timeout_s: float) -> aiohttp.WSMessage:
        """Return the next message."""
        if self._told:
            return self._told.pop()
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)


class Restarting(Api):
    """A control plane that lets in, or refuses, in this order."""

    def __init__(self, *course: int | Problem) -> None:
        self._course = list(course)
        self.paths: list[str] = []

    @asynccontextmanager
    async def socket(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:  # noqa: ARG002
        """Give a stream."""
        self.paths.append(path)
        now = self._course.pop(0)
        if isinstance(now, Problem):
            raise ProblemError(now)
        yield Socket(now)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait."""
    monkeypatch.setattr(follow, "AGAIN_S", (0.0, 0.0, 0.0, 0.0))


async def heard(api: Restarting) -> tuple[list[int], str]:
    """Return what is heard, and what ends it."""
    found: list[int] = []
    try:
        async for said in follow.messages(api, REQUEST):
            found.append(said["revision"])  # noqa: PERF401 - until it is refused
    except ProblemError as error:
        return found, error.problem.error_id
    raise AssertionError("it has no end")


async def test_who_listens_goes_on_when_the_control_plane_is_not_ready_yet() -> None:
    api = Restarting(1, AWAY, UPGRADE, 2, FORBIDDEN)
    assert await heard(api) == ([1, 2], "forbidden")
    assert api.paths == ["/v1/events"] + ["/v1/events?after=1"] * 3 + ["/v1/events?after=2"]


async def test_not_without_end_and_not_before_anything_was_heard() -> None:
    assert await heard(Restarting(1, *[AWAY] * 9)) == ([1], "unavailable")
    first = Restarting(AWAY, 1)
    assert await heard(first) == ([], "unavailable")
    assert len(first.paths) == 1
