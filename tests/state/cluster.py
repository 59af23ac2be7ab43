"""A real etcd cluster on loopback with mTLS, and a wire to it that a test can cut."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from state.etcd import EtcdSettings, EtcdStore, Tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "127.0.0.1"
READY_S = 20.0


class Authority:
    """A CA whose certificate is written into a folder, as is what it issues."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        ca = _certificate(self._name, self._name, self._key.public_key(), self._key, is_ca=True)
        (directory / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))

    def issue(self, file: str, *, is_expired: bool = False) -> Tls:
        """Write a certificate and its key, in place of those of the same name."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "everline")])
        ago = timedelta(days=2) if is_expired else timedelta(0)
        certificate = _certificate(
            name, self._name, key.public_key(), self._key, is_ca=False, ago=ago
        )
        tls = Tls(
            ca=self._directory / "ca.pem",
            cert=self._directory / f"{file}.pem",
            key=self._directory / f"{file}.key",
        )
        tls.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        tls.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return tls


def _certificate(  # noqa: PLR0913 - what stands in it
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool,
    ago: timedelta = timedelta(0),
) -> x509.Certificate:
    """Return a certificate that became valid so long ago, for a day."""
    start = datetime.fromtimestamp(time.time_ns() // 10**9, UTC) - timedelta(minutes=5) - ago
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        address = x509.IPAddress(ipaddress.ip_address(HOST))
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return builder.sign(signer, hashes.SHA256())


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@dataclass(slots=True)
class Server:
    """One etcd process."""

    name: str
    client_port: int
    peer_port: int
    metrics_port: int
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"{HOST}:{self.client_port}"

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def metrics(self) -> str:
        """Return its metrics page; raise OSError when it does not serve."""
        url = f"http://{HOST}:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=1) as page:
            return str(page.read(), "utf-8")


@dataclass(slots=True)
class Cluster:
    """Three members that a test may kill, stop and start."""

    directory: Path
    authority: Authority
    tls: Tls
    servers: list[Server] = field(default_factory=list)
    quota_bytes: int = 0
    """0: etcd's own default."""

    @classmethod
    def make(cls, directory: Path, size: int = 3, *, quota_bytes: int = 0) -> Cluster:
        """Lay out a cluster; `start` starts it."""
        authority = Authority(directory)
        cluster = cls(directory, authority, authority.issue("cert"), quota_bytes=quota_bytes)
        ports = free_ports(3 * size)
        for number in range(size):
            client, peer, metrics = ports[3 * number : 3 * number + 3]
            data = directory / f"m{number}"
            cluster.servers.append(Server(f"m{number}", client, peer, metrics, data))
        return cluster

    def addresses(self, first: int = 0) -> list[str]:
        """Return the members' addresses, beginning with this one."""
        return [server.address for server in self.servers[first:] + self.servers[:first]]

    def store(self, first: int = 0, settings: EtcdSettings | None = None) -> EtcdStore:
        """Return a client that prefers the member `first`."""
        return EtcdStore(self.addresses(first), tls=self.tls, settings=settings)

    def start(self, *numbers: int) -> None:
        """Start members (all, if none is named)."""
        for number in numbers or range(len(self.servers)):
            self._start(self.servers[number])

    def _start(self, server: Server) -> None:
        peers = ",".join(f"{each.name}=https://{HOST}:{each.peer_port}" for each in self.servers)
        client, peer = f"https://{server.address}", f"https://{HOST}:{server.peer_port}"
        tls = self.tls
        program = shutil.which("etcd")
        assert program is not None, "etcd is not installed: apt install etcd-server"
        with (self.directory / f"{server.name}.log").open("ab") as log:
            server.process = subprocess.Popen(
                [
                    program,
                    *("--name", server.name, "--data-dir", str(server.directory)),
                    *("--listen-client-urls", client, "--advertise-client-urls", client),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--listen-metrics-urls", f"http://{HOST}:{server.metrics_port}"),
                    *("--initial-cluster", peers, "--logger", "zap", "--log-level", "warn"),
                    *("--quota-backend-bytes", str(self.quota_bytes)),
                    *("--client-cert-auth", "--trusted-ca-file", str(tls.ca)),
                    *("--cert-file", str(tls.cert), "--key-file", str(tls.key)),
                    *("--peer-client-cert-auth", "--peer-trusted-ca-file", str(tls.ca)),
                    *("--peer-cert-file", str(tls.cert), "--peer-key-file", str(tls.key)),
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self, *numbers: int) -> None:
        """Kill members with SIGKILL."""
        for number in numbers:
            process = self.servers[number].process
            if process is not None:
                process.kill()
                process.wait(10)
            self.servers[number].process = None

    def heal(self) -> None:
        """Bring every member back to work and wait until all know a leader."""
        for number, server in enumerate(self.servers):
            if server.process is None:
                self.start(number)
            else:
                server.signal(signal.SIGCONT)
        self.wait_for_leader()

    def leader(self) -> int | None:
        """Return which member leads."""
        for number, server in enumerate(self.servers):
            try:
                if re.search(r"^etcd_server_is_leader 1$", server.metrics(), re.MULTILINE):
                    return number
            except OSError:
                continue
        return None

    def wait_for_leader(self) -> int:
        """Return which member leads, as soon as every member has one."""
        pattern = re.compile(r"^etcd_server_has_leader 1$", re.MULTILINE)

        def is_ready() -> bool:
            return all(pattern.search(server.metrics()) for server in self.servers)

        _poll(is_ready)
        leader = self.leader()
        assert leader is not None
        return leader

    def stop(self) -> None:
        """Kill everything."""
        for server in self.servers:
            if server.process is not None:
                server.signal(signal.SIGCONT)
        self.kill(*range(len(self.servers)))


def _poll(is_so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + READY_S
    while time.monotonic() < ends_s:
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"the cluster was not ready within {READY_S} s")


class Wire:
    """A TCP relay to one member. It can be cut, at once or after so many bytes from the member."""

    def __init__(self, target: Server) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self.cut_after: int | None = None
        """Bytes that each connection may still bring from the member; None: no limit."""
        self.cuts = 0

    async def start(self) -> str:
        """Listen; return the address to connect to."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"{HOST}:{port}"

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        self._is_cut = True
        self._break()

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    async def stop(self) -> None:
        """Stop listening and break what is left."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _break(self) -> None:
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self._is_cut:
                return
            back, there = await asyncio.open_connection(HOST, self._target.client_port)
            self._writers.add(there)
            await asyncio.gather(self._pump(reader, there), self._pump(back, writer, limited=True))
        except OSError:
            return
        finally:
            for each in (writer, there):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limited: bool = False
    ) -> None:
        carried = 0
        while data := await reader.read(16_384):
            carried += len(data)
            if limited and self.cut_after is not None and carried > self.cut_after:
                self._break()
                return
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
