"""PURE. What runs at a site, at the carrier and in the router: commands, files and probes.

Everything is a value: the lab writes the files and hands the processes to the supervisor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from drills.lab import recorders
from drills.lab.errors import PlanError
from drills.lab.paths import DIGITS, NG, Paths, Work
from drills.lab.plan import Host, HostKind, LabPlan, Part, edge_port
from drills.lab.process import (
    DatagramProbe,
    HttpProbe,
    Identity,
    NgProbe,
    ProcessSpec,
    UnixProbe,
)
from state.model import EdgeId, SiteId

ETCD_HEALTH_PORT = 2381
"""On the site's loopback: /health and /metrics, in plain HTTP."""
EVAPI = "127.0.0.1:8448"
LIBFAKETIME = "/usr/$LIB/faketime/libfaketime.so.1"
"""Debian's; the loader puts the architecture's folder in place of `$LIB`."""
NO_NG = "direct"
"""What an edge is told where no rtpengine runs: the telephones send to each other."""
RELAY = "relay"


def compose(
    plan: LabPlan,
    paths: Paths,
    identities: Mapping[str, Identity],
    signers: Mapping[str, bytes] | None = None,
) -> Work:
    """Return all that runs in the lab, the plan's own commands put in place of ours.

    `identities` has an entry for every site (its etcd member) and for every edge.
    """
    work = Work()
    for site in plan.sites:
        work = work.plus(_site(plan, paths, identities, site))
        if Part.RECORDER in plan.parts:
            work = work.plus(_recorder(plan, paths, identities, site, signers or {}))
    if Part.CARRIER in plan.parts:
        work = work.plus(_carrier(plan, paths))
    names = {process.name for process in work.processes}
    unknown = set(plan.commands) - names
    if unknown:
        raise PlanError(
            f"the plan has commands for {', '.join(sorted(unknown))}, which it does not run; "
            f"it runs: {', '.join(sorted(names))}"
        )
    processes = tuple(
        replace(process, argv=plan.commands.get(process.name, process.argv))
        for process in work.processes
    )
    if plan.has_movable_clocks:
        processes = tuple(_with_movable_clock(process, paths) for process in processes)
        work = work.plus(Work(files={clock_of(paths.of(site)): "+0\n" for site in plan.sites}))
    if plan.has_slow_syncs:
        processes = tuple(_with_slow_syncs(process, paths) for process in processes)
    return replace(work, processes=processes)


def syncs_of(run: Path) -> Path:
    """Return the file that says by how many milliseconds the disk of a site's etcd is slow."""
    return run / "sync-delay"


def _with_slow_syncs(process: ProcessSpec, paths: Paths) -> ProcessSpec:
    """Have a member of etcd started by what can make its disk slow."""
    if process.host is None or process.argv[0] != "etcd":
        return process
    starter = (str(paths.python), "-m", "drills.lab.slow_sync")
    said = str(syncs_of(paths.of(process.host)))
    return replace(process, cwd=paths.project, argv=(*starter, said, "--", *process.argv))


def clock_of(run: Path) -> Path:
    """Return the file that says by how much a site's clocks are off."""
    return run / "clock"


def _with_movable_clock(process: ProcessSpec, paths: Paths) -> ProcessSpec:
    """Have one of our own processes believe the site's clock file."""
    if process.host is None or process.argv[0] != str(paths.python):
        return process
    return replace(process, env={**process.env, **moved_by(clock_of(paths.of(process.host)))})


