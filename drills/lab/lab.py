"""A whole lab as one context manager: the network, the WAN, and every process of the plan.

It has to stand inside namespaces of its own (see enter.py), and stands in the router: from here
every host is reached directly, and no cut or delay applies.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from custody.keyring import Keyring
from custody.library import Library
from custody.providers import LocalFile
from custody.store import RecordingStore
from drills.lab import control_plane, database, recorders, room
from drills.lab.certs import Authority, make_authority
from drills.lab.commands import Commands, Done
from drills.lab.database import LabDatabase
from drills.lab.delays import RelayDelays, find_delays
from drills.lab.enter import RUN_ROOT, covered_by, inside
from drills.lab.errors import EnterError, LabError
from drills.lab.keys import make_audit_keys, make_recording_keys, make_secrets
from drills.lab.network import raise_network, remove_network
from drills.lab.paths import Paths
from drills.lab.plan import LabPlan, Part
from drills.lab.probes import http_get
from drills.lab.process import EventKind, Identity, ProcessEvent
from drills.lab.recorders import Trusted
from drills.lab.site import (
    ETCD_HEALTH_PORT,
    clock_of,
    compose,
    etcd_endpoints,
    relay,
    syncs_of,
)
from drills.lab.supervisor import ENVIRONMENT, Supervisor
from drills.lab.wan import Wan
from state.model import MAIN, SiteId

PROJECT = Path(__file__).resolve().parents[2]
OPERATOR = "operator"
"""Name of the certificate for whoever looks at etcd from outside the edges: the lab, the CLI."""


class Step(Struct, frozen=True, kw_only=True):
    """One step of bringing the lab up, done: `network`, `files`, or a process that is ready."""

    name: str
    took_s: float


def default_paths() -> Paths:
    """Return where everything is in this checkout."""
    return Paths(
        run=RUN_ROOT,
        project=PROJECT,
        python=Path(sys.executable),
        kemi=PROJECT / "edge" / "kemi",
        carrier=PROJECT / "drills" / "lab" / "carrier",
    )


class Lab:
    """`async with Lab(plan) as lab:` brings all up, and takes all down at the end."""

    def __init__(
        self,
        plan: LabPlan,
        paths: Paths | None = None,
        *,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.plan = plan
        self.paths = paths or default_paths()
        self.addresses: Mapping[str, str] = {host.name: host.address for host in plan.hosts}
        self.etcd_endpoints = etcd_endpoints(plan)
        self.supervisor = Supervisor(self.paths.run / "log")
        self.events: list[ProcessEvent] = []
        """Everything that has happened to its processes."""
        self.steps: list[Step] = []
        self._on_step = on_step
        self._commands = Commands()
        self._wan: Wan | None = None
        self._identities: dict[str, Identity] = {}
        self._authority: Authority | None = None
        self.trusted = Trusted()
        """Whose signatures count in this lab's recordings."""
        self._audit_keys: tuple[str, ...] = ()
        self.database: LabDatabase | None = None
        """Where it has one that outlives a site."""

    @property
    def wan(self) -> Wan:
        """The network between the hosts, to be broken."""
        if self._wan is None:
            raise LabError("the lab is not up: use it as `async with Lab(plan) as lab:`")
        return self._wan

    @property
    def operator(self) -> Identity:
        """The certificate with which the lab and its tools speak to etcd."""
        return self._identities[OPERATOR]

    # -- up and down

    async def __aenter__(self) -> Self:
        ground = inside()
        if ground is None:
            raise EnterError(
                "a lab needs namespaces of its own; start the program by drills.lab.enter.enter"
            )
        with self._step("network"):
            raise_network(self.plan.hosts)
        try:
            with self._step("files"):
                self._make_files()
            if Part.RECORDER in self.plan.parts:
                await self._make_recording_keys()
            delays = find_delays(self.plan.hosts, self.paths.run, ground)
            self._wan = Wan(self.plan.hosts, delays)
            self.wan.heal_all()
            await self._start_processes(with_relay=isinstance(delays, RelayDelays))
        except BaseException:
            await self._down()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._down()

    async def _down(self) -> None:
        self._commands.kill_host()
        await self.supervisor.close()
        remove_network(self.plan.hosts)
        self._wan = None

    def _make_files(self) -> None:
        """Begin with an empty run directory: certificates, and a directory for each host."""
        run, plan = self.paths.run, self.plan
        if run.exists():
            for old in run.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        for host in plan.hosts:
            self.paths.of(host.name).mkdir(mode=0o700)
        if Part.CONTROL_PLANE in plan.parts:
            make_secrets(self.paths.secrets)
            runs: dict[str, Path] = {site: self.paths.of(site) for site in plan.sites}
            self._audit_keys = make_audit_keys(runs)
        now = dt.datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), dt.UTC)
        authority = self._authority = make_authority(run / "certs", now=now)
        self._identities = {OPERATOR: authority.issue(OPERATOR)}
        for site in plan.sites:
            addresses = (plan.host(site).address, "127.0.0.1")
            self._identities[site] = authority.issue(f"etcd-{site}", addresses=addresses)
            recorder = recorders.process_name(site)
            self._identities[recorder] = authority.issue(recorder, addresses=addresses)
            for edge in plan.edges(site):
                self._identities[edge] = authority.issue(f"edge-{edge}")

    @property
    def ca(self) -> Path:
        """Where the certificate of the lab's authority is, which vouches for every server."""
        if self._authority is None:
            raise LabError("the lab is not up: use it as `async with Lab(plan) as lab:`")
        return self._authority.ca

    async def _make_recording_keys(self) -> None:
        runs: dict[str, Path] = {site: self.paths.of(site) for site in self.plan.sites}
        now_ms = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000
        self.trusted = make_recording_keys(runs, (MAIN,), now_ms)

    def library(self, site: SiteId, *, keys_of: SiteId) -> Library:
        """Open a site's recordings with the keys that another site, or itself, has."""
        other = self.paths.of(keys_of)
        return Library(
            self.store(site),
            Keyring(recorders.keyring_of(other)),
            providers={keys_of: LocalFile.load(other / recorders.PROVIDER)},
            recorders=self.trusted.recorders,
        )

    def store(self, site: SiteId) -> RecordingStore:
        """Open a site's store of recordings, without any keys."""
        return RecordingStore.open(str(recorders.store_of(self.paths.of(site))))

    async def start_database(self) -> LabDatabase:
        """Start a database that outlives a site, and wait until its members are one."""
        if self._authority is None:
            raise LabError("the lab is not up: use it as `async with Lab(plan) as lab:`")
        self.database = await database.start(self.plan, self._authority, self.supervisor)
        return self.database

    async def start_control_planes(self, database: str = "") -> None:
        """Start one at every site, where they are planned, and wait until all are ready.

        They make their first version of what has been published by then. `database` is the URL of
        an empty one outside; empty: a file of the lab.
        """
        if Part.CONTROL_PLANE not in self.plan.parts or self._authority is None:
            return
        for site in self.plan.sites:
            name = control_plane.process_name(site)
            addresses = (self.plan.host(site).address, "127.0.0.1")
            self._identities[name] = self._authority.issue(name, addresses=addresses)
        work = control_plane.compose(
            self.plan, self.paths, self._identities, database, self.trusted, audit=self._audit_keys
        )
        for path, content in work.files.items():
            path.touch(mode=0o600)
            path.write_text(content)
        await self.supervisor.start(work.processes)

    async def _start_processes(self, *, with_relay: bool) -> None:
        work = compose(self.plan, self.paths, self._identities, self.trusted.recorders)
        for path, content in work.files.items():
            path.write_text(content)
        processes = (*((relay(self.paths),) if with_relay else ()), *work.processes)
        began_s = time.monotonic()

        def note(event: ProcessEvent) -> None:
            self.events.append(event)
            first = self.supervisor.starts(event.process) == 1
            if event.kind is EventKind.READY and first:
                self._report(event.process, event.at_s - began_s)

        self.supervisor.add_listener(note)
        await self.supervisor.start(processes)

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self._report(name, time.monotonic() - began_s)

    def _report(self, name: str, took_s: float) -> None:
        step = Step(name=name, took_s=took_s)
        self.steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    # -- use

    async def host_exec(
        self,
        host: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> Done:
        """Run a command in a host to its end; its working directory is the host's run directory.

        It is killed when this is cancelled, after `timeout_s` (TimeoutError), or with its host.
        """
        self.plan.host(host)
        environment = ENVIRONMENT | {"HOME": str(self.paths.of(host))} | dict(env or {})
        return await self._commands.run(
            host,
            tuple(argv),
            cwd=self.paths.of(host),
            env=environment,
            stdin=stdin,
            timeout_s=timeout_s,
        )

    def kill_site(self, site: SiteId) -> float:
        """Kill a site at one blow: all its links cut, then SIGKILL to every process on its host.

        The links go first, so that no socket says goodbye. Nothing restarts there until
        `revive_site`. Returns when it began, on the monotonic clock.
        """
        host = self.plan.host(site).name
        began_s = time.monotonic()
        self.wan.isolate(host)
        self.supervisor.kill_host(host)
        self._commands.kill_host(host)
        return began_s

    async def let_site_start(self, site: SiteId) -> None:
        """Undo `kill_site`; its processes start, and are not waited for."""
        host = self.plan.host(site).name
        self.wan.reconnect(host)
        await self.supervisor.let_host_start(host)

    async def revive_site(self, site: SiteId) -> None:
        """Undo `kill_site`, and wait until all its processes are ready."""
        await self.let_site_start(site)
        await self.supervisor.release_host(self.plan.host(site).name)

    def renew_certificates(self, site: SiteId, *, are_expired: bool = False) -> None:
        """Write new certificates of a site's edges in place of theirs, in date or out of it."""
        if self._authority is None:
            raise LabError("the lab is not up: use it as `async with Lab(plan) as lab:`")
        for edge in self.plan.edges(site):
            self._authority.issue(f"edge-{edge}", is_expired=are_expired)

    def set_clock(self, site: SiteId, off_s: float) -> None:
        """Set the clocks of our own processes at a site ahead by `off_s`, or right (0).

        LabError: the lab was planned without clocks that can be moved.
        """
        if not self.plan.has_movable_clocks:
            raise LabError("this lab was planned with clocks that cannot be moved")
        _say(clock_of(self.paths.of(site)), f"{off_s:+.0f}")

    def set_sync_delay(self, process: str, delay_ms: float) -> None:
        """Have the disk of a member of etcd take so much longer to write, or none (0).

        LabError: this is no such process, or the lab was planned with disks as they are.
        """
        if not self.plan.has_slow_syncs:
            raise LabError("this lab was planned with disks that cannot be made slow")
        part, _, site = process.partition("-")
        if part != "etcd" or site not in self.plan.sites:
            raise LabError(f"the disk of {process!r} cannot be made slow: it is no member of etcd")
        _say(syncs_of(self.paths.of(site)), f"{delay_ms:g}")

    async def set_etcd_full(self, *, is_full: bool) -> None:
        """Have etcd refuse writes as if its space were used up, or take them again."""
        await room.set_full(self, is_full=is_full)

    async def etcd_leader_site(self) -> SiteId | None:
        """Return the site whose etcd member leads now, None while there is no leader."""
        if Part.ETCD not in self.plan.parts:
            raise LabError("this lab was planned without etcd")
        reachable = [site for site in self.plan.sites if site not in self.wan.state.isolated]
        leads = await asyncio.gather(*(self._leads(site) for site in reachable))
        for site, is_leader in zip(reachable, leads, strict=True):
            if is_leader:
                return site
        return None

    async def _leads(self, site: SiteId) -> bool:
        try:
            async with asyncio.timeout(1.0):
                metrics = await http_get(site, "127.0.0.1", ETCD_HEALTH_PORT, "/metrics")
        except OSError:
            return False
        return re.search(rb"^etcd_server_is_leader 1$", metrics, re.MULTILINE) is not None

    def keep_logs(self, directory: Path) -> Path:
        """Copy the logs of all processes to a directory outside, which is made; return it.

        It also works after the lab has been taken down. LabError: it cannot be written there.
        """
        target = directory.absolute()
        if (own := covered_by(target)) is not None:
            raise LabError(
                f"{target} would vanish with the lab, which covers {own}; choose another directory"
            )
        try:
            shutil.copytree(self.paths.run / "log", target, dirs_exist_ok=True)
        except OSError as error:
            raise LabError(f"the logs cannot be kept in {target}: {error}") from error
        return target


def _say(path: Path, what: str) -> None:
    """Have a file say something else from one moment to the next."""
    part = path.with_suffix(".part")
    part.write_text(f"{what}\n")
    part.replace(path)
