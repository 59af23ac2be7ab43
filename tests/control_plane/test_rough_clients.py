"""Clients that send too much, or what is no HTTP: what they are told, and what is written down."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from control_plane import log
from control_plane.api.model import instant
from control_plane.permissions import Role
from control_plane.settings import Limits
from drills.lab.certs import make_authority
from state.clock import SystemClock
from tests.control_plane.center import Center, running, settings


async def said_to(center: Center, request: bytes) -> bytes:
    """Return the beginning of the answer to these bytes."""
    reader, writer = await asyncio.open_unix_connection(str(center.socket))
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read(1000)
    finally:
        writer.close()


def head(token: str, *lines: str, begin: str = "POST /v1/customers HTTP/1.1") -> bytes:
    """Return the head of a POST."""
    usual = [begin, "Host: x"]
    if not any(each.startswith("Content-Type") for each in lines):
        usual.append("Content-Type: application/json")
    return "\r\n".join([*usual, f"Authorization: Bearer {token}", *lines, "", ""]).encode()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BytesIO]:
    """Log as the process does, into memory."""
    sink = io.TextIOWrapper(io.BytesIO(), write_through=True)
    before, handlers = structlog.get_config(), logging.root.handlers[:]
    monkeypatch.setattr(sys, "stderr", sink)
    log.configure("info", site="a")
    structlog.configure(cache_logger_on_first_use=False)
    try:
        assert isinstance(sink.buffer, io.BytesIO)
        yield sink.buffer
    finally:
        structlog.configure(**before)
        logging.root.handlers[:] = handlers


async def test_a_body_that_is_announced_as_too_large_is_refused_at_once(center: Center) -> None:
    person = await center.person(Role.MANAGER)
    told = await said_to(center, head(person.token, "Content-Length: 99999999999") + b"{")
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"body-too-large" in told


async def test_a_body_that_swells_is_refused(center: Center) -> None:
    person = await center.person(Role.MANAGER)
    bomb = gzip.compress(b'{"name":"' + b"a" * 20_000_000 + b'"}')
    lines = (f"Content-Length: {len(bomb)}", "Content-Encoding: gzip")
    assert (await said_to(center, head(person.token, *lines) + bomb)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET /v1/me HTTP/1.1\r\nAuthorization: Bearer SECRET\x00\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\n"
        + b"".join(b"X-%d: SECRET\r\n" % n for n in range(5000))
        + b"\r\n",
        b"GET /v1/me HTTP/1.1\r\nX: SECRET" + b"a" * 100_000 + b"\r\n\r\n",
        b"SECRET \x16\x03\x01\r\n\r\n",
        b"GET /v1/me?SECRET HTTP/1.1\r\n\r\n",
    ],
    ids=["no header", "many headers", "a long header", "no HTTP", "no host"],
)
async def test_what_is_no_http_is_refused_and_not_quoted_in_the_log(
    center: Center, written: io.BytesIO, rubbish: bytes
) -> None:
    told = await said_to(center, rubbish)
    assert told.split(b" ")[1] == b"400"
    assert b"application/problem+json" in told
    assert b'"error_id":"bad-request"' in told
    assert b"aiohttp" not in told
    assert b"SECRET" not in told
    lines = written.getvalue().splitlines()
    if rubbish.startswith(b"GET"):
        assert b'"event":"library"' in written.getvalue(), "that it was refused is written down"
    assert b"SECRET" not in written.getvalue()
    assert all(isinstance(json.loads(line), dict) for line in lines), "a line is JSON"


async def test_a_body_that_is_not_coded_as_it_says_is_the_clients_fault(center: Center) -> None:
    person = await center.person(Role.MANAGER)
    lines = ("Content-Encoding: gzip", "Content-Length: 5")
    told = await said_to(center, head(person.token, *lines) + b"hello")
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b'"error_id":"bad-request"' in told


async def test_a_stream_says_of_which_request_it_is_and_nothing_of_its_server(
    center: Center,
) -> None:
    person = await center.person(Role.MANAGER)
    lines = ("Content-Type: text/csv", "Content-Length: 5", "X-Request-Id: my-own-id")
    path = "POST /v1/customer-import?dry_run=true HTTP/1.1"
    told = await said_to(center, head(person.token, *lines, begin=path) + b"name\n")
    assert b"\r\nX-Request-Id: my-own-id\r\n" in told
    assert b"\r\nServer: Everline\r\n" in told


async def test_whoever_connects_and_does_not_greet_is_cut_off_with_tls_too(tmp_path: Path) -> None:
    pair = make_authority(tmp_path / "pki", now=instant(SystemClock().now().wall_ms)).issue("api")
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        made = settings(
            Path(folder),
            f"sqlite:///{tmp_path / 'e.db'}",
            tls_cert=pair.cert,
            tls_key=pair.key,
            limits=Limits(header_s=0.3),
        )
        async with running(made) as center:
            reader, writer = await asyncio.open_unix_connection(str(center.socket))
            try:
                async with asyncio.timeout(15):
                    assert await reader.read() == b""
            finally:
                writer.close()


async def test_a_client_who_goes_while_they_send_is_no_error_of_ours(
    center: Center, written: io.BytesIO
) -> None:
    """A site's lines are cut: nobody is there to be answered."""
    person = await center.person(Role.MANAGER)
    _, writer = await asyncio.open_unix_connection(str(center.socket))
    writer.write(head(person.token, "Content-Length: 100") + b'{"name": ')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(20):
        while not any(each in written.getvalue() for each in (b"client_gone", b'"library"')):  # noqa: ASYNC110 - a log's
            await asyncio.sleep(0.01)
    assert b'"level":"error"' not in written.getvalue()
    assert b'"event":"library"' not in written.getvalue()


async def test_a_body_that_is_not_coded_as_it_says_is_no_error_of_ours_behind_a_refusal_either(
    center: Center, written: io.BytesIO
) -> None:
    """Strangers could fill the log with errors that nobody has to look at."""
    lines = ("Content-Encoding: gzip", "Content-Length: 5")
    told = await said_to(center, head("none", *lines) + b"hello")
    assert told.startswith(b"HTTP/1.1 401 ")
    async with asyncio.timeout(20):
        while not any(each in written.getvalue() for each in (b"not_understood", b'"library"')):  # noqa: ASYNC110 - a log's
            await asyncio.sleep(0.01)
    assert b'"level":"error"' not in written.getvalue()


async def test_a_client_who_goes_when_they_are_refused_is_no_error_of_ours(
    center: Center, written: io.BytesIO
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(center.socket))
    writer.write(head("none", "Content-Length: 100") + b'{"name": ')
    async with asyncio.timeout(20):
        assert (await reader.read(100)).startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert b'"level":"error"' not in written.getvalue(), written.getvalue()