def moved_by(clock: Path) -> dict[str, str]:
    """Return the environment that has a process believe a clock file; its monotonic clock is right.

    libfaketime 0.9.10 breaks `time.sleep`, which none of ours uses: they wait for events. Its "fix"
    of waits by the monotonic clock, which Debian builds in, ends them at once: each thread that
    waits for Python's lock would spin for it, and a process with several would hardly get to work.
    """
    return {
        "LD_PRELOAD": LIBFAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


def relay(paths: Paths) -> ProcessSpec:
    """Return the process that delays packets (see relay.py). It runs in the router."""
    return ProcessSpec(
        name=RELAY,
        host=None,
        argv=(str(paths.python), "-m", "drills.lab.relay", str(paths.run)),
        cwd=paths.project,
        ready=DatagramProbe(path=paths.run / "relay.sock", ask=b"read", expect=b"read"),
    )


def etcd_endpoints(plan: LabPlan, first: SiteId | None = None) -> tuple[str, ...]:
    """Return every member's client endpoint as host:port, that of `first` first."""
    sites = sorted(plan.sites, key=lambda site: (site != first, site))
    return tuple(f"{plan.host(site).address}:2379" for site in sites)


def _site(plan: LabPlan, paths: Paths, identities: Mapping[str, Identity], site: SiteId) -> Work:
    host, run = plan.host(site), paths.of(site)
    work = Work()
    if Part.ETCD in plan.parts:
        work = work.plus(Work(processes=(_etcd(plan, host, run, identities[site]),)))
    if Part.RTPENGINE in plan.parts:
        work = work.plus(Work(processes=(_rtpengine(host, run),)))
    if Part.KAMAILIO in plan.parts:
        work = work.plus(Work(processes=(_kamailio(host, run, paths.kemi),)))
    if Part.EDGE in plan.parts:
        for edge in plan.edges(site):
            work = work.plus(_edge(plan, paths, edge, site, identities[edge]))
    return work


def _recorder(
    plan: LabPlan,
    paths: Paths,
    identities: Mapping[str, Identity],
    site: SiteId,
    signers: Mapping[str, bytes],
) -> Work:
    """Return a site's recorder, which copies to the next site, or else to the one after it."""
    place = plan.sites.index(site)
    others = (*plan.sites[place + 1 :], *plan.sites[:place])
    return recorders.compose(
        paths,
        plan.host(site),
        [plan.host(other) for other in others],
        identities.get(recorders.process_name(site)),
        signers,
    )


def _etcd(plan: LabPlan, host: Host, run: Path, identity: Identity) -> ProcessSpec:
    peers = ",".join(f"{site}=https://{plan.host(site).address}:2380" for site in plan.sites)
    client, peer = f"https://{host.address}:2379", f"https://{host.address}:2380"
    health = f"http://127.0.0.1:{ETCD_HEALTH_PORT}"
    return ProcessSpec(
        name=f"etcd-{host.name}",
        host=host.name,
        cwd=run,
        argv=(
            "etcd",
            *("--name", host.name, "--data-dir", str(run / "etcd")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", peers, "--initial-cluster-state", "new"),
            *("--listen-metrics-urls", health),
            # A member that was cut off and comes back then asks before it unseats the leader.
            *("--heartbeat-interval", "100", "--election-timeout", "1000", "--pre-vote"),
            # Else it keeps every revision, some 10 KB a call, until it is full and takes no writes.
            *("--auto-compaction-mode", "periodic", "--auto-compaction-retention", "5m"),
            *("--quota-backend-bytes", str(8 << 30)),
            *("--trusted-ca-file", str(identity.ca), "--client-cert-auth"),
            *("--cert-file", str(identity.cert), "--key-file", str(identity.key)),
            *("--peer-trusted-ca-file", str(identity.ca), "--peer-client-cert-auth"),
            *("--peer-cert-file", str(identity.cert), "--peer-key-file", str(identity.key)),
            *("--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"),
        ),
        ready=HttpProbe(
            address="127.0.0.1", port=ETCD_HEALTH_PORT, path="/health", expect=b'"true"'
        ),
    )


def _rtpengine(host: Host, run: Path) -> ProcessSpec:
    return ProcessSpec(
        name=f"rtpengine-{host.name}",
        host=host.name,
        cwd=run,
        argv=(
            "rtpengine",
            # Without this it reads Debian's /etc/rtpengine/rtpengine.conf.
            "--config-file=none",
            *("--foreground", "--log-stderr", "--log-level=5", "--table=-1"),
            *(f"--interface={host.address}", f"--listen-ng={NG}"),
            # It hands telephone events of callers to nobody; the recorder hears of them here.
            f"--dtmf-log-dest={DIGITS}",
            *("--port-min=30000", "--port-max=39999"),
            # Else a call keeps its ports for 30 s after its end.
            "--delete-delay=0",
            # With strict-source in the offer: the only way that no stranger can take over a stream.
            "--endpoint-learning=off",
            # By default a caller who sends nothing, on hold or muted, is thrown out after a minute,
            # music and all. Edges end their calls, those of their former lives and of dead edges.
            *("--timeout=43200", "--silent-timeout=43200"),
            "--num-threads=2",
        ),
        ready=NgProbe(),
    )


def _kamailio(host: Host, run: Path, kemi: Path) -> ProcessSpec:
    """Return a site's Kamailio, started as the head of its kamailio.cfg says."""
    words = {
        "SITE_ID": host.name,
        "SITE_ADDR": host.address,
        "RUN_DIR": str(run),
        "ROUTES": str(kemi / "edge_routes.py"),
    }
    return ProcessSpec(
        name=f"kamailio-{host.name}",
        host=host.name,
        cwd=run,
        argv=_kamailio_argv(kemi / "kamailio.cfg", run, words),
        ready=_kamailio_answers(run / "kamailio.rpc"),
    )


def _kamailio_argv(cfg: Path, run: Path, words: Mapping[str, str]) -> tuple[str, ...]:
    return (
        *("kamailio", "-DD", "-E", "-f", str(cfg)),
        # Debian's default allocator costs four times the CPU a call.
        *("-x", "fm", "-X", "fm", "-m", "256", "-M", "16", "-Y", str(run)),
        *(word for name, value in words.items() for word in ("--substdef", f"!{name}!{value}!")),
    )


def _kamailio_answers(rpc: Path) -> DatagramProbe:
    return DatagramProbe(
        path=rpc, ask=b'{"jsonrpc":"2.0","method":"core.uptime","id":1}', expect=b'"result"'
    )


def _edge(plan: LabPlan, paths: Paths, edge: EdgeId, site: SiteId, identity: Identity) -> Work:
    run = paths.of(site)
    config, command_socket = run / f"edge-{edge}.toml", run / f"edge-{edge}.sock"
    endpoints = ", ".join(f'"{endpoint}"' for endpoint in etcd_endpoints(plan, first=site))
    content = f"""\
edge = "{edge}"
site = "{site}"
sip = "{plan.host(site).address}:{edge_port(edge)}"
kamailio_rpc = "{run / "kamailio.rpc"}"
evapi = "{EVAPI}"
ng = "{NG if Part.RTPENGINE in plan.parts else NO_NG}"
etcd = [{endpoints}]
etcd_ca = "{identity.ca}"
etcd_cert = "{identity.cert}"
etcd_key = "{identity.key}"
run_dir = "{run}"
command_socket = "{command_socket}"
log_level = "info"
{f'recorder = "{recorders.socket_of(run)}"' if Part.RECORDER in plan.parts else ""}
"""
    if Part.CONTROL_PLANE in plan.parts:
        content += f'phone_secrets = "{paths.secrets.phone_secrets}"\n'
    needed = {Part.ETCD: "etcd", Part.RTPENGINE: "rtpengine", Part.KAMAILIO: "kamailio"}
    process = ProcessSpec(
        name=f"edge-{edge}",
        host=site,
        cwd=paths.project,
        argv=(str(paths.python), "-m", "edge", "--config", str(config)),
        after=tuple(f"{name}-{site}" for part, name in needed.items() if part in plan.parts),
        ready=UnixProbe(path=command_socket),
    )
    return Work(processes=(process,), files={config: content})


def _carrier(plan: LabPlan, paths: Paths) -> Work:
    """Return the carrier's Kamailio, and the lists of sites that it hunts through."""
    (host,) = plan.hosts_of(HostKind.CARRIER)
    run = paths.of(host.name)
    sites = run / "dispatcher.list"
    callers = next(iter(plan.hosts_of(HostKind.CALLERS)), host)
    words = {
        "CARRIER_ADDR": host.address,
        "CALLERS_ADDR": callers.address,
        "RUN_DIR": str(run),
        "DISPATCHER": str(sites),
    }
    process = ProcessSpec(
        name="kamailio-carrier",
        host=host.name,
        cwd=run,
        argv=_kamailio_argv(paths.carrier / "kamailio.cfg", run, words),
        ready=_kamailio_answers(run / "kamailio.rpc"),
    )
    return Work(processes=(process,), files={sites: _sites_list(plan)})


def _sites_list(plan: LabPlan) -> str:
    """Return a dispatcher list: set 1 begins with the first site, set 2 with the second, ..."""
    count = len(plan.sites)
    rows = ["# setid destination flags priority"]
    for first in range(count):
        for place in range(count):
            address = plan.host(plan.sites[(first + place) % count]).address
            rows.append(f"{first + 1} sip:{address}:5060 0 {(count - place) * 10}")
    return "\n".join(rows) + "\n"
