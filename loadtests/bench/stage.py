"""What the edge stands on in a benchmark: three etcd members, a media relay, and the generator."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from drills.lab.certs import make_authority
from drills.lab.enter import RUN_ROOT
from drills.lab.errors import LabError
from drills.lab.process import Identity
from drills.lab.supervisor import Supervisor
from loadtests.bench import servers
from loadtests.bench.center import DID, configuration, furnish
from loadtests.bench.cpu import CpuMeter, memory_kb
from loadtests.bench.errors import BenchError
from loadtests.bench.ledger import Summary
from loadtests.bench.scene import DEADLINE_S, Scene
from state.clock import SystemClock
from state.etcd import Tls

SCENE: Final = Scene(
    edge=servers.EDGE_SIP, callers="127.0.0.2:5060", agents="127.0.0.3:5060", did=DID
)
WARM_UP: Final = (100.0, 1.0)
_READY_S: Final = 15.0
_IDLE_WITHIN_S: Final = 60.0
_READ_PER_S: Final = 1_000
"""Agents that an edge has read in a second, at least: so much longer may either take."""
_SETTLE_S: Final = 6.0
_IDLE_SHARE: Final = 0.15
"""Of a core: what an edge takes at most when it has nothing to do."""


class Slice(Struct, frozen=True, kw_only=True):
    """One slice: what became of its calls, and what they cost."""

    summary: Summary
    edge_s: float
    """CPU seconds of the edge process."""
    edge_loop_s: float
    """Of these, of its event loop: the rest is gRPC's threads, and files."""
    second_s: float
    """CPU seconds of all edges that only look on, if there were some."""
    generator_s: float
    etcd_s: float
    relay_s: float

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the edge for each call."""
        return 1e3 * self.edge_s / self.summary.offered


def counted(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """Return those by which a cost is told: the clean ones, as calls that fail cost something else.

    All, where none was clean: what was not is told beside it.
    """
    known = tuple(slices)
    return tuple(each for each in known if each.summary.is_clean) or known


class Stage:
    """Servers that are up; the edge comes and goes."""

    def __init__(self, run: Path, supervisor: Supervisor, identity: Identity, agents: int) -> None:
        self._run = run
        self._reads_s = agents / _READ_PER_S
        self._supervisor = supervisor
        self._identity = identity
        self._generator = _generator()
        self._onlookers: list[str] = []

    @contextlib.contextmanager
    def without_generator(self) -> Iterator[None]:
        """Have its addresses free for another one, during the block."""
        self.close()
        try:
            yield
        finally:
            self._generator = _generator()

    def close(self) -> None:
        """End the generator."""
        self._generator.kill()
        self._generator.wait()

    async def edge_up(self, ng: str, profile: Path | None = None) -> None:
        """Start a fresh edge, and let it take calls until all goes well."""
        spec = servers.edge(self._run, self._identity, ng=ng, profile=profile)
        await self._supervisor.start([spec])
        ends_s = time.monotonic() + _READY_S + self._reads_s
        while True:
            summary = await self._calls(20.0, 0.2)
            if summary.is_clean:
                break
            if time.monotonic() > ends_s:
                raise BenchError(f"the edge serves no calls: {summary.dirt}; {self.log_tail()}")
        await self._calls(*WARM_UP)

    async def onlooker_up(self, site: str = servers.SITE) -> None:
        """Start a further edge that gets no calls, and only sees those of the first."""
        number = len(self._onlookers) + 2
        spec = servers.edge(self._run, self._identity, ng=servers.DIRECT, number=number, site=site)
        await self._supervisor.start([spec])
        self._onlookers.append(spec.name)

    async def onlookers_idle_s(self, seconds: float) -> float:
        """Return the CPU seconds that they take in so long without calls, once they have settled.

        0: there are none.
        """
        return await self._idle_s("second", seconds) if self._onlookers else 0.0

    async def edge_idle_s(self, seconds: float) -> float:
        """Return the same of the edge that gets calls."""
        return await self._idle_s("edge", seconds)

    async def _idle_s(self, name: str, seconds: float) -> float:
        meter = self._meter(name)
        ends_s = time.monotonic() + _IDLE_WITHIN_S + self._reads_s
        while True:
            before_s = meter.read_s()
            await asyncio.sleep(seconds)
            spent_s = meter.read_s() - before_s
            edges = len(self._onlookers) if name == "second" else 1
            if spent_s < _IDLE_SHARE * seconds * edges:
                return spent_s
            if time.monotonic() > ends_s:
                raise BenchError(f"an edge ({name}) is busy without calls: {self.log_tail()}")

    async def onlookers_down(self) -> None:
        """End them."""
        while self._onlookers:
            await self._supervisor.stop(self._onlookers.pop(), grace_s=5.0)

    async def edge_down(self) -> None:
        """End the edge."""
        await self._supervisor.stop("edge", grace_s=5.0)

    async def settle(self) -> None:
        """Wait until the edge has no call left: the next slice finds nothing of this one."""
        ends_s = time.monotonic() + _SETTLE_S
        while await self._edge_calls() and time.monotonic() < ends_s:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)

    async def _edge_calls(self) -> int:
        reader, writer = await asyncio.open_unix_connection(self._run / "edge.sock")
        try:
            writer.write(b'{"cmd": "stock"}\n')
            return int(json.loads(await reader.readline())["calls"])
        finally:
            writer.close()

    async def measure(self, rate: float, seconds: float, **scene: float | str) -> Slice:
        """Run one slice; `scene`: what is other in it."""
        meters = {name: self._meter(name) for name in ("edge", "relay", "etcd", "second")}
        meters["generator"] = CpuMeter([self._generator.pid])
        before = {name: meter.read_s() for name, meter in meters.items()}
        loop_before_s = meters["edge"].main_s()
        summary = await self._calls(rate, seconds, **scene)
        spent = {name: meter.read_s() - before[name] for name, meter in meters.items()}
        return Slice(
            summary=summary,
            edge_s=spent["edge"],
            edge_loop_s=meters["edge"].main_s() - loop_before_s,
            second_s=spent["second"],
            generator_s=spent["generator"],
            etcd_s=spent["etcd"],
            relay_s=spent["relay"],
        )

    def begin_profile(self) -> None:
        """Let an edge under the sampler count from here on."""
        pid = self._supervisor.pid("edge")
        if pid is None:
            raise BenchError("there is no edge to profile")
        os.kill(pid, signal.SIGUSR1)

    async def lead(self, name: str) -> None:
        """Let this member of etcd lead. BenchError: it does not."""
        identity = self._identity
        proof = ("--cacert", identity.ca, "--cert", identity.cert, "--key", identity.key)
        ids = {}
        for member, address in servers.MEMBERS.items():
            told = await _etcdctl(address, proof, "endpoint", "status", "--write-out=json")
            status = json.loads(told)[0]["Status"]
            ids[member] = (status["header"]["member_id"], status["leader"])
        leader = next(each for each, (own, led) in ids.items() if own == led)
        if leader != name:
            wanted = f"{ids[name][0]:x}"
            await _etcdctl(servers.MEMBERS[leader], proof, "move-leader", wanted)

    def edge_memory_kb(self) -> int:
        """Return what the edge holds of memory, in KiB."""
        pid = self._supervisor.pid("edge")
        if pid is None:
            raise BenchError("there is no edge to measure")
        return memory_kb(pid)

    def edge_has_left(self) -> tuple[Path, Path]:
        """Return the edge's log, and the folder of its event log."""
        return self._supervisor.log_path("edge"), self._run / f"events-{servers.EDGE}"

    def log_tail(self) -> str:
        """Return the end of what the edge logged."""
        text = self._supervisor.log_path("edge").read_text(errors="replace")
        return "\n".join(text.splitlines()[-5:])

    def _meter(self, name: str) -> CpuMeter:
        of = {
            "edge": ("edge",),
            "relay": ("rtpengine",),
            "etcd": tuple(servers.MEMBERS),
            "second": tuple(self._onlookers),
        }[name]
        known = self._supervisor.names()
        pids = (self._supervisor.pid(each) for each in of if each in known)
        return CpuMeter(pid for pid in pids if pid is not None)

    async def _calls(self, rate: float, seconds: float, **scene: float | str) -> Summary:
        order = {"rate": rate, "seconds": seconds, "scene": scene}
        length_s = replace(SCENE, **scene).length_s
        limit_s = seconds + length_s + DEADLINE_S + 10.0
        try:
            async with asyncio.timeout(limit_s):
                line = await asyncio.to_thread(self._exchange, json.dumps(order).encode() + b"\n")
        except TimeoutError as error:
            raise BenchError(f"the generator said nothing for {limit_s:.0f} s") from error
        if not line:
            raise BenchError("the generator died; what it said is above")
        return Summary(**json.loads(line))

    def _exchange(self, order: bytes) -> bytes:
        if self._generator.stdin is None or self._generator.stdout is None:
            raise BenchError("the generator has no pipes")
        self._generator.stdin.write(order)
        self._generator.stdin.flush()
        return self._generator.stdout.readline()


