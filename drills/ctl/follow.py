"""Listens to what changes, and goes on after a cut where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from drills.cli.errors import CommandError
from drills.ctl.client import Api, ProblemError
from drills.ctl.line import Request
from drills.ctl.show import cell, flattened

SILENT_S: Final = 35.0
"""Heartbeats come every 10 s."""
AGAIN_S: Final = (0.5, 1.0, 2.0, 5.0)
OVER: Final = {
    4001: "the session has ended: ./everline ctl sign-in",
    4003: "the control plane does not know any more who may listen: its database is away",
}
"""Close codes after which nobody comes back."""


_PASSING: Final = frozenset({426, 429, 502, 503, 504})
"""Of HTTP: refusals that are over in a moment, as at the start of a control plane."""


async def messages(api: Api, request: Request) -> AsyncIterator[Mapping[str, Any]]:
    """Yield what is told, heartbeats too, until the session is over. Raise `CommandError`."""
    revision: int | None = None
    failures = 0
    while True:
        try:
            async for said in _once(api, request, revision):
                failures = 0
                revision = said.get("revision", revision)
                yield said
        except (aiohttp.ClientConnectionError, TimeoutError):
            if failures >= len(AGAIN_S):
                raise
        except ProblemError as error:
            # Where a control plane starts, it may refuse for a moment; or what it refused for is
            # over when that is asked for, and then it only says that this is a WebSocket.
            passes = error.problem.status in _PASSING
            if revision is None or not passes or failures >= len(AGAIN_S):
                raise
        await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S) - 1)])
        failures += 1


async def _once(
    api: Api, request: Request, revision: int | None
) -> AsyncIterator[Mapping[str, Any]]:
    path = request.path
    if revision is not None:
        path += f"{'&' if '?' in path else '?'}after={revision}"
    async with api.socket(path, request.headers) as socket:
        while True:
            got = await socket.receive(SILENT_S)
            if got.type is not aiohttp.WSMsgType.TEXT:
                break
            yield msgspec.json.decode(got.data)
        if socket.close_code in OVER:
            raise CommandError(OVER[socket.close_code])


def lines(said: Mapping[str, Any]) -> list[str]:
    """PURE. Return a message as people read it; nothing of heartbeats."""
    match said.get("type"):
        case "events":
            return [_line(each) for each in said["events"]]
        case "list_anew":
            return ["(not all that was missed can be told: list again what you look at)"]
        case _:
            return []


def _line(event: Mapping[str, Any]) -> str:
    told = ", ".join(
        f"{name}={cell(value, 40)}"
        for name, value in flattened(event.get("data") or {})
        if name not in ("id", "tenant") and value not in (None, "", [], {})
    )
    return f"{event['topic']} {event['id']} {event['what']}{': ' if told else ''}{told}"
