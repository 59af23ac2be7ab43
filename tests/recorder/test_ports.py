"""The ports that copies come from: a relay that was started anew gives them out again."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from custody.frame import BLOCK
from edge.media.plan import CALLER, Party
from edge.recorder.forks import Fork
from edge.recorder.intake import Intake
from tests.recorder.made import tone
from tests.recorder.test_slow_disk import Copied, Stage

Address = tuple[str, int]


class Socket:
    """Stands for the recorder's socket: what a test sends lies in it."""

    def __init__(self, *_: object) -> None:
        self.waiting: deque[tuple[bytes, Address]] = deque()

    def setblocking(self, _: object) -> None:
        """Never block."""

    def setsockopt(self, *_: object) -> None:
        """Nothing is lost in it."""

    def bind(self, _: object) -> None:
        """Be bound."""

    def close(self) -> None:
        """Nothing is open."""

    def getsockname(self) -> Address:
        """Return where it is."""
        return ("127.0.0.1", 9)

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, Address]:
        """Return the next packet."""
        if not self.waiting:
            raise BlockingIOError
        packet, source = self.waiting.popleft()
        buffer[: len(packet)] = packet
        return len(packet), source


class Relay(Copied):
    """Copies from ports that a test chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[tuple[str, Party], int] = {}

    async def open(self, call: str, speaker: Party) -> Fork:
        """Have `speaker` copied."""
        made = await super().open(call, speaker)
        return made._replace(source=("127.0.0.1", self.ports[call, speaker]))


class Ported(Stage):
    """A recorder with an intake, and a relay whose ports are known."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        patch.setattr("edge.recorder.intake.socket.socket", Socket)
        self.intake = Intake("127.0.0.1", 0)
        self.ported = Relay()
        self.recorder._intake = self.intake  # noqa: SLF001 - in place of the one without packets
        self.recorder._forks = self.ported  # type: ignore[assignment]  # noqa: SLF001 - likewise

    async def copied(self, call: str, caller: int, agent: int, **more: object) -> None:
        """Have a call recorded whose copies come from these ports."""
        self.ported.ports |= {(f"a1:{call}", "caller"): caller, (f"a1:{call}", "agent"): agent}  # type: ignore[dict-item]
        await self.record(call, **more)

    def heard(self, call: str, port: int) -> int:
        """Send a packet from a port; return how many of the call's caller have come in by then."""
        packet = struct.pack("!BBHII", 0x80, 0, 1, BLOCK, 7) + tone(0)
        self.intake._socket.waiting.append((packet, ("127.0.0.1", port)))  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        self.intake.drain(1)
        session = self.recorder._sessions[call]  # noqa: SLF001 - what it has
        return session.streams[CALLER].channel.received


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ported]:
    made = Ported(tmp_path, monkeypatch)
    yield made
    made.recorder.abandon()


@pytest.mark.parametrize("how", ["its call ends", "its call is copied anew"])
async def test_a_port_that_has_been_given_to_another_call_is_that_ones(
    stage: Ported, how: str
) -> None:
    await stage.copied("old", 40_000, 40_002)
    # The relay dies, and its next life begins with the same ports.
    await stage.copied("new", 40_000, 40_004)
    assert stage.heard("new", 40_000) == 1
    if how == "its call ends":
        await stage.recorder.commands["stop"]({"call": "old"})
    else:
        await stage.copied("old", 40_006, 40_008, attempt=2)
    assert stage.heard("new", 40_000) == 2


async def test_of_a_call_that_is_over_nothing_is_taken_any_more(stage: Ported) -> None:
    await stage.copied("one", 40_000, 40_002)
    assert stage.heard("one", 40_000) == 1
    session = stage.recorder._sessions["one"]  # noqa: SLF001 - what it has
    await stage.recorder.commands["stop"]({"call": "one"})
    stage.recorder._sessions["one"] = session  # noqa: SLF001 - to look at it
    assert stage.heard("one", 40_000) == 1
    del stage.recorder._sessions["one"]  # noqa: SLF001 - likewise
