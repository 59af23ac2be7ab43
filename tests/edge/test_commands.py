"""The command port: every line gets one, whatever is in it, and nobody holds up anybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge import commands
from edge.commands import CommandPort
from edge.errors import CommandError


async def _echo(request: Mapping[str, object]) -> Mapping[str, object]:
    return {"echo": request.get("word")}


async def _no(_: Mapping[str, object]) -> Mapping[str, object]:
    raise CommandError("not now")


async def _broken(_: Mapping[str, object]) -> Mapping[str, object]:
    raise KeyError("+4930123")


async def _odd(_: Mapping[str, object]) -> Mapping[str, object]:
    return {"what": object()}


@asynccontextmanager
async def _port(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "edge.sock"
    port = CommandPort(path, {"echo": _echo, "no": _no, "broken": _broken, "odd": _odd})
    await port.start()
    try:
        yield path
    finally:
        await port.close()


async def _say(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        await writer.drain()
        answers.append(json.loads(await reader.readline()))
    writer.close()
    return answers


async def test_a_command_is_answered_and_the_next_one_too(tmp_path: Path) -> None:
    async with _port(tmp_path) as path:
        answers = await _say(path, b'{"cmd": "echo", "word": 1}', b'{"cmd": "echo", "word": 2}')
        assert answers == [{"ok": True, "echo": 1}, {"ok": True, "echo": 2}]


@pytest.mark.parametrize(
    "line",
    [b"rubbish", b"", b"[]", b"null", b"{}", b'{"cmd": 5}', b'{"cmd": "nothing"}', b"\xff\xfe",
     b"[" * 50_000, b'{"cmd": "no"}', b'{"cmd": "broken"}', b'{"cmd": "odd"}', b"1" * 10_000],
)  # fmt: skip
async def test_rubbish_is_answered_with_an_error_and_the_next_command_is_served(
    tmp_path: Path, line: bytes
) -> None:
    async with _port(tmp_path) as path:
        bad, good = await _say(path, line, b'{"cmd": "echo"}')
        assert bad["ok"] is False
        assert bad["error"]
        assert "4930123" not in bad["error"]
        assert good["ok"] is True


async def test_a_line_that_is_too_long_is_refused_and_the_client_let_go(tmp_path: Path) -> None:
    async with _port(tmp_path) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * 200_000)
        answer = json.loads(await reader.readline())
        assert answer["ok"] is False
        assert "too long" in answer["error"]
        assert await reader.read() == b""
        writer.close()


async def test_many_at_once_are_all_served_and_the_idle_hold_up_nobody(tmp_path: Path) -> None:
    async with _port(tmp_path) as path:
        idle = [await asyncio.open_unix_connection(path) for _ in range(20)]
        answers = await asyncio.gather(*(_say(path, b'{"cmd": "echo"}') for _ in range(100)))
        assert all(answer == [{"ok": True, "echo": None}] for answer in answers)
        for _, writer in idle:
            writer.close()


async def test_a_client_that_says_nothing_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "IDLE_S", 0.05)
    async with _port(tmp_path) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()


async def test_a_socket_left_by_a_former_life_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "edge.sock").write_text("left")
    async with _port(tmp_path) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await _say(path, b'{"cmd": "echo"}'))[0]["ok"]
    assert not path.exists()
