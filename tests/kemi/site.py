"""A real Kamailio with our routes, on loopback addresses of its own, and its peers."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kemi.sip_peer import SipPeer

PROJECT = Path(__file__).parent.parent.parent
START_S = 10.0

_networks = itertools.count(os.getpid())


class Kamailio:
    """A Kamailio process, started as its configuration file says, and its JSON-RPC."""

    def __init__(
        self,
        cfg: Path,
        run_dir: Path,
        words: dict[str, str],
        *options: str,
        last_process: str = "tcp main process",
    ) -> None:
        self.run_dir = run_dir
        run_dir.mkdir(mode=0o700, exist_ok=True)
        self.log = run_dir / "log"
        # fmt: off
        self.argv = [
            "kamailio", "-DD", "-E", "-f", str(cfg), "-x", "fm", "-X", "fm", "-m", "64", "-M", "16",
            "-Y", str(run_dir), *options,
        ]
        # fmt: on
        for name, value in words.items():
            self.argv += ["--substdef", f"!{name}!{value}!"]
        self.process: subprocess.Popen[bytes] | None = None
        self.rpc_socket = run_dir / "kamailio.rpc"
        self.last_process = last_process

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.rpc_socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError):
                # The last to be forked. One that is stopped before it has begun does not hear it.
                names = {each["DSC"] for each in self.rpc("core.psx")}
                if self.last_process in names:
                    return
            time.sleep(0.02)
        raise AssertionError(f"Kamailio did not start: {self.log.read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it with all its children."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            self.process.wait(timeout=8)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Let all of its processes stand still."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def rpc(self, method: str, *params: str | float) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return the result of one call, or the error as a dict with `code`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.bind("")
            end.settimeout(5)
            question = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
            end.sendto(json.dumps(question).encode(), str(self.rpc_socket))
            answer = json.loads(end.recv(1 << 20))
        return answer.get("result", answer.get("error"))

    def put(self, table: str, key: str, value: str) -> None:
        """Set one row."""
        self.rpc("htable.sets", table, key, value)

    def drop(self, table: str, key: str) -> None:
        """Remove one row, if it is there."""
        self.rpc("htable.delete", table, key)

    def row(self, table: str, key: str) -> str | None:
        """Return one row."""
        answer = self.rpc("htable.get", table, key)
        return str(answer["item"]["value"]) if "item" in answer else None

    def until_there(self, table: str, key: str) -> None:
        """Wait for a row that the program writes: one of its processes may be behind others."""
        until = time.monotonic() + 5.0
        while self.row(table, key) is None:
            assert time.monotonic() < until, f"no {key} in {table}"
            time.sleep(0.02)

    def log_text(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text()


class Site(Kamailio):
    """Site `a` under test: an address 127.x.y.1, and more of the same network for its peers."""

    def __init__(self, run_dir: Path, *, flood: int = 1000) -> None:
        number = next(_networks)
        self.network = f"127.{80 + number // 250 % 40}.{1 + number % 250}"
        self.address = f"{self.network}.1"
        self.events = (self.address, 8448)
        kemi = PROJECT / "edge" / "kemi"
        super().__init__(
            kemi / "kamailio.cfg",
            run_dir,
            {
                "SITE_ID": "a",
                "SITE_ADDR": self.address,
                "RUN_DIR": str(run_dir),
                "ROUTES": str(kemi / "edge_routes.py"),
            },
            *("-A", f'EVENTS_ADDRESS="{self.address}:8448"', "-A", f"FLOOD={flood}"),
        )
        self._peers: list[SipPeer] = []
        self._hosts = itertools.cycle(range(2, 255))

    def peer(self, port: int = 0) -> SipPeer:
        """Open a new UDP address that speaks to the site: what was sent to others stays theirs."""
        peer = SipPeer(f"{self.network}.{next(self._hosts)}", port, (self.address, 5060))
        self._peers.append(peer)
        return peer

    def edge(self) -> SipPeer:
        """Open an address that the site knows as an edge."""
        edge = self.peer()
        self.put("peers", edge.address, "edge")
        return edge

    def trunk(self, name: str = "t1") -> SipPeer:
        """Open an address that the site knows as a trunk."""
        trunk = self.peer(5060)
        self.put("peers", trunk.host, f"trunk:{name}")
        return trunk

    def close_peers(self) -> None:
        """Give the addresses back."""
        for peer in self._peers:
            peer.close()
        self._peers.clear()


@contextlib.contextmanager
def running(site: Kamailio) -> Iterator[Kamailio]:
    """Start and stop it."""
    try:
        site.start()
        yield site
    finally:
        site.stop()
        if isinstance(site, Site):
            site.close_peers()
