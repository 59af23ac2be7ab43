"""A rest is changed by the agent's home edge, which the desk asks on its command socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.desk.asks import WrapUpAsk
from drills.desk.errors import RefusedError
from drills.desk.machines import cancel_callback, change_rest
from drills.lab.lab import Lab, default_paths
from drills.lab.plan import plan_lab
from edge.acd.attendance import RestChange
from state import keys
from state.model import AgentId, CallId, EdgeId
from tests.acd.worlds import World


@contextlib.asynccontextmanager
async def edge_says(run: Path, answer: dict[str, object]) -> AsyncIterator[list[dict[str, object]]]:
    """Let edge a1 give this answer to whatever it is asked, and tell what that was."""
    heard: list[dict[str, object]] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(json.loads(line))
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()
        await writer.wait_closed()
        over.set()

    (run / "a").mkdir()
    async with await asyncio.start_unix_server(serve, run / "a" / "edge-a1.sock"):
        yield heard
        await over.wait()


def lab(run: Path) -> Lab:
    return Lab(plan_lab(), paths=replace(default_paths(), run=run))


def center() -> World:
    world = World()
    world.agent("ann", sales=3)
    return world


ASK = WrapUpAsk(agent=AgentId("ann"), do=RestChange.EXTEND, by_s=60.0)


async def test_the_home_edge_is_asked_and_says_how_long_it_still_is(tmp_path: Path) -> None:
    answer: dict[str, object] = {"ok": True, "agent": "ann", "left_s": 63.5}
    async with edge_says(tmp_path, answer) as heard:
        assert await change_rest(lab(tmp_path), center().snapshot, ASK) == 63.5
    assert heard == [{"cmd": "wrap_up", "agent": "ann", "do": "extend", "s": 60.0}]


async def test_why_the_edge_refuses_is_told(tmp_path: Path) -> None:
    answer: dict[str, object] = {"ok": False, "error": "no rest of 'ann' to change: not_resting"}
    async with edge_says(tmp_path, answer):
        with pytest.raises(RefusedError, match="not_resting"):
            await change_rest(lab(tmp_path), center().snapshot, ASK)


async def test_a_home_that_is_dead_or_silent_is_named(tmp_path: Path) -> None:
    world = center()
    with pytest.raises(RefusedError, match="a1 does not answer"):
        await change_rest(lab(tmp_path), world.snapshot, ASK)
    world.drop(keys.edge(EdgeId("a1")))
    with pytest.raises(RefusedError, match="no edge of the home site"):
        await change_rest(lab(tmp_path), world.snapshot, ASK)


async def _die(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_an_edge_that_dies_while_it_is_asked_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    async with await asyncio.start_unix_server(_die, tmp_path / "a" / "edge-a1.sock"):
        with pytest.raises(RefusedError, match="edge a1 does not answer"):
            await change_rest(lab(tmp_path), center().snapshot, ASK)


async def test_the_next_edge_is_asked_to_call_back_no_more(tmp_path: Path) -> None:
    heard: list[object] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(json.loads(await reader.readline()))
        writer.write(b'{"ok": true}\n')
        writer.close()

    for site in "ab":
        (tmp_path / site).mkdir()
    async with (
        await asyncio.start_unix_server(_die, tmp_path / "a" / "edge-a1.sock"),
        await asyncio.start_unix_server(take, tmp_path / "b" / "edge-b1.sock"),
    ):
        await cancel_callback(lab(tmp_path), center().snapshot, CallId("ab" * 12))
    assert heard == [{"cmd": "cancel_callback", "call": "ab" * 12}]
