from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from drills.cli.app import main
from drills.cli.errors import Exit
from drills.demo.placing import check
from drills.desk import path as places
from drills.desk.asks import AgentsAsk, PlaceAsk
from drills.desk.client import CONNECT_TIMEOUT_S, connected, labs
from drills.desk.errors import DeskError, NoLabError, RefusedError
from tests.cli.asked import LAUNCHER, opened


def chosen(lab: int | None = None) -> tuple[int, tuple[int, ...]]:
    with connected(lab) as line:
        return line.lab.launcher, line.others


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "--watch"),
        ("agent", "list"),
        ("agent", "pause", "ann"),
        ("calls",),
        ("explain",),
        ("call", "15550100"),
    ],
)
def test_where_no_lab_is_up_it_is_said_how_to_have_one(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(places, "SOCKETS", tmp_path / "nothing" / "here")
    assert main(list(words)) == Exit.FAILED
    assert "./everline up" in capsys.readouterr().err


async def test_among_several_labs_the_newest_is_asked_or_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path, monkeypatch, 30), opened(tmp_path, monkeypatch, 20):
        os.utime(tmp_path / "30.sock", ns=(1, 1))
        assert await asyncio.to_thread(chosen) == (20, (30,))
        assert await asyncio.to_thread(chosen, 30) == (30, (20,))
        with pytest.raises(NoLabError, match="no lab 99 is up; up: 20, 30"):
            await asyncio.to_thread(chosen, 99)
        await asyncio.to_thread(main, ["agent", "list"])
        assert "this is lab 20, the newest; others are up: 30 (--lab)" in capsys.readouterr().err
        await asyncio.to_thread(main, ["agent", "list", "--lab", "30"])
        assert not capsys.readouterr().err


async def test_sockets_that_dead_labs_left_are_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, monkeypatch):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "1.sock"))
        (tmp_path / "notes.sock").touch()
        assert await asyncio.to_thread(chosen) == (LAUNCHER, ())
    assert [lab.launcher for lab in labs()] == []
    assert os.listdir(tmp_path) == ["notes.sock"]  # noqa: PTH208 - Path.iterdir blocks, says ruff


async def test_a_lab_that_is_slow_to_answer_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SOCKETS", tmp_path)
    monkeypatch.setattr("drills.desk.client.CONNECT_TIMEOUT_S", CONNECT_TIMEOUT_S / 20)
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / "1.sock"))
        busy.listen(0)
        with connected(1), pytest.raises(NoLabError, match="lab 1 does not take our call"):
            chosen()
    assert [lab.launcher for lab in labs()] == [1]


async def test_only_its_owner_may_ask_a_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, monkeypatch):
        mode = (tmp_path / f"{LAUNCHER}.sock").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert not os.listdir(tmp_path)  # noqa: PTH208


async def test_a_checkout_may_lie_as_deep_as_it_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep" * 30)
    async with opened(deep, monkeypatch):
        assert await asyncio.to_thread(chosen) == (LAUNCHER, ())


async def test_a_lab_that_goes_down_while_it_is_asked_is_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SOCKETS", tmp_path)
    with socket.socket(socket.AF_UNIX) as lab:
        lab.bind(str(tmp_path / "7.sock"))
        lab.listen()
        with connected() as line:
            lab.accept()[0].close()
            with pytest.raises(NoLabError, match="lab 7 has gone down"):
                line.ask(AgentsAsk(), dict)


@pytest.mark.parametrize("answer", [b"rubbish\n", b'{"ok":{"agents":[1]}}\n'])
async def test_a_lab_of_another_version_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(places, "SOCKETS", tmp_path)
    with socket.socket(socket.AF_UNIX) as lab:
        lab.bind(str(tmp_path / "7.sock"))
        lab.listen()
        with connected() as line, lab.accept()[0] as other:
            other.sendall(answer)
            with pytest.raises(DeskError, match="another version"):
                line.ask(AgentsAsk(), list)


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (PlaceAsk(did="1555\r\nX: y"), "no number to dial"),
        (PlaceAsk(did="15550100", first="z"), "there is no site 'z'; there are a, b"),
        (PlaceAsk(did="15550100", talk_s=0.0), "talk for up to"),
        (PlaceAsk(did="15550100", talk_s=float("nan")), "talk for up to"),
    ],
)
def test_what_nobody_can_dial_is_refused(ask: PlaceAsk, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        check(ask, ("a", "b"))


def test_a_number_may_be_dialled() -> None:
    check(PlaceAsk(did="+15550100", first="b"), ("a", "b"))
