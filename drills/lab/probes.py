"""Asks a process, from inside its host, whether it is ready."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from drills.lab.namespaces import socket_in
from drills.lab.process import (
    CallProbe,
    DatagramProbe,
    FileProbe,
    HttpProbe,
    NgProbe,
    Probe,
    SipProbe,
    TcpProbe,
    UnixProbe,
)

ANSWER_TIMEOUT_S = 0.5
INTERVAL_S = 0.03
_OPTIONS = (
    "OPTIONS sip:probe@{address} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {own}:{port};branch=z9hG4bKprobe{port};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:probe@{own}>;tag=probe\r\nTo: <sip:probe@{address}>\r\n"
    "Call-ID: probe-{port}@{own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


async def is_ready(probe: Probe, host: str | None) -> bool:
    """Ask once; a refusal or silence (0.5 s) is False."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await _ask(probe, host)
    except OSError:  # a TimeoutError is one
        return False


async def until_ready(probe: Probe, host: str | None) -> None:
    """Ask again and again until it is ready; for ever, if it never is."""
    while True:
        if await is_ready(probe, host):
            return
        await asyncio.sleep(INTERVAL_S)


async def _ask(probe: Probe, host: str | None) -> bool:  # noqa: PLR0911 - one return a kind
    match probe:
        case TcpProbe():
            with await _connected(host, probe.address, probe.port):
                return True
        case HttpProbe():
            return await _http(probe, host)
        case SipProbe():
            return (await _sip(probe, host)).startswith(b"SIP/2.0 ")
        case NgProbe():
            with socket_in(host, socket.AF_INET, socket.SOCK_DGRAM) as asker:
                asker.connect((probe.address, probe.port))
                return b"4:pong" in await _exchange(asker, b"probe d7:command4:pinge")
        case DatagramProbe():
            return probe.expect in await _datagram(probe)
        case UnixProbe():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
                asker.settimeout(0)
                await asyncio.get_running_loop().sock_connect(asker, str(probe.path))
                return True
        case FileProbe():
            return probe.path.exists()
        case CallProbe():
            return await probe.check()


async def _connected(host: str | None, address: str, port: int) -> socket.socket:
    asker = socket_in(host, socket.AF_INET, socket.SOCK_STREAM)
    asker.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(asker, (address, port))
    except BaseException:
        asker.close()
        raise
    return asker


async def _http(probe: HttpProbe, host: str | None) -> bool:
    answer = await http_get(host, probe.address, probe.port, probe.path, probe.ca)
    return answer.startswith(b"HTTP/1.0 200") and probe.expect in answer


async def http_get(
    host: str | None, address: str, port: int, path: str, ca: Path | None = None
) -> bytes:
    """Return the whole answer to a GET made inside the host; OSError when there is none.

    With `ca`, over TLS, of a server whom that authority vouches for.
    """
    trusted = None if ca is None else ssl.create_default_context(cafile=ca)
    asker = await _connected(host, address, port)
    reader, writer = await asyncio.open_connection(
        sock=asker, ssl=trusted, server_hostname=None if trusted is None else address
    )
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.transport.abort()


async def _sip(probe: SipProbe, host: str | None) -> bytes:
    with socket_in(host, socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect((probe.address, probe.port))
        own, port = asker.getsockname()
        request = _OPTIONS.format(address=probe.address, own=own, port=port)
        return await _exchange(asker, request.encode())


async def _datagram(probe: DatagramProbe) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        # Without a name of its own it could not be answered.
        own = probe.path.with_name(f"{probe.path.name}.probe")
        own.unlink(missing_ok=True)
        try:
            asker.bind(str(own))
            asker.connect(str(probe.path))
            return await _exchange(asker, probe.ask)
        finally:
            own.unlink(missing_ok=True)


async def _exchange(asker: socket.socket, request: bytes) -> bytes:
    asker.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(asker, request)
    return await loop.sock_recv(asker, 65536)