@contextlib.asynccontextmanager
async def staged(  # noqa: PLR0913 - each is what it says
    agents: int,
    *,
    media: bool,
    wrap_up_s: float = 0.0,
    is_far: bool = False,
    queues: int = 1,
    sites: int = 1,
    unserved: bool = False,
) -> AsyncIterator[Stage]:
    """Bring up what the edge stands on, the call center written into it.

    `is_far`: the members reach each other by addresses of their own, where lines have to be.
    `unserved`: there are numbers whose callers nobody serves.
    """
    run = RUN_ROOT
    servers.clear(run)
    supervisor = Supervisor(run / "log")
    authority = make_authority(
        run / "certs", now=dt.datetime.fromtimestamp(SystemClock().now().wall_ms / 1000, dt.UTC)
    )
    identity = authority.issue("bench", addresses=_addresses(is_far=is_far))
    specs = [servers.etcd(name, run, identity, is_far=is_far) for name in servers.MEMBERS]
    if media:
        specs.append(servers.rtpengine(run))
    try:
        await supervisor.start(specs)
        tls = Tls(ca=identity.ca, cert=identity.cert, key=identity.key)
        configured = configuration(
            agents, SCENE.agents, wrap_up_s, queues, sites, unserved=unserved
        )
        await furnish(servers.ENDPOINTS, tls, configured)
        stage = Stage(run, supervisor, identity, agents)
        try:
            yield stage
        finally:
            stage.close()
    except LabError as error:
        raise BenchError(str(error)) from error
    finally:
        await supervisor.close()


def _addresses(*, is_far: bool) -> tuple[str, ...]:
    far = servers.FAR.values() if is_far else ()
    return ("127.0.0.1", *servers.MEMBERS.values(), *far)


def _generator() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        (sys.executable, "-m", "loadtests.bench.generator", json.dumps(asdict(SCENE))),
        cwd=servers.PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def _etcdctl(address: str, proof: tuple[object, ...], *words: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("etcdctl", "--endpoints", f"https://{address}:2379", *map(str, proof), *words),
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    if process.returncode:
        raise BenchError(f"etcdctl {words[0]}: {complained.decode(errors='replace').strip()}")
    return said
