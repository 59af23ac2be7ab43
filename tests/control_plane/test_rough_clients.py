"""Clients that send too much, or what is no HTTP: what they are told, and what is written down."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from control_plane import log
from control_plane.permissions import Role
from tests.control_plane.center import Center


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


def head(token: str, *lines: str) -> bytes:
    """Return the head of a POST."""
    usual = ("POST /v1/customers HTTP/1.1", "Host: x", "Content-Type: application/json")
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
    ],
    ids=["no header", "many headers", "a long header", "no HTTP"],
)
async def test_what_is_no_http_is_refused_and_not_quoted_in_the_log(
    center: Center, written: io.BytesIO, rubbish: bytes
) -> None:
    assert (await said_to(center, rubbish)).split(b" ")[1] == b"400"
    lines = written.getvalue().splitlines()
    if rubbish.startswith(b"GET"):
        assert b'"event":"library"' in written.getvalue(), "that it was refused is written down"
    assert b"SECRET" not in written.getvalue()
    assert all(isinstance(json.loads(line), dict) for line in lines), "a line is JSON"
