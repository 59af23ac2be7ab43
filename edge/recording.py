"""Tells the site's recorder what to record. No call waits for it, and none ends of it.

What is to be recorded is a table; whenever the recorder is reached anew, it is told all of it. So a
recorder, or an edge, that was started anew goes on where it left off.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.acd import recorded
from edge.keys_told import KeysTold
from edge.media.plan import Party
from edge.sip.keys import Key
from state.discreet import fault
from state.model import AgentId, CallId, EdgeId, Entry, QueueId, RecordingWish

log = structlog.get_logger()

ANSWER_S: Final = 5.0
RETRY_S: Final = 0.5
AT_ONCE: Final = 16
"""Calls that the recorder is told of side by side: each waits for what the relay has to do."""
AGAIN_S: Final = 0.1
"""After which a recorder is asked again that had not written down what it was told."""
BEAT_S: Final = 5.0
"""So often it is asked whether it is there: one that stands still closes no connection."""
_BEAT: Final = {"cmd": "status"}
_LONGEST: Final = 64 * 1024
AWAY_S: Final = 10.0
"""So long a recorder may be away before calls that it was recording count as unrecorded."""
_LEAST_WAIT_S: Final = 0.1
_SOMEBODY: Final = "somebody"
"""In whose name a recording pauses that names nobody."""


class _Wanted(Struct, frozen=True, kw_only=True):
    """What the recorder is to do with a call."""

    queue: QueueId
    agent: AgentId | None
    """None: nobody is with the caller just now."""
    attempt: int
    since_s: float
    """When the first agent joined, on the event loop's clock."""
    held: bool = False


