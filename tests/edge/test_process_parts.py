"""A real edge process on a real etcd: how it begins, how it ends, and what it says when it dies."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from edge.sip import events as sip
from edge.sip.events import Address
from state import keys
from state.codec import encode
from state.etcd import EtcdStore
from state.model import Did, DidNumber, EdgeId, Queue, QueueId, SiteId
from state.model import Site as SiteRecord
from state.store import Put
from tests.integration.people import Telephone
from tests.state.cluster import HOST, Cluster, free_ports

pytestmark = pytest.mark.parts

LEAVES_WITHIN_S = 3.0
A1 = EdgeId("a1")
NUMBER = DidNumber("15550001")
BROKEN = """
import edge.duties.janitor, sys
from edge.program import main
async def broken(self):
    import asyncio
    await asyncio.sleep(0.3)
    raise FAULT
edge.duties.janitor.Janitor.run = broken
sys.exit(main())
"""


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


@dataclass
class Running:
    """One edge without a relay and without a Kamailio."""

    process: subprocess.Popen[bytes]
    sip: Address
    store: EtcdStore
    log: Path

    async def ends(self) -> float:
        """Wait for its end; return how long that took."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while self.process.poll() is None:
            assert loop.time() - began_s < 10, self.log.read_text()[-2000:]
            await asyncio.sleep(0.02)
        return loop.time() - began_s

    async def serves(self) -> None:
        """Wait until it has begun and the others see it; an earlier life may still have its key."""
        for _ in range(1000):
            if "lease_stands" in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            await asyncio.sleep(0.02)
        raise AssertionError(self.log.read_text()[-2000:])

    async def is_gone(self) -> None:
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        await self.store.close()

    async def lives(self) -> bool:
        """Tell whether the others see it live."""
        return bool((await self.store.range(keys.edge(A1))).records)

    def lines(self) -> list[dict[str, object]]:
        """Return its log, every line of which is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def _start(cluster: Cluster, directory: Path, *command: str) -> Running:
    port, rpc, evapi = free_ports(3)
    settings = directory / "edge.toml"
    tls = cluster.tls
    settings.write_text(
        f'edge = "a1"\nsite = "a"\nsip = "{HOST}:{port}"\nkamailio_rpc = "{directory}/rpc-{rpc}"\n'
        f'evapi = "{HOST}:{evapi}"\nng = "direct"\netcd = {json.dumps(cluster.addresses())}\n'
        f'etcd_ca = "{tls.ca}"\netcd_cert = "{tls.cert}"\netcd_key = "{tls.key}"\n'
        f'run_dir = "{directory}"\ncommand_socket = "{directory}/edge.sock"\n'
    )
    log = directory / "edge.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "edge")), "--config", str(settings)], stderr=file
        )
    return Running(process, Address(HOST, port), cluster.store(), log)


@pytest_asyncio.fixture
async def edge(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Running]:
    """Start an edge that knows one number."""
    running = _start(cluster, tmp_path)
    for key, record in (
        (keys.site(SiteId("a")), SiteRecord(id=SiteId("a"), name="a", sip=f"{HOST}:9")),
        (keys.queue(QueueId("sales")), Queue(id=QueueId("sales"), needs=())),
        (keys.did(NUMBER), Did(number=NUMBER, queue=QueueId("sales"))),
    ):
        await running.store.txn((), (Put(key=key, value=encode(record)),))
    await running.serves()
    yield running
    await running.is_gone()


async def test_an_edge_without_calls_ends_at_once_and_is_gone_for_the_others(
    edge: Running,
) -> None:
    edge.process.send_signal(signal.SIGTERM)
    assert await edge.ends() < 1.0
    assert edge.process.returncode == 0
    assert not await edge.lives()
    assert edge.lines()[-1]["event"] == "edge_stopped"


async def test_callers_are_told_goodbye_and_recorded_when_the_edge_is_told_to_stop(
    edge: Running,
) -> None:
    caller = Telephone(HOST, user="4930123")
    theirs = caller.dial(NUMBER, edge.sip)
    await theirs.wait(sip.Answered)
    edge.process.send_signal(signal.SIGTERM)
    ended = await theirs.wait(sip.Ended)
    assert "edge_stopped" in ended.reason
    assert await edge.ends() < LEAVES_WITHIN_S
    assert edge.process.returncode == 0
    listed = await edge.store.range(keys.ENDED, prefix=True)
    assert b"edge_stopped" in listed.records[-1].value
    assert not (await edge.store.range(f"{keys.STATE}ticket/", prefix=True)).records
    assert "4930123" not in edge.log.read_text()
    caller.close()


async def test_a_caller_who_has_vanished_does_not_hold_up_the_end(edge: Running) -> None:
    caller = Telephone(HOST, user="4930123")
    theirs = caller.dial(NUMBER, edge.sip)
    await theirs.wait(sip.Answered)
    caller.close()
    edge.process.send_signal(signal.SIGTERM)
    assert await edge.ends() < LEAVES_WITHIN_S
    assert edge.process.returncode == 0


async def test_an_etcd_that_is_frozen_does_not_hold_up_the_end(
    edge: Running, cluster: Cluster
) -> None:
    caller = Telephone(HOST, user="4930123")
    theirs = caller.dial(NUMBER, edge.sip)
    await theirs.wait(sip.Answered)
    cluster.servers[0].signal(signal.SIGSTOP)
    try:
        edge.process.send_signal(signal.SIGTERM)
        await theirs.wait(sip.Ended)
        assert await edge.ends() < LEAVES_WITHIN_S + 0.5
        assert edge.process.returncode == 0
    finally:
        cluster.servers[0].signal(signal.SIGCONT)
        caller.close()


@pytest.mark.parametrize(
    ("fault", "event", "name"),
    [
        ('KeyError("+4930123")', "edge_part_died", "KeyError"),
        # What a fault inside it may leave a task with, and nobody has asked for.
        ("asyncio.CancelledError()", "edge_part_cancelled", None),
    ],
)
async def test_a_part_that_dies_ends_the_process_with_one_line_and_no_goodbye(
    cluster: Cluster, tmp_path: Path, fault: str, event: str, name: str | None
) -> None:
    edge = _start(cluster, tmp_path, "-c", BROKEN.replace("FAULT", fault))
    try:
        await edge.ends()
    finally:
        await edge.is_gone()
    assert edge.process.returncode == 70
    last = [line for line in edge.lines() if line["level"] == "critical"]
    assert [line["event"] for line in last] == [event, "edge_died"]
    assert (last[0]["part"], last[0].get("fault")) == ("janitor", name)
    assert "4930123" not in edge.log.read_text()


async def test_bad_settings_are_one_line_and_a_status_of_their_own(tmp_path: Path) -> None:
    settings = tmp_path / "edge.toml"
    settings.write_text("edge = 5")
    done = subprocess.run(  # noqa: ASYNC221 - our own program, and it ends at once
        [sys.executable, "-m", "edge", "--config", str(settings)], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert str(settings).encode() in done.stderr


async def test_an_address_that_is_taken_is_one_line(cluster: Cluster, tmp_path: Path) -> None:
    first = _start(cluster, tmp_path)
    text = (tmp_path / "edge.toml").read_text()
    (second := tmp_path / "second").mkdir()
    (second / "edge.toml").write_text(text)
    try:
        await first.serves()
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "edge", "--config", str(second / "edge.toml")],
            capture_output=True,
            check=False,
            timeout=10,
        )
        assert done.returncode == 1
        assert done.stderr.count(b"\n") == 1, done.stderr
    finally:
        await first.is_gone()
