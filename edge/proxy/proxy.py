"""One site's Kamailio, as an edge sees it: told what to do, asked what is, listened to.

Owns keeping Kamailio in step: what was applied last is applied again, and the gate loaded, whenever
Kamailio comes (back) up. Knows nothing of where the rows come from.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path

import structlog

from edge.acd.token import Token
from edge.proxy import gate, tables
from edge.proxy.errors import ProxyError, ProxyRefusedError, ProxyUnreachableError
from edge.proxy.events import Connected, Disconnected, Event
from edge.proxy.gate import GateEntry, GateLoad
from edge.proxy.rpc import RpcClient
from edge.proxy.stream import EventStream
from edge.proxy.tables import Drop, Key, Put, Tables
from edge.proxy.tables_file import TablesFile
from state.model import AgentId, EdgeId
from state.pace import Pace
from state.wake import Wake

log = structlog.get_logger()

RETRY_S = 0.2
SETTLE_S = 15.0
"""How often the gate is compared with the offers that stand."""
GATE_OPENS_S = 0.5
"""How long a loaded gate may take to open before it is loaded again."""
AFTER_LOAD_S = 1.0
"""How long after a load it is compared the first time."""
ASKED_TOGETHER = 64
"""Agents who are asked after at once, where they do not fit into one answer."""
EVENTS_KEPT = 10_000
"""Beyond this many unread events the oldest go: `registered()` makes up for them."""


class Proxy:
    """`run` keeps Kamailio in step until cancelled; everything else may be called meanwhile."""

    def __init__(  # noqa: PLR0913 - the ways to Kamailio, and what it has to know
        self,
        *,
        edge: EdgeId,
        rpc_socket: Path,
        evapi: tuple[str, int],
        tables_file: Path,
        standing: Callable[[], Awaitable[GateLoad | None]],
        to_load: Callable[[], Awaitable[GateLoad]],
    ) -> None:
        """`standing` returns the offers that stand, None while nobody knows of all of them.

        `to_load` returns what a gate that was shut has to know. Raises ProxyError: it stays shut.
        """
        self._rpc = RpcClient(rpc_socket)
        self._file = TablesFile(tables_file, edge)
        self._edge = edge
        self._standing = standing
        self._to_load = to_load
        self._stream = EventStream(address=evapi, name=edge, on_event=self._note)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._wanted: Tables | None = None
        self._rows: dict[Key, str] = {}
        """The rows of `_wanted`."""
        self._is_told = False
        """Whether Kamailio has all of them, as far as we know."""
        self._told: dict[Key, str] | None = None
        """What Kamailio has, as far as we know; None: it is new to us."""
        self._may_have: set[Key] = set()
        """What it may have been told before it was new to us, wanted or not."""
        self._life = 0
        """Changes whenever Kamailio comes or goes."""
        self._out_of_step = asyncio.Event()
        self._gate_opened = Wake()
        self._is_gate_known_open = False
        self._telling = asyncio.Lock()

    # -- telling

    async def apply(self, wanted: Tables) -> None:
        """Make Kamailio's tables these, now or as soon as it is there; and soon tables.json too."""
        if wanted == self._wanted:
            return
        if self._wanted is None:
            # By a former life of ours, whose file is about to be replaced.
            self._may_have |= self._file.rows().keys()
        self._wanted, self._rows, self._is_told = wanted, tables.rows(wanted), False
        self._file.want(wanted)
        if not self._stream.is_connected:
            return  # to be told everything as soon as it is there
        try:
            await self._tell()
        except ProxyError as error:
            log.warning("proxy_not_told", error=str(error))
            self._out_of_step.set()

    def doubt(self) -> None:
        """Look soon what Kamailio has: somebody else may have told it otherwise, and is gone."""
        self._forget_told()
        self._out_of_step.set()

    async def free_gate(self, agent: AgentId, token: Token) -> None:
        """Free the agent's gate if that token still holds it.

        For offers that are gone and whose edge is too: else BYE and CANCEL do it. Safe to repeat.
        """
        self._stream.say(gate.free_message(agent, token))

    def say_room(self, sip: str, calls: int) -> None:
        """Say how many calls the edge at `sip` may have unanswered at once, until told again."""
        self._stream.say({"do": "headroom", "edge": sip, "calls": calls})

    async def sign_out(self, agent: AgentId) -> None:
        """Take away the agent's phone, if it is registered. Raises ProxyError."""
        await self._rpc.call("ul.rm", "location", agent)

    # -- asking

    async def registered(self) -> frozenset[AgentId]:
        """Return the agents whose phones are registered here. Raises ProxyError."""
        try:
            return _aors(await self._rpc.call("ul.dump", "brief"))
        except ProxyRefusedError:
            raise
        except ProxyError:
            # Too many for one datagram, or Kamailio is away: the next call tells which, and if
            # nobody is known yet of whom to ask, nothing is known of who is registered.
            known = list(self._wanted.ha1) if self._wanted else []
            if not known:
                raise
            return frozenset([agent async for agent in self._registered_of(known)])

    async def _registered_of(self, known: Sequence[AgentId]) -> AsyncIterator[AgentId]:
        """Yield those of `known` who are; no more are asked after once one gets no answer."""
        for at in range(0, len(known), ASKED_TOGETHER):
            some = known[at : at + ASKED_TOGETHER]
            found = await asyncio.gather(*(self._is_registered(agent) for agent in some))
            for agent, is_here in zip(some, found, strict=True):
                if is_here:
                    yield agent

    async def gate_of(self, agent: AgentId) -> GateEntry | None:
        """Return what the gate knows of the agent; None: nothing. Raises ProxyError."""
        text = await self._get("gate", agent)
        return None if text is None else gate.parse_entry(text)

    async def is_gate_open(self) -> bool:
        """Whether the gate was loaded since Kamailio's start. Raises ProxyError."""
        return await self._get("meta", "gate_loaded") is not None

    async def load_gate(self, load: GateLoad) -> None:
        """Load the gate after a restart, unless an edge has done so already. Raises ProxyError.

        `run` does it by itself.
        """
        life = self._life
        for message in gate.load_messages(load, secrets.token_hex(8)):
            self._stream.say(message)
            # One at a time: evapi throws away what it reads in awkward pieces.
            await asyncio.sleep(0)
        until_s = asyncio.get_running_loop().time() + GATE_OPENS_S
        while asyncio.get_running_loop().time() < until_s:
            if await self.is_gate_open():
                return
            if life != self._life:
                break
            await asyncio.sleep(GATE_OPENS_S / 10)
        raise ProxyUnreachableError("the gate did not open after it was loaded: tried again soon")

    # -- listening

    async def events(self) -> AsyncIterator[Event]:
        """Yield what Kamailio tells, for ever. One reader."""
        while True:
            yield await self._events.get()

    @property
    def is_connected(self) -> bool:
        """Whether Kamailio was there when last heard of."""
        return self._stream.is_connected

    @property
    def is_in_step(self) -> bool:
        """Whether Kamailio is there, has all that it was to be told, and its gate is open."""
        return self._is_gate_known_open and self._is_told

    # -- keeping in step

    async def run(self) -> None:
        """Keep the connection, tables, their file and the gate, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stream.run())
                group.create_task(self._keep_in_step())
                group.create_task(self._keep_gate_settled())
                group.create_task(self._file.run())
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the RPC socket; `run` does so at its end."""
        self._rpc.close()

    def _note(self, event: Event) -> None:
        if isinstance(event, Connected | Disconnected):
            # What we told was told to a former life; the next knows no more than tables.json.
            self._forget_told()
            self._is_gate_known_open = False
            self._life += 1
            self._out_of_step.set()
        if self._events.qsize() >= EVENTS_KEPT:
            self._events.get_nowait()
        self._events.put_nowait(event)

    def _forget_told(self) -> None:
        self._may_have |= (self._told or {}).keys()
        self._told, self._is_told = None, False

    async def _keep_in_step(self) -> None:
        while True:
            await self._out_of_step.wait()
            self._out_of_step.clear()
            try:
                if self._stream.is_connected:
                    await self._tell()
                    await self._ensure_gate()
                    self._is_gate_known_open = True
                    continue
            except ProxyError as error:
                log.warning("proxy_not_in_step", error=str(error))
            self._out_of_step.set()
            await asyncio.sleep(RETRY_S)

    async def _ensure_gate(self) -> None:
        if await self.is_gate_open():
            return
        life = self._life
        load = await self._to_load()
        if life != self._life:
            # Another edge may have loaded the gate meanwhile, and it may have let offers through.
            raise ProxyUnreachableError("Kamailio was started anew while its gate was prepared")
        await self.load_gate(load)
        self._gate_opened.set()
        log.info("gate_loaded", edge=self._edge, offers=len(load.offers), floor=str(load.floor))

    async def _keep_gate_settled(self) -> None:
        loop, pace = asyncio.get_running_loop(), Pace(SETTLE_S)
        while True:
            if await self._gate_opened.wait(pace.pause_s):
                # An offer that stood when the gate was loaded may have been refused just before,
                # by the gate that was still shut: no BYE or CANCEL will ever free it.
                await asyncio.sleep(AFTER_LOAD_S)
            began_s = loop.time()
            with contextlib.suppress(ProxyError):
                await self.settle_gate()
            pace.took(loop.time() - began_s)

    async def settle_gate(
        self, agents: Collection[AgentId] | None = None
    ) -> frozenset[AgentId] | None:
        """Free the gates that hold agents for offers that are gone; return whose.

        None: nobody knows now which offers stand. `run` does it from time to time for all;
        `agents`: only of these. Raises ProxyError.
        """
        standing = await self._standing()
        if standing is None:
            return None
        stuck: dict[AgentId, gate.GateEntry] = {}
        homed = self._wanted.home if self._wanted else {}
        for agent in homed if agents is None else homed.keys() & set(agents):
            entry = await self.gate_of(agent)
            if entry is not None and gate.is_stuck(agent, entry, standing):
                stuck[agent] = entry
        if stuck and standing.by_word is not None:
            standing = await self._standing()
            if standing is None:
                return None
            stuck = {a: each for a, each in stuck.items() if gate.is_stuck(a, each, standing)}
        for agent, entry in stuck.items():
            log.warning("gate_stuck", agent=agent, token=str(entry.token), state=entry.state)
            await self.free_gate(agent, entry.token)
        return frozenset(stuck)

    async def _tell(self) -> None:
        async with self._telling:
            if self._wanted is None:
                return
            told = self._told
            if told is None:
                life = self._life
                told = await self._read()
                if life != self._life:
                    raise ProxyUnreachableError("Kamailio was started anew while it was read")
                self._told = told
            wanted = self._rows
            for change in tables.changes(told, wanted):
                # Until there is an answer nobody knows what it has there: no value is empty.
                told[change.table, change.key] = ""
                await self._do(change)
                match change:
                    case Put(table=table, key=key, value=value):
                        told[table, key] = value
                    case Drop(table=table, key=key):
                        del told[table, key]
            # Kamailio may have gone meanwhile, or something else have been asked for.
            self._is_told = told is self._told and wanted is self._rows
            if self._is_told:
                self._may_have.clear()

    async def _do(self, change: Put | Drop) -> None:
        match change:
            case Put(table=table, key=key, value=value):
                await self._rpc.call("htable.sets", table, key, value)
            case Drop(table=table, key=key):
                try:
                    await self._rpc.call("htable.delete", table, key)
                except ProxyRefusedError as gone:
                    if gone.code != NOT_FOUND:
                        raise

    async def _read(self) -> dict[Key, str]:
        """Return what Kamailio has now: what an edge of an earlier life told it must go too."""
        found: dict[Key, str] = {}
        for table in tables.OWNED:
            try:
                found |= tables.dumped(table, await self._rpc.call("htable.dump", table))
            except ProxyRefusedError:
                raise
            except ProxyError:
                # Too big for a datagram, or Kamailio is away and the next call says so.
                may_have = self._may_have | self._file.rows().keys()
                found |= {key: "" for key in may_have if key[0] == table}
        for name in ("tables", "epoch", "draining"):
            value = await self._get("meta", name)
            if value is not None:
                found["meta", name] = value
        return found

    async def _get(self, table: str, key: str) -> str | None:
        try:
            answer = await self._rpc.call("htable.get", table, key)
        except ProxyRefusedError as missing:
            if missing.code == NO_SUCH_KEY:
                return None
            raise
        return str(answer["item"]["value"])

    async def _is_registered(self, agent: AgentId) -> bool:
        try:
            await self._rpc.call("ul.lookup", "location", agent)
        except ProxyRefusedError as missing:
            if missing.code in {NOT_FOUND, NO_SUCH_KEY}:
                return False
            raise
        return True


NOT_FOUND = 404
NO_SUCH_KEY = 500
"""What htable.get says of a key that is not there, and ul.lookup of an agent."""


def _aors(dump: dict[str, list[dict[str, dict[str, list[dict[str, str]]]]]]) -> frozenset[AgentId]:
    return frozenset(
        AgentId(entry["AoR"]) for domain in dump["Domains"] for entry in domain["Domain"]["AoRs"]
    )
