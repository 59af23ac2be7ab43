"""How delay is made: by netem where the kernel has it, else by the relay, else not at all."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from drills.lab.enter import Ground
from drills.lab.errors import DelayError, NetworkError
from drills.lab.network import run_tool
from drills.lab.plan import Host
from drills.lab.relay import control_path, open_tun, table_path
from drills.lab.wan_rules import (
    WanState,
    netem_script,
    relay_rules,
    relay_table,
)

ANSWER_TIMEOUT_S = 2.0


class Delays(Protocol):
    """A way to make delay."""

    name: str

    def apply(self, state: WanState) -> None:
        """Make the slow directions of `state` slow and all others quick, or raise DelayError."""


class NetemDelays:
    """The kernel's own delay, on the way out to each target."""

    name = "netem"

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._addresses = {host.name: host.address for host in hosts}
        self._interfaces = {host.name: host.interface for host in hosts}
        self._shaped: frozenset[str] = frozenset()

    def apply(self, state: WanState) -> None:
        """Hang netem before every target of a slow direction."""
        wanted = frozenset(direction.target for direction in state.slow())
        removals = [f"qdisc delete dev {self._interfaces[name]} root" for name in self._shaped]
        if removals:
            run_tool(("tc", "-batch", "-"), "\n".join(removals))
        self._shaped = frozenset()
        if wanted:
            self._shaped = wanted
            run_tool(("tc", "-batch", "-"), netem_script(state, self._addresses, self._interfaces))


class RelayDelays:
    """The relay process, which the supervisor keeps alive (see relay.py)."""

    name = "relay"

    def __init__(self, hosts: Sequence[Host], run_dir: Path) -> None:
        self._addresses = {host.name: host.address for host in hosts}
        self._interfaces = {host.name: host.interface for host in hosts}
        self._run_dir = run_dir
        self._rules = ""

    def apply(self, state: WanState) -> None:
        """Tell the relay its table, and send it the packets of slow directions."""
        table = table_path(self._run_dir)
        written = table.with_suffix(".new")
        written.write_text(json.dumps(relay_table(state, self._addresses)))
        written.replace(table)
        self._poke()
        rules = relay_rules(state, self._addresses, self._interfaces)
        if rules == self._rules:
            return
        if self._rules:
            run_tool(("ip", "-batch", "-"), self._rules.replace("rule add", "rule delete"))
            self._rules = ""
        if rules:
            run_tool(("ip", "-batch", "-"), rules)
            self._rules = rules

    def _poke(self) -> None:
        """Have the relay read its table, and wait until it has."""
        own = self._run_dir / f"relay-asker-{os.getpid()}.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
            own.unlink(missing_ok=True)
            asker.bind(str(own))
            asker.settimeout(ANSWER_TIMEOUT_S)
            try:
                asker.sendto(b"read", str(control_path(self._run_dir)))
                asker.recv(64)
            except OSError as error:
                raise DelayError(
                    "the delay relay does not answer; see the log of the process `relay`"
                ) from error
            finally:
                own.unlink(missing_ok=True)


class NoDelays:
    """Neither netem nor a TUN device is to be had."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def apply(self, state: WanState) -> None:
        """Refuse whatever is slow, with the reason."""
        if state.slow():
            raise DelayError(self._reason)


def kernel_has_netem() -> bool:
    """Try netem, with the prio qdisc it needs here, on this namespace's loopback."""
    with contextlib.suppress(NetworkError):
        run_tool(
            ("tc", "-batch", "-"),
            "qdisc add dev lo root handle 1: prio\nqdisc add dev lo parent 1:2 netem delay 1ms\n",
        )
        run_tool(("tc", "qdisc", "delete", "dev", "lo", "root"))
        return True
    with contextlib.suppress(NetworkError):
        run_tool(("tc", "qdisc", "delete", "dev", "lo", "root"))
    return False


def find_delays(hosts: Sequence[Host], run_dir: Path, ground: Ground | None) -> Delays:
    """Return the best way of making delay that there is here."""
    if kernel_has_netem():
        return NetemDelays(hosts)
    try:
        os.close(open_tun("probe0"))
    except OSError as error:
        as_user = " (a user namespace may not make one)" if ground is Ground.USER else ""
        return NoDelays(
            "delay needs the kernel's netem or a TUN device, and neither is to be had here"
            f"{as_user}: {error}. Load sch_netem, or run as root. Cuts and loss work without."
        )
    return RelayDelays(hosts, run_dir)
