"""Tells the site's recorder what to record. No call waits for it, and none ends of it.

What is to be recorded is a table; whenever the recorder is reached anew, it is told all of it. So a
recorder, or an edge, that was started anew goes on where it left off.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import structlog

from edge.log import fault
from state.model import AgentId, CallId, EdgeId, QueueId

log = structlog.get_logger()

ANSWER_S: Final = 5.0
RETRY_S: Final = 0.5
BEAT_S: Final = 20.0
"""The recorder lets go of who says nothing for a minute."""
_LONGEST: Final = 64 * 1024


class CallRecorder(Protocol):
    """What a call needs of the recorder."""

    def record(self, call: CallId, queue: QueueId, agent: AgentId) -> None:
        """Have the call recorded from now on; or say that another agent has joined it."""
        ...

    def stop(self, call: CallId) -> None:
        """Say that the call is over; one that was not recorded is fine."""
        ...


class NoRecorder:
    """A site that records nothing."""

    def record(self, call: CallId, queue: QueueId, agent: AgentId) -> None:
        """Nothing is recorded."""

    def stop(self, call: CallId) -> None:
        """Nothing was."""


class RecorderLink:
    """The way to the recorder's socket."""

    def __init__(self, path: Path, *, edge: EdgeId, tenant_of: Callable[[QueueId], str]) -> None:
        self._path = path
        self._edge = edge
        self._tenant_of = tenant_of
        self._wanted: dict[CallId, Mapping[str, object]] = {}
        self._todo: dict[CallId, Mapping[str, object]] = {}
        self._wake = asyncio.Event()
        self._is_failing = False
        self.refused = 0
        """Calls that the recorder would not, or could not, record."""

    def record(self, call: CallId, queue: QueueId, agent: AgentId) -> None:
        """Have the call recorded."""
        request = {
            "cmd": "record",
            "call": call,
            "tenant": self._tenant_of(queue),
            "queue": queue,
            "agent": agent,
            "media": f"{self._edge}:{call}",
        }
        self._wanted[call] = self._todo[call] = request
        self._wake.set()

    def stop(self, call: CallId) -> None:
        """Have it ended."""
        if self._wanted.pop(call, None) is not None:
            self._todo[call] = {"cmd": "stop", "call": call}
            self._wake.set()

    async def run(self) -> None:
        """Tell the recorder until cancelled."""
        while True:
            try:
                await self._talk()
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                if not self._is_failing and (self._wanted or self._todo):
                    log.warning("recorder_away", calls=len(self._wanted), **fault(error))
                    self._is_failing = True
            except Exception as error:  # noqa: BLE001 - no fault in recording may end an edge
                log.error("recorder_link_fault", **fault(error))  # noqa: TRY400 - one line
            await asyncio.sleep(RETRY_S)
            self._todo = {**self._todo, **self._wanted}

    async def _talk(self) -> None:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST)
        try:
            while True:
                if self._todo:
                    call = next(iter(self._todo))
                    await self._tell(reader, writer, call, self._todo[call])
                    continue
                if not await self._rest(reader):
                    await _ask(reader, writer, {"cmd": "status"})
        finally:
            writer.close()

    async def _rest(self, reader: asyncio.StreamReader) -> bool:
        """Wait for something to say; False: for too long. Notices that the recorder has gone."""
        self._wake.clear()
        woken = asyncio.create_task(self._wake.wait())
        left = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({woken, left}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            left.cancel()
            # Only one may read at a time: it has to have let go before the next answer is read.
            await asyncio.wait({woken, left})
        if not left.cancelled():
            left.exception()  # asked after: it is no news beside the end of the connection
            raise EOFError("the recorder has gone")
        return not woken.cancelled()

    async def _tell(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        call: CallId,
        request: Mapping[str, object],
    ) -> None:
        answer = await _ask(reader, writer, request)
        self._is_failing = False
        if self._todo.get(call) is request:
            del self._todo[call]
        if not answer.get("ok"):
            self.refused += 1
            log.error(
                "call_not_recorded", call=call, asked=request["cmd"], because=answer.get("error")
            )


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Mapping[str, object]
) -> Mapping[str, object]:
    writer.write(json.dumps(request).encode() + b"\n")
    async with asyncio.timeout(ANSWER_S):
        await writer.drain()
        line = await reader.readline()
    if not line:
        raise EOFError("the recorder has closed the connection")
    answer = json.loads(line)
    return answer if isinstance(answer, dict) else {}
