"""The servers of a benchmark: what they are told, and when they are ready. All on one loopback."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from drills.lab.process import (
    HttpProbe,
    Identity,
    NgProbe,
    ProcessSpec,
    RestartPolicy,
    UnixProbe,
)

PROJECT: Final = Path(__file__).resolve().parents[2]
MEMBERS: Final = {"m1": "127.0.1.1", "m2": "127.0.1.2", "m3": "127.0.1.3"}
FAR: Final = {"m1": "127.0.2.1", "m2": "127.0.2.2", "m3": "127.0.2.3"}
"""Where the members find each other when lines with a delay lie between them."""
ENDPOINTS: Final = tuple(f"{address}:2379" for address in MEMBERS.values())
NG: Final = "127.0.0.1:2223"
DIRECT: Final = "direct"
EDGE: Final = "a1"
EDGE_SIP: Final = "127.0.0.1:5081"
SITE: Final = "a"
_ONCE: Final = RestartPolicy(restarts=False)
"""A server that dies in a benchmark is a result, not something to mend."""


def clear(run: Path) -> None:
    """Leave nothing of a benchmark before: its etcd would serve that one's center again."""
    for left in run.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def etcd(name: str, run: Path, identity: Identity, *, is_far: bool = False) -> ProcessSpec:
    """Return one member, set up as a site's is; `is_far`: the others are reached by `FAR`."""
    address = MEMBERS[name]
    client, peer = f"https://{address}:2379", f"https://{address}:2380"
    known = FAR if is_far else MEMBERS
    return ProcessSpec(
        name=name,
        host=None,
        cwd=run,
        restart=_ONCE,
        argv=(
            "etcd",
            *("--name", name, "--data-dir", str(run / name)),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer),
            *("--initial-advertise-peer-urls", f"https://{known[name]}:2380"),
            *("--initial-cluster", ",".join(f"{n}=https://{a}:2380" for n, a in known.items())),
            *("--initial-cluster-state", "new", "--listen-metrics-urls", f"http://{address}:2381"),
            *("--heartbeat-interval", "100", "--election-timeout", "1000", "--pre-vote"),
            *("--auto-compaction-mode", "periodic", "--auto-compaction-retention", "5m"),
            *("--quota-backend-bytes", str(8 << 30)),
            *("--trusted-ca-file", str(identity.ca), "--client-cert-auth"),
            *("--cert-file", str(identity.cert), "--key-file", str(identity.key)),
            *("--peer-trusted-ca-file", str(identity.ca), "--peer-client-cert-auth"),
            *("--peer-cert-file", str(identity.cert), "--peer-key-file", str(identity.key)),
            *("--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"),
        ),
        ready=HttpProbe(address=address, port=2381, path="/health", expect=b'"true"'),
    )


def rtpengine(run: Path) -> ProcessSpec:
    """Return the media relay, set up as a site's is."""
    return ProcessSpec(
        name="rtpengine",
        host=None,
        cwd=run,
        restart=_ONCE,
        argv=(
            *("rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=5"),
            *("--table=-1", "--interface=127.0.0.1", f"--listen-ng={NG}"),
            *("--port-min=30000", "--port-max=39999", "--delete-delay=0"),
            *("--endpoint-learning=off", "--num-threads=2"),
        ),
        ready=NgProbe(),
    )


class ProxyRef(Struct, frozen=True, kw_only=True):
    """The Kamailio that an edge speaks to."""

    rpc: Path
    evapi: str


def edge_name(number: int, site: str = SITE) -> str:
    """Return the name of an edge's process."""
    return "edge" if number == 1 else f"{site}{number}"


def edge(  # noqa: PLR0913 - each is what it says
    run: Path,
    identity: Identity,
    *,
    ng: str,
    profile: Path | None = None,
    proxy: ProxyRef | None = None,
    number: int = 1,
    site: str = SITE,
) -> ProcessSpec:
    """Return an edge of a site; with `profile`, under the sampler, which writes there.

    `proxy`: its Kamailio; None: there is none, and it finds nobody where one would be. Then only
    the first one gets calls, and others see them.
    """
    name, sip = f"{site}{number}", f"127.0.0.1:{5080 + number}"
    home = run if number == 1 else run / name
    home.mkdir(mode=0o700, exist_ok=True)
    known = proxy or ProxyRef(rpc=run / "kamailio.rpc", evapi="127.0.0.1:8448")
    config, command_socket = home / "edge.toml", home / "edge.sock"
    config.write_text(
        f"""\
edge = "{name}"
site = "{site}"
sip = "{sip}"
kamailio_rpc = "{known.rpc}"
evapi = "{known.evapi}"
ng = "{ng}"
etcd = [{", ".join(f'"{endpoint}"' for endpoint in ENDPOINTS)}]
etcd_ca = "{identity.ca}"
etcd_cert = "{identity.cert}"
etcd_key = "{identity.key}"
run_dir = "{home}"
command_socket = "{command_socket}"
log_level = "info"
"""
    )
    program: tuple[str, ...] = ("edge",)
    if profile is not None:
        program = ("loadtests.bench.sampler", str(profile))
    environment: Mapping[str, str] = {"PYTHONPATH": str(PROJECT)}
    return ProcessSpec(
        name=edge_name(number, site),
        host=None,
        cwd=PROJECT,
        env=environment,
        restart=_ONCE,
        argv=(sys.executable, "-m", *program, "--config", str(config)),
        ready=UnixProbe(path=command_socket),
    )