class RecorderLink:
    """The way to the recorder's socket."""

    is_there: Final = True

    def __init__(
        self,
        path: Path,
        *,
        edge: EdgeId,
        tenant_of: Callable[[QueueId], str],
        wish_of: Callable[[CallId], Entry[RecordingWish] | None],
        parts_keyed: Callable[[QueueId], bool] = lambda _: True,
    ) -> None:
        """`parts_keyed` tells of which queues' callers it is to be said that they key tones."""
        self._path = path
        self._edge = edge
        self._tenant_of = tenant_of
        self._wish_of = wish_of
        self._parts_keyed = parts_keyed
        self._wanted: dict[CallId, _Wanted] = {}
        self._todo: dict[CallId, object] = {}
        """Of which calls the recorder is to be told, with a mark that changes with what is new."""
        self._over: dict[CallId, object] = {}
        """The same of calls that it has only to stop: they wait behind those that go on. One that
        was away for an hour has missed some thousand."""
        self._awaited: dict[CallId, list[tuple[int, asyncio.Future[bool]]]] = {}
        """Who waits for the recorder to have carried out which wish."""
        self._confirmed: set[CallId] = set()
        self._keys = KeysTold(self._ask_apart, records=self.records, wish=wish_of)
        self._wake = asyncio.Event()
        self._is_failing = False
        self._away_since_s: float | None = None
        self.on_failed: Callable[[CallId, str], None] = _nobody
        """Is told of a call that cannot be recorded, and why."""
        self.on_silence: Callable[[CallId, bool], None] = _nobody
        """Is told, with each answer, whether the agent hears silence in the caller's place."""
        self._copied: dict[CallId, object] = {}
        """When copies were begun of each call, in the recorder's words."""
        self.on_copied: Callable[[CallId], None] = lambda _: None
        """Is told when copies have been begun of a call whose caller's tones it listens for."""
        self.refused = 0
        """Calls that the recorder would not, or could not, record."""

    def record(self, call: CallId, queue: QueueId, agent: AgentId, attempt: int) -> None:
        """Have the call recorded."""
        known = self._wanted.get(call)
        since_s = asyncio.get_running_loop().time() if known is None else known.since_s
        self._want(call, _Wanted(queue=queue, agent=agent, attempt=attempt, since_s=since_s))

    def hold(self, call: CallId, *, on: bool) -> None:
        """Say it, of a call that is recorded."""
        wanted = self._wanted.get(call)
        if wanted is not None:
            self._want(call, replace(wanted, held=on))

    def leave(self, call: CallId) -> None:
        """Say it, of a call that is recorded."""
        wanted = self._wanted.get(call)
        if wanted is not None:
            self._want(call, replace(wanted, agent=None, held=False))

    def stop(self, call: CallId) -> None:
        """Have it ended."""
        self._confirmed.discard(call)
        self._copied.pop(call, None)
        if self._wanted.pop(call, None) is not None:
            self._mark(call)

    def confirms(self, call: CallId) -> bool:
        """Tell whether the recorder has said that it records the call."""
        return call in self._confirmed

    async def await_key(self, call: CallId, key: str, within_s: float) -> bool:
        """Ask the recorder, which hears of keys from the relay; False: nobody could."""
        request = {
            "cmd": "await_key",
            "media": f"{self._edge}:{call}",
            "key": key,
            "s": max(within_s, _LEAST_WAIT_S),
        }
        answer = await self._ask_once(call, request, within_s + ANSWER_S)
        return answer.get("is_pressed") is True

    async def keyed_tones(self, seen: int, within_s: float) -> Mapping[str, object]:
        """Ask who keys tones, once that is something new. Raise OSError, EOFError, ValueError."""
        async with asyncio.timeout(within_s + ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST)
            try:
                request = {"cmd": "keyed_tones", "edge": self._edge, "seen": seen, "s": within_s}
                writer.write(json.dumps(request).encode() + b"\n")
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
        return answer if isinstance(answer, dict) else {}

    def key(self, call: CallId, party: Party, key: Key) -> None:
        """Say it, in the order in which keys are pressed."""
        self._keys.tell(call, party, key, f"{self._edge}:{call}")

    async def _ask_once(
        self, call: CallId, request: Mapping[str, object], within_s: float
    ) -> Mapping[str, object]:
        """Ask over a connection of its own; an empty answer: nobody could."""
        try:
            return await self._ask_apart(request, within_s)
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("recorder_not_asked", call=call, cmd=request["cmd"], **fault(error))
            return {}

    async def _ask_apart(
        self, request: Mapping[str, object], within_s: float = ANSWER_S
    ) -> Mapping[str, object]:
        """Ask over a connection of its own. Raise OSError, TimeoutError or ValueError."""
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
        return answer if isinstance(answer, dict) else {}

    def records(self, call: CallId) -> bool:
        """Tell whether a call is recorded, or is to be."""
        return call in self._wanted

    async def obey(self, call: CallId, wish: int) -> bool:
        """Return when the recorder has confirmed that a wish of this revision is carried out.

        True: it also keeps the caller from the agent's ears. Waits for as long as that takes: see
        to it that somebody gives up.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(call, []).append((wish, done))
        self._mark(call)
        try:
            return await done
        finally:
            waiting = [each for each in self._awaited.pop(call, ()) if each[1] is not done]
            if waiting:
                self._awaited[call] = waiting

    def _want(self, call: CallId, wanted: _Wanted) -> None:
        if self._wanted.get(call) != wanted:
            self._wanted[call] = wanted
            self._mark(call)

    def _mark(self, call: CallId) -> None:
        due, other = self._todo, self._over
        if call not in self._wanted:
            due, other = other, due
        other.pop(call, None)
        due[call] = object()
        self._wake.set()

    def _request(self, call: CallId) -> Mapping[str, object]:
        wanted = self._wanted.get(call)
        if wanted is None:
            return {"cmd": "stop", "call": call}
        wish = self._wish_of(call)
        pauses = wish is not None and wish.value.pause
        return {
            "cmd": "record",
            "call": call,
            "tenant": self._tenant_of(wanted.queue),
            "queue": wanted.queue,
            "agent": wanted.agent or "",
            "attempt": wanted.attempt,
            "held": wanted.held,
            "age_s": asyncio.get_running_loop().time() - wanted.since_s,
            "media": f"{self._edge}:{call}",
            "wish": 0 if wish is None else wish.mod_revision,
            "pause_by": (wish.value.by or _SOMEBODY) if wish is not None and pauses else "",
            "keyed": wish is not None and pauses and wish.value.keyed,
            "part_keyed": self._parts_keyed(wanted.queue),
        }

    async def run(self) -> None:
        """Tell the recorder until cancelled."""
        while True:
            try:
                await self._talk()
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                if not self._is_failing and (self._wanted or self._over):
                    log.warning("recorder_away", calls=len(self._wanted), **fault(error))
                    self._is_failing = True
                self._note_away()
            except Exception as error:  # noqa: BLE001 - no fault in recording may end an edge
                log.error("recorder_link_fault", **fault(error))  # noqa: TRY400 - one line
            await asyncio.sleep(RETRY_S)
            self._todo |= {call: object() for call in self._wanted if call not in self._todo}

    def _note_away(self) -> None:
        """Say of every call that it cannot be recorded, once the recorder is away for too long."""
        now_s = asyncio.get_running_loop().time()
        if self._away_since_s is None:
            self._away_since_s = now_s
        elif now_s - self._away_since_s >= AWAY_S:
            for call in tuple(self._wanted):
                self.on_failed(call, recorded.NO_RECORDER)

    async def _talk(self) -> None:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST)
        try:
            if self._away_since_s is not None:
                # One that stands still is connected to all the same: the kernel sees to that.
                await _ask(reader, writer, _BEAT)
                self._away_since_s = None
            while True:
                if due := self._due():
                    told = [self._tell(reader, writer, due[0]), *map(self._tell_apart, due[1:])]
                    # All of them, whatever becomes of one: each has a connection to itself.
                    for error in await asyncio.gather(*told, return_exceptions=True):
                        if isinstance(error, BaseException):
                            raise error
                    continue
                if not await self._rest(reader):
                    await _ask(reader, writer, _BEAT)
        finally:
            writer.close()

    def _due(self) -> tuple[CallId, ...]:
        """Return of which calls to tell now."""
        return tuple(itertools.islice(itertools.chain(self._todo, self._over), AT_ONCE))

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

    async def _tell_apart(self, call: CallId) -> None:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST)
        try:
            await self._tell(reader, writer, call)
        finally:
            writer.close()

    async def _tell(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: CallId
    ) -> None:
        mark, request = self._todo.get(call) or self._over.get(call), self._request(call)
        answer = await _ask(reader, writer, request)
        self._is_failing = False
        for due in (self._todo, self._over):
            if call in due and due[call] is mark:
                del due[call]
        if not answer.get("ok"):
            self.refused += 1
            log.error(
                "call_not_recorded", call=call, asked=request["cmd"], because=answer.get("error")
            )
            if call in self._wanted:
                self.on_failed(call, str(answer.get("because") or recorded.REFUSED))
            return
        if call in self._wanted:
            self.on_silence(call, answer.get("is_apart") is True)
            self._note_copies(call, answer.get("copied"))
        if answer.get("is_kept") is False:
            # Its disk is slow: it records by now, but a later life of it would know nothing of it.
            asyncio.get_running_loop().call_later(AGAIN_S, self._mark, call)
            return
        if call in self._wanted:
            self._confirmed.add(call)
        carried_out = answer.get("wish")
        for wish, done in self._awaited.get(call, ()):
            if isinstance(carried_out, int) and wish <= carried_out and not done.done():
                done.set_result(answer.get("is_apart") is True)

    def _note_copies(self, call: CallId, copied: object) -> None:
        is_new = bool(copied) and copied != self._copied.get(call)
        if is_new and self._parts_keyed(self._wanted[call].queue):
            self._copied[call] = copied
            self.on_copied(call)


def _nobody(_: CallId, __: object) -> None:
    """Nobody wants to know."""


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
