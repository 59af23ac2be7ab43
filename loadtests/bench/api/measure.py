"""`bench api`: screen pop, search and queue edits on both databases, and the policy's decisions."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import aiohttp
from msgspec import Struct

from drills.cli.progress import progress
from drills.lab.enter import RUN_ROOT
from loadtests.bench.api import authorise, databases, fanout, kept, load, stock
from loadtests.bench.api.load import Client, Times
from loadtests.bench.api.plane import PASSWORD, URL, Plane, configure, serving
from loadtests.bench.api.stock import Dialect
from loadtests.bench.cpu import CpuMeter
from loadtests.bench.errors import BenchError
from loadtests.bench.servers import PROJECT

POLICIES: Final = PROJECT / "policies"
CLIENTS: Final = 8
BIG: Final = 0
WARM: Final = 50
BEYOND: Final = 1_000_000
"""Requests of this number and more are asked only to warm up."""


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    customers: int = stock.CUSTOMERS
    people: int = 100
    pops_per_s: float = 40.0
    searches_per_s: float = 15.0
    edits_per_s: float = 4.0
    slices: int = 5
    slice_s: float = 6.0
    full_s: float = 5.0
    decisions: int = 10
    listeners: int = 500
    changes: int = 20


QUICK: Final = Effort(
    customers=20_000,
    people=4,
    slices=2,
    slice_s=1.5,
    full_s=1.0,
    decisions=2,
    listeners=40,
    changes=3,
)


class DatabaseFigures(Struct, frozen=True, kw_only=True):
    """What was found on one database."""

    nothing: Times
    """Being told who one is, which asks for no row: what the machine itself adds today."""
    screen_pop: Times
    search: Times
    queue_edit: Times
    fanout: Times
    per_s: dict[str, float]
    loaded_s: float
    """What it took to load the database."""

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "nothing_ms": self.nothing.as_json(),
            "screen_pop_ms": self.screen_pop.as_json(),
            "search_ms": self.search.as_json(),
            "queue_edit_ms": self.queue_edit.as_json(),
            "fanout_ms": self.fanout.as_json(),
            "requests_per_s": {name: round(rate, 1) for name, rate in self.per_s.items()},
            "loaded_s": round(self.loaded_s, 1),
        }


class ApiFigures(Struct, frozen=True, kw_only=True):
    """What was found."""

    effort: Effort
    databases: dict[Dialect, DatabaseFigures]
    authorise_us: dict[str, float]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        found = {name.value: each.as_json() for name, each in self.databases.items()}
        return {
            **found,
            "authorise_us": self.authorise_us,
            "customers": self.effort.customers,
            "tenants": stock.TENANTS,
            "policy_lines": stock.POLICY_LINES,
        }


class Part(StrEnum):
    """What to do alone: the whole takes a quarter of an hour."""

    LOAD = "load"
    """Load both databases, and keep them for the runs to come."""
    SQLITE = Dialect.SQLITE.value
    POSTGRESQL = Dialect.POSTGRESQL.value
    DECISIONS = "decisions"


async def load_only(effort: Effort) -> None:
    """Load both databases unless they are kept already."""
    policies = _policies()
    for dialect in Dialect:
        if not kept.place(dialect, effort.customers).exists():
            with databases.stock_of(dialect, effort.customers) as made:
                async with databases.filled(made, _migrate_by(policies), is_kept=True):
                    pass


async def measure(effort: Effort, part: Part | None = None) -> ApiFigures:
    """Measure everything, or a part. BenchError: this machine cannot, or an answer was wrong."""
    policies = _policies()
    found: dict[Dialect, DatabaseFigures] = {}
    for dialect in Dialect:
        if part is None or part.value == dialect.value:
            with databases.stock_of(dialect, effort.customers) as made:
                began = time.monotonic()
                async with databases.filled(made, _migrate_by(policies)) as url:
                    loaded_s = time.monotonic() - began
                    found[dialect] = await _on(made, url, policies, effort, loaded_s)
    decided: dict[str, float] = {}
    if part in (None, Part.DECISIONS):
        with progress("decisions of the policy"):
            decided = await asyncio.to_thread(authorise.measure, policies, effort.decisions)
    return ApiFigures(effort=effort, databases=found, authorise_us=decided)


def _policies() -> Path:
    policies = RUN_ROOT / "policies"
    policies.mkdir()
    (policies / "model.conf").write_bytes((POLICIES / "model.conf").read_bytes())
    (policies / "policy.csv").write_text(stock.policy((POLICIES / "policy.csv").read_text()))
    return policies


def _migrate_by(policies: Path) -> databases.Migrate:
    async def migrate(url: str) -> None:
        async with serving(configure(RUN_ROOT, url, policies)):
            pass

    return migrate


async def _on(
    made: databases.Stock, url: str, policies: Path, effort: Effort, loaded_s: float
) -> DatabaseFigures:
    async with (
        fanout.etcd(RUN_ROOT / f"etcd-{made.dialect}") as shared,
        serving(configure(RUN_ROOT, url, policies, fanout.ETCD)) as plane,
        _people(effort) as client,
    ):
        work = Work(client, effort)
        with progress(f"requests on {made.dialect}", total=effort.slices + 2) as task:
            for number in range(WARM):
                await work.pop(BEYOND + number)
                await work.search(BEYOND + number)
            cpu = CpuMeter([plane.pid])
            times = await _at_rates(work, effort, cpu, task.advance)
            task.advance("as many as go")
            per_s = {
                "screen_pop": await load.as_many_as_go(work.pop, CLIENTS, effort.full_s),
                "search": await load.as_many_as_go(work.search, CLIENTS, effort.full_s),
                "queue_edit": await load.as_many_as_go(work.edit, CLIENTS, effort.full_s),
            }
            task.advance("events")
            told = await fanout.measure(
                client.session,
                client.tokens,
                shared,
                listeners=effort.listeners,
                changes=effort.changes,
                cpu=cpu,
            )
        _check_log(plane)
    return DatabaseFigures(**times, fanout=told, per_s=per_s, loaded_s=loaded_s)


async def _at_rates(
    work: Work, effort: Effort, cpu: CpuMeter, tell: Callable[[str], object]
) -> dict[str, Times]:
    """Measure each kind of request in turn, again and again: what disturbs, disturbs them alike."""
    kinds = {
        "nothing": (work.nothing, effort.pops_per_s),
        "screen_pop": (work.pop, effort.pops_per_s),
        "search": (work.search, effort.searches_per_s),
        "queue_edit": (work.edit, effort.edits_per_s),
    }
    found: dict[str, list[load.Slice]] = {name: [] for name in kinds}
    for number in range(effort.slices):
        tell(f"slice {number + 1}")
        for name, (send, rate) in kinds.items():
            first = number * int(rate * effort.slice_s)
            found[name].append(await load.at_rate(send, rate, effort.slice_s, cpu, first=first))
    return {
        name: Times(rate=kinds[name][1], slices=tuple(slices)) for name, slices in found.items()
    }


@asynccontextmanager
async def _people(effort: Effort) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(URL, connector=connector) as session:
        tokens = [
            await load.sign_in(session, stock.tenant(number), stock.LOGIN, PASSWORD)
            for number in range(effort.people)
        ]
        yield Client(session, tokens)


def _check_log(plane: Plane) -> None:
    if b'"request_failed"' in plane.log.read_bytes():
        raise BenchError(f"requests failed within the control plane; see {plane.log}")


class Work:
    """What the people ask, each time of something else. Half of it is the big tenant's."""

    def __init__(self, client: Client, effort: Effort) -> None:
        self._client = client
        self._effort = effort
        self._etags: dict[int, str] = {}
        self._busy: dict[int, asyncio.Lock] = {}

    async def nothing(self, number: int) -> None:
        """Ask who one is."""
        await self._client.ask(number % self._effort.people, "GET", "/v1/me")

    async def pop(self, number: int) -> None:
        """Show who may be calling: nine times of ten somebody who is known."""
        chance = random.Random(number)  # noqa: S311 - the same every time
        who = self._who(chance)
        customer = self._customer(chance, who)
        is_known = chance.random() < 0.9  # noqa: PLR2004 - a share
        phone = stock.telephone(customer if is_known else customer + 50_000_000)
        found, _ = await self._client.ask(who, "GET", f"/v1/customers/by-number/%2B{phone[1:]}")
        if len(found["customers"]) != is_known:
            raise BenchError(f"the screen pop of {phone} showed {len(found['customers'])}")

    async def search(self, number: int) -> None:
        """Search by the beginnings of both names, of the last name, or by a number."""
        chance = random.Random(-number)  # noqa: S311 - the same every time
        who = self._who(chance)
        customer = self._customer(chance, who)
        first, last = stock.name_of(customer)
        by = (f"name={first[:3]}+{last[:5]}", f"name={last}", f"name={last[:4]}&sort=name",
              f"number=%2B{stock.telephone(customer)[1:]}")  # fmt: skip
        query = by[number % len(by)]
        found, _ = await self._client.ask(who, "GET", f"/v1/customers?limit=20&{query}")
        if not found["items"]:
            raise BenchError(f"the search for {query} found nobody")

    async def edit(self, number: int) -> None:
        """Read a queue's ETag if it is not known, and change its priority."""
        who = number % self._effort.people
        place = number // self._effort.people % stock.QUEUES_EACH
        path = f"/v1/queues/{stock.queue(who, place)}"
        key = who * stock.QUEUES_EACH + place
        async with self._busy.setdefault(key, asyncio.Lock()):
            if key not in self._etags:
                _, self._etags[key] = await self._client.ask(who, "GET", path)
            skill = f"{stock.tenant(who)}.skill{place}"
            body = {"needs": {skill: 3}, "priority": number % 1000}
            headers = {"If-Match": self._etags[key]}
            _, etag = await self._client.ask(who, "PUT", path, body, **headers)
            # No ETag: it was so already, and stays as it was.
            self._etags[key] = etag or self._etags[key]

    def _who(self, chance: random.Random) -> int:
        return BIG if chance.random() < 0.5 else chance.randrange(self._effort.people)  # noqa: PLR2004 - half

    def _customer(self, chance: random.Random, who: int) -> int:
        most = self._effort.customers // 2
        if who == BIG:
            return 2 * chance.randrange(most)
        others = stock.TENANTS - 1
        return 2 * (chance.randrange(most // others) * others + who - 1) + 1
