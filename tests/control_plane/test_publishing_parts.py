"""Several control planes and a real etcd: the newest version stands there, whoever published it."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from control_plane.permissions import Role
from state import keys
from state.clock import ManualClock, SystemClock
from state.codec import decode, encode
from state.configuration import Configuration
from state.etcd import EtcdStore
from state.model import EdgeId, EdgeLife, EdgeState, Queue, QueueId, Release, Site, SiteId
from state.publishing import publish
from state.store import Delete, Put
from tests.control_plane.center import Person, running, settings
from tests.state.cluster import Cluster

pytestmark = pytest.mark.parts

SITE = Site(id=SiteId("a"), name="A", sip="h:1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One member."""
    made = Cluster.make(tmp_path_factory.mktemp("etcd"), size=1)
    try:
        made.start()
        made.wait_for_leader()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def store(cluster: Cluster) -> AsyncIterator[EtcdStore]:
    """Bring a store without a configuration."""
    made = cluster.store()
    await publish(made, Configuration())
    await made.txn((), (Delete(key=keys.edge(EdgeId("a1"))),))
    yield made
    await made.close()


@asynccontextmanager
async def manager(cluster: Cluster, database: str) -> AsyncIterator[Person]:
    """Serve, and bring somebody who may do all of this."""
    tls = cluster.tls
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        made = settings(
            Path(folder),
            database,
            etcd=tuple(cluster.addresses()),
            etcd_ca=tls.ca,
            etcd_cert=tls.cert,
            etcd_key=tls.key,
        )
        async with running(made, cast("ManualClock", SystemClock())) as served:
            # Another instance on the same database numbers its people too.
            served.numbers = itertools.count(time.monotonic_ns())
            yield await served.person(Role.MANAGER, Role.SRE)


async def eventually(question: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until the answer is yes."""
    ends_s = time.monotonic() + 8
    while not await question():
        assert time.monotonic() < ends_s, what
        await asyncio.sleep(0.02)


async def stands(store: EtcdStore) -> int:
    """Return which version stands in the store."""
    records = (await store.range(keys.release())).records
    return decode(Release, records[0].value, "").version if records else 0


async def skills(person: Person, count: int, prefix: str) -> list[int]:
    replies = await asyncio.gather(
        *(person.post("/v1/queues", {"id": f"{prefix}{n}", "needs": {}}) for n in range(count))
    )
    assert {reply.status for reply in replies} == {201}
    return [reply.json["version"] for reply in replies]


async def test_of_many_versions_made_at_once_the_newest_stands(
    cluster: Cluster, store: EtcdStore, database_url: str
) -> None:
    async with manager(cluster, database_url) as one:
        made = await skills(one, 20, "q")

        async def is_there() -> bool:
            return await stands(store) == max(made)

        await eventually(is_there, "the newest version")
        found = await store.range(f"{keys.CONFIG}queue/", prefix=True, keys_only=True)
        assert len(found.records) == 20


@pytest.mark.usefixtures("store")
async def test_what_one_instance_wrote_another_publishes_and_tells(
    cluster: Cluster, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    async with manager(cluster, url) as one, manager(cluster, url) as other:
        made = [*(await skills(one, 3, "x")), *(await skills(other, 3, "y"))]
        assert sorted(made) == list(range(1, 7))

        async def is_told() -> bool:
            told = (await one.get("/v1/configuration/publication?wait_s=1")).json
            return bool(told["is_everywhere"] and told["version"] == told["stands"] == 6)

        await eventually(is_told, "both see the newest")


async def test_an_edge_that_never_follows_is_told_within_the_time(
    cluster: Cluster, store: EtcdStore, tmp_path: Path
) -> None:
    edge = EdgeLife(
        edge=EdgeId("a1"), site=SITE.id, sip="h:1", state=EdgeState.SERVING, started_ms=0
    )
    await store.txn((), (Put(key=keys.edge(edge.edge), value=encode(edge)),))
    async with manager(cluster, f"sqlite:///{tmp_path / 'x.db'}") as person:
        await person.post("/v1/sites", {"id": "a", "sip": "h:1"})
        began_s = time.monotonic()
        done = await person.post("/v1/sites/a/drain", {"draining": True})
        took_s = time.monotonic() - began_s
        assert (done.status, done.json["publication"]["missing"]) == (200, ["a1"])
        assert 1.9 < took_s < 6
        assert await stands(store) == 2


async def test_a_file_published_meanwhile_is_not_overwritten_unasked(
    cluster: Cluster, store: EtcdStore, tmp_path: Path
) -> None:
    async with manager(cluster, f"sqlite:///{tmp_path / 'x.db'}") as person:
        await skills(person, 1, "q")

        async def is_there() -> bool:
            return await stands(store) == 1

        await eventually(is_there, "version 1")
        await publish(store, Configuration(queues=(Queue(id=QueueId("file"), needs=()),)))

        async def is_told() -> bool:
            told = (await person.get("/v1/configuration/publication")).json
            return "file" in told["problem"] and told["stands"] == 0

        await eventually(is_told, "that a file stands there")
        assert await stands(store) == 0
        again = await person.post("/v1/configuration/publication", None)
        assert again.json["is_everywhere"], again.json
        assert await stands(store) == 1


async def test_while_etcd_is_away_versions_are_made_and_come_later(
    cluster: Cluster, store: EtcdStore, tmp_path: Path
) -> None:
    async with manager(cluster, f"sqlite:///{tmp_path / 'x.db'}") as person:
        await skills(person, 1, "q")
        cluster.kill(0)
        try:
            await skills(person, 1, "r")
            told = (await person.get("/v1/configuration/publication?wait_s=0.3")).json
            assert (told["version"], told["is_everywhere"]) == (2, False)
        finally:
            cluster.heal()
        cluster.wait_for_leader()

        async def is_there() -> bool:
            return await stands(store) == 2

        await eventually(is_there, "the version that was made meanwhile")


async def test_a_database_that_has_forgotten_gives_no_number_twice(
    cluster: Cluster, store: EtcdStore, tmp_path: Path
) -> None:
    async with manager(cluster, f"sqlite:///{tmp_path / 'old.db'}") as person:
        made = await skills(person, 3, "q")

        async def is_there() -> bool:
            return await stands(store) == max(made)

        await eventually(is_there, "the newest version")
    async with manager(cluster, f"sqlite:///{tmp_path / 'new.db'}") as person:

        async def is_adopted() -> bool:
            return bool((await person.get("/v1/configuration")).json["counts"]["queues"] == 3)

        await eventually(is_adopted, "what stands there is taken over")
        (number,) = await skills(person, 1, "r")
        assert number > max(made)

        async def is_newer() -> bool:
            return await stands(store) == number

        await eventually(is_newer, "the newest version")
