"""Requests at a rate, and as many as go: what a client sees of the control plane.

At a rate, a request's time runs from when it was due, whether or not those before it were back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from msgspec import Struct

from loadtests.bench.cpu import CpuMeter
from loadtests.bench.errors import BenchError
from loadtests.bench.stats import Spread, percentile, spread

Send = Callable[[int], Awaitable[None]]
"""Sends the n-th request and checks its answer."""
OK = 200


class Slice(Struct, frozen=True, kw_only=True):
    """How long requests took in some seconds, in ms."""

    p50: float
    p99: float
    most: float
    requests: int
    cpu_ms: float
    """Of the control plane, for each."""


class Times(Struct, frozen=True, kw_only=True):
    """Slices at one rate. What else the machine did disturbs some of them; the median is told."""

    rate: float
    slices: tuple[Slice, ...]

    @property
    def p50(self) -> Spread:
        """The median request, ms."""
        return spread(each.p50 for each in self.slices)

    @property
    def p99(self) -> Spread:
        """What one request of a hundred exceeds, ms."""
        return spread(each.p99 for each in self.slices)

    @property
    def cpu_ms(self) -> Spread:
        """The control plane's own time for each request."""
        return spread(each.cpu_ms for each in self.slices)

    def as_json(self) -> dict[str, float]:
        """Return it for `--json`."""
        return {
            "p50": round(self.p50.median, 2),
            "p99": round(self.p99.median, 2),
            "p99_least": round(self.p99.least, 2),
            "p99_most": round(self.p99.most, 2),
            "slices": len(self.slices),
            "max": round(max(each.most for each in self.slices), 2),
            "requests": sum(each.requests for each in self.slices),
            "at_per_s": self.rate,
            "cpu_ms_each": round(self.cpu_ms.median, 2),
        }


def slice_of(took: list[float], cpu_ms: float) -> Slice:
    """Return what these times (ms) come to."""
    return Slice(
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        most=max(took),
        requests=len(took),
        cpu_ms=cpu_ms,
    )


class Client:
    """People of several tenants, each with a token."""

    def __init__(self, session: aiohttp.ClientSession, tokens: list[str]) -> None:
        self.session = session
        self.tokens = tokens

    async def ask(
        self, who: int, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[Any, str]:
        """Send a request; return its answer and the ETag. Raise BenchError unless it is well."""
        sent = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        async with self.session.request(method, path, json=body, headers=sent) as reply:
            if reply.status != OK:
                raise BenchError(f"{method} {path} answered {reply.status}: {await reply.text()}")
            return await reply.json(), reply.headers.get("ETag", "")


async def sign_in(session: aiohttp.ClientSession, tenant: str, login: str, password: str) -> str:
    """Return a token."""
    said = {"tenant": tenant, "login": login, "password": password}
    async with session.post("/v1/sessions", json=said) as reply:
        if reply.status != 201:  # noqa: PLR2004 - HTTP
            raise BenchError(f"signing in answered {reply.status}: {await reply.text()}")
        return str((await reply.json())["access_token"])


async def at_rate(
    send: Send, rate: float, lasts_s: float, cpu: CpuMeter, *, first: int = 0
) -> Slice:
    """Send `rate` requests a second for `lasts_s` seconds, beginning with the `first`."""
    took: list[float] = []

    async def timed(number: int, due: float) -> None:
        await send(number)
        took.append((time.perf_counter() - due) * 1000)

    before = cpu.read_s()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * lasts_s)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(timed(first + number, due))
    return slice_of(took, (cpu.read_s() - before) * 1000 / len(took))


async def as_many_as_go(send: Send, clients: int, lasts_s: float) -> float:
    """Return the requests a second that `clients` get through, each sending one after the other."""
    end = time.perf_counter() + lasts_s
    done = 0

    async def client(first: int) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < end:
            await send(number)
            number += clients
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client(each) for each in range(clients)))
    return done / (time.perf_counter() - began)
