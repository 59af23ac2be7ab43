"""Makes the lab's network: a namespace and a link for each host, this namespace the router.

Owns namespaces, links, addresses and routes. Knows nothing of cuts, delay or loss (see wan.py).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from drills.lab.errors import NetworkError
from drills.lab.namespaces import run_in
from drills.lab.plan import Host

INNER = "wan0"
"""Name of the link's end inside the host."""
TOOL_TIMEOUT_S = 10.0
_NET = Path("/proc/sys/net/ipv4")


def run_tool(argv: Sequence[str], script: str = "") -> str:
    """Run `ip`, `nft` or `tc` with `script` on its standard input.

    NetworkError when it refuses, or has not ended after `TOOL_TIMEOUT_S`.
    """
    try:
        done = subprocess.run(
            argv, input=script, capture_output=True, text=True, check=False, timeout=TOOL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        why = f"has not ended in {TOOL_TIMEOUT_S:g} s, and was killed"
        raise NetworkError(f"{' '.join(argv)}: {why}") from error
    except FileNotFoundError as error:
        raise NetworkError(f"{argv[0]} is missing: apt-get install iproute2 nftables") from error
    if done.returncode != 0:
        raise NetworkError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def raise_network(hosts: Sequence[Host]) -> None:
    """Make every host's namespace, link, address and route, and let the router forward."""
    for name, value in (
        ("ip_forward", "1"),
        # Delayed packets come back from another device than the one they were routed by.
        ("conf/all/rp_filter", "0"),
        ("conf/default/rp_filter", "0"),
    ):
        (_NET / name).write_text(value)
    lines = ["link set lo up"]
    for host in hosts:
        lines += [
            f"netns add {host.name}",
            f"link add {host.interface} type veth peer name {INNER} netns {host.name}",
            f"address add {host.router}/24 dev {host.interface}",
            f"link set {host.interface} up",
        ]
    run_tool(("ip", "-batch", "-"), "\n".join(lines))
    for host in hosts:
        lines = [
            "link set lo up",
            f"address add {host.address}/24 dev {INNER}",
            f"link set {INNER} up",
            f"route add default via {host.router}",
        ]
        run_tool(("ip", "-n", host.name, "-batch", "-"), "\n".join(lines))
        run_in(host.name, _keep_media_ports_free)


def remove_network(hosts: Sequence[Host]) -> None:
    """Undo `raise_network`. Deleting a namespace deletes its link; no process may live in it."""
    lines = [f"link delete {host.interface}\nnetns delete {host.name}" for host in hosts]
    run_tool(("ip", "-batch", "-"), "\n".join(lines))


def _keep_media_ports_free() -> None:
    """Take ephemeral ports from above 30000-39999, which is rtpengine's."""
    (_NET / "ip_local_port_range").write_text("40000 60999")
