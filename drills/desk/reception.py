"""Lets people ask a lab that is up: its socket, and one conversation with each who connects.

Knows nothing of what is answered; what is told line by line is told along here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from drills.desk.asks import ExportAsk, LoadAsk, PlaceAsk, Reply, asks
from drills.desk.desk import Desk, FaultMaker, Place
from drills.desk.errors import RefusedError
from drills.desk.path import socket_path, within_reach
from drills.lab.errors import LabError
from drills.lab.lab import Lab
from state.codec import UNREADABLE
from state.errors import StateError
from state.store import Store

log = structlog.get_logger(__name__)


class Placer(Protocol):
    """Places a test call, and tells each line of what its phone reports until it is over."""

    async def __call__(self, ask: PlaceAsk, tell: Callable[[bytes], None], /) -> None:
        """Place it; cancelled, hang up. RefusedError when it cannot be placed."""
        ...


class Loader(Protocol):
    """Lets people load the lab, and tells each line of what the load says until it is over."""

    async def __call__(self, ask: LoadAsk, tell: Callable[[bytes], None], /) -> None:
        """Carry it out; cancelled, stop it and undo what it made."""
        ...


class Reception:
    """Converses with as many people as come."""

    def __init__(self, desk: Desk, placer: Placer, loader: Loader | None = None) -> None:
        self._desk = desk
        self._placer = placer
        self._loader = loader

    async def listen(self, server: socket.socket) -> None:
        """Answer whoever connects, until cancelled; then all have been hung up on."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as people:

            def welcome() -> None:
                with contextlib.suppress(BlockingIOError):
                    connected, _ = server.accept()
                    talk = people.create_task(self._converse(connected))
                    # Here, since a task that is cancelled early runs none of its own code.
                    talk.add_done_callback(partial(_hang_up, connected))

            # Not sock_accept: cancelled at the wrong moment, it loses whom it has let in.
            loop.add_reader(server, welcome)
            try:
                await asyncio.Event().wait()
            finally:
                loop.remove_reader(server)

    async def _converse(self, connected: socket.socket) -> None:
        """Answer one who has connected until they leave."""
        connected.setblocking(False)  # noqa: FBT003 - its only parameter
        reader, writer = await asyncio.open_unix_connection(sock=connected)
        try:
            while line := await reader.readline():
                await self._serve(line, reader, writer)
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # they left, or sent a line beyond all measure
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            ask = asks.decode(line)
            if isinstance(ask, PlaceAsk):
                await self._tell_along(partial(self._placer, ask), reader, writer)
            elif isinstance(ask, LoadAsk):
                await self._tell_along(partial(self._load, ask), reader, writer)
            elif isinstance(ask, ExportAsk):
                await self._tell_day(writer)
            else:
                answer = msgspec.json.encode(await self._desk.answer(ask))
                _put(writer, Reply(ok=msgspec.Raw(answer)))
        except (*UNREADABLE, LabError, StateError) as error:
            _put(writer, Reply(error=str(error)))
        except Exception as error:  # noqa: BLE001 - no question may take the lab down
            log.error("desk_fault", fault=type(error).__name__)  # noqa: TRY400 - no records in logs
            _put(writer, Reply(error=f"the lab could not answer ({type(error).__name__})"))

    async def _load(self, ask: LoadAsk, tell: Callable[[bytes], None]) -> None:
        if self._loader is None:
            raise RefusedError("this lab has callers of its own; load one that ./everline up made")
        await self._loader(ask, tell)

    async def _tell_along(
        self,
        work: Callable[[Callable[[bytes], None]], Coroutine[None, None, None]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Do what tells line by line; stop it when whoever asked for it leaves."""

        def tell(line: bytes) -> None:
            _put(writer, Reply(ok=msgspec.Raw(line.strip())))

        calling = asyncio.create_task(work(tell))
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait((calling, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Only one may read at a time: let go before the next question is waited for.
            calling.cancel()
            leaving.cancel()
            await asyncio.wait((calling, leaving))
        if not calling.cancelled():
            calling.result()
        _put(writer, Reply(is_end=True))

    async def _tell_day(self, writer: asyncio.StreamWriter) -> None:
        async for text in self._desk.day():
            _put(writer, Reply(ok=msgspec.Raw(text)))
            await writer.drain()
        _put(writer, Reply(is_end=True))


def _hang_up(connected: socket.socket, _talk: asyncio.Task[None]) -> None:
    connected.close()


def _put(writer: asyncio.StreamWriter, reply: Reply) -> None:
    writer.write(msgspec.json.encode(reply) + b"\n")


@contextlib.asynccontextmanager
async def open_desk(  # noqa: PLR0913, PLR0917 - what it answers from
    place: Place,
    lab: Lab,
    store: Store,
    placer: Placer,
    faults: FaultMaker | None = None,
    loader: Loader | None = None,
) -> AsyncIterator[Desk]:
    """Let a lab be asked until the block ends. LabError when its socket cannot be made."""
    desk = Desk(place, lab, store, faults=faults)
    reception = Reception(desk, placer, loader)
    path = socket_path(place.launcher)
    with _listening(path) as server:
        tasks = {asyncio.create_task(work) for work in (desk.follow(), reception.listen(server))}
        try:
            yield desk
        finally:
            path.unlink(missing_ok=True)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def _listening(path: Path) -> socket.socket:
    """Return a socket that its owner alone (and root) can connect to."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.setblocking(False)  # noqa: FBT003 - its only parameter
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with within_reach(path) as short:
                server.bind(short)
        finally:
            os.umask(before)
        server.listen()
    except OSError as error:
        server.close()
        raise LabError(
            f"{path.parent} takes no socket ({error.strerror}): let us write there"
        ) from error
    return server
