"""Edges without sockets, on one store in memory, and people whom a test moves by hand."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from edge import former_life
from edge.acd.heirs import Earlier
from edge.calls.callbacks import Callbacks
from edge.calls.hearing import Hearing
from edge.calls.journal import Journal, Left
from edge.calls.leg_watch import LegWatch
from edge.calls.places import PlaceGiver
from edge.calls.records import Written
from edge.calls.ringing import Ringing
from edge.calls.switchboard import Switchboard
from edge.calls.telephony import Telephony
from edge.calls.transfers import Transfers
from edge.duties.debts import Debts
from edge.duties.janitor import Janitor
from edge.duties.life import Life
from edge.duties.media_watch import MediaWatch
from edge.keyed_tones import KeyedTones
from edge.media.direct import DirectMedia
from edge.media.errors import MediaError, MediaUnavailable, UnknownCall
from edge.media.plan import AGENT, CALLER, Party
from edge.media.sdp import at_discard_port
from edge.reserve import Reserver
from edge.settings import Settings
from edge.sip.events import LegId
from edge.sip.keys import Key
from edge.waiting import WaitingCall
from state import keys
from state.codec import Record, decode, encode
from state.errors import OutcomeUnknownError, RejectedError, UnavailableError
from state.keys import Kind
from state.memory import MemoryStore
from state.mirror import Mirror, MirrorSettings, MirrorState
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    Did,
    DidNumber,
    EdgeId,
    Now,
    Offer,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Ticket,
)
from state.snapshot import Delta, Snapshot
from state.store import Compare, LeaseId, Operation, Put, RangeResult, TxnResult, WatchBatch
from tests.edge.fake_telephony import CALLER_SDP, FakeTelephony
from tests.edge.virtual_time import WALL_MS, LoopClock, settle, until

SALES, GREETED, NOWHERE = DidNumber("15550001"), DidNumber("15550002"), DidNumber("15550003")
TALKING = SkillId("talking")
RING_S, WRAP_UP_S, PAUSE_S = 3.0, 0.5, 0.5


class TroubledStore:
    """One edge's way to the store, which can go wrong in every way that the contract names."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.is_away = False
        self.loses_requests = 0
        """So many transactions are not done, and nobody knows."""
        self.loses_answers = 0
        """So many transactions are done, and nobody knows."""
        self.rejects = 0
        """So many transactions are rejected."""
        self.latency_s = 0.0
        self.watch_latency_s = 0.0
        self.loses_events_of = ""
        """The watch loses what happens to keys in which this stands; empty: none."""
        self.txns = 0
        self.patience_s: list[float] = []
        """Of each transaction, how long it might wait for others."""

    def _ask(self) -> None:
        if self.is_away:
            raise UnavailableError("the store is away")

    async def range(  # noqa: PLR0913 - the Store's own
        self,
        key: str,
        *,
        prefix: bool = False,
        after: str = "",
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> RangeResult:
        """Read, unless away."""
        self._ask()
        return await self.inner.range(
            key, prefix=prefix, after=after, revision=revision, limit=limit, keys_only=keys_only
        )

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do, unless in trouble."""
        await asyncio.sleep(self.latency_s)
        self._ask()
        self.txns += 1
        self.patience_s.append(patience_s)
        if self.rejects:
            self.rejects -= 1
            raise RejectedError("too many operations")
        if self.loses_requests:
            self.loses_requests -= 1
            raise OutcomeUnknownError("no answer")
        result = await self.inner.txn(compares, success, failure, patience_s=patience_s)
        if self.loses_answers:
            self.loses_answers -= 1
            raise OutcomeUnknownError("no answer")
        await asyncio.sleep(self.latency_s)
        return result

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what happens, until away."""
        self._ask()
        async with aclosing(self.inner.watch(prefix, from_revision)) as batches:
            async for batch in batches:
                self._ask()
                await asyncio.sleep(self.watch_latency_s)
                lost = self.loses_events_of
                kept = tuple(each for each in batch.changes if not lost or lost not in each.key)
                yield replace(batch, changes=kept)

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Grant a lease, unless away."""
        self._ask()
        return await self.inner.lease_grant(ttl_s)

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Keep a lease, unless away."""
        self._ask()
        return await self.inner.lease_keepalive(lease)

    async def lease_revoke(self, lease: LeaseId) -> None:
        """End a lease, unless away."""
        self._ask()
        await self.inner.lease_revoke(lease)

    async def close(self) -> None:
        """Do nothing."""


class TroubledMedia(DirectMedia):
    """A relay that fails when told to, and plays greetings of a second."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_with: dict[str, Exception] = {}
        """Step -> what it raises, once."""
        self.is_dead = False
        self.delay_s = 0.0
        self.offers: list[tuple[str, bytes]] = []
        self.released: list[str] = []
        self.packets = 0
        """Had of the agent of every call."""
        self.silences: list[bool] = []
        self.held_back: list[str] = []
        """Calls of which that was said; the agent's description has to be said after it."""
        self.silent: set[str] = set()
        """Calls in whose caller's place the agent hears silence."""
        self.agents: dict[str, bytes] = {}
        """Of each call, where the relay sends what the caller says: the agent's description."""
        self.lost_answers: set[str] = set()
        """Steps that are done once, and whose answer is lost."""

    async def silence_caller(self, call: str, *, on: bool) -> None:
        await self._step("silence_caller")
        self.silences.append(on)
        (self.silent.add if on else self.silent.discard)(call)

    async def part(self, call: str, agent_sdp: bytes, *, on: bool) -> None:
        await self._step("part")
        if call not in self.agents:
            raise UnknownCall(f"call {call} has no agent here")
        self.agents[call] = at_discard_port(agent_sdp) if on else agent_sdp
        if "part" in self.lost_answers:
            self.lost_answers.remove("part")
            raise MediaUnavailable("the relay gave no answer")

    async def drop_agent(self, call: str) -> None:
        self.agents.pop(call, None)

    async def hold_back(self, call: str) -> None:
        await self._step("hold_back")
        self.held_back.append(call)

    async def _step(self, step: str) -> None:
        await asyncio.sleep(self.delay_s)
        if self.is_dead:
            raise MediaUnavailable("the relay gave no answer")
        fault = self.fails_with.pop(step, None)
        if fault is not None:
            raise fault

    async def hold_caller(self, call: str, caller_sdp: bytes, *, is_new: bool = False) -> bytes:
        await self._step("hold_caller")
        self.offers.append(("hold_caller", caller_sdp))
        self.agents.pop(call, None)  # the caller's audio goes to the queue
        return await super().hold_caller(call, caller_sdp, is_new=is_new)

    async def offer_caller(self, call: str) -> bytes:
        await self._step("offer_caller")
        return await super().offer_caller(call)

    async def caller_answered(self, call: str, caller_sdp: bytes) -> None:
        await self._step("caller_answered")
        await super().caller_answered(call, caller_sdp)

    async def play(
        self, call: str, file: Path, *, times: int = 1, listener: Party = CALLER
    ) -> float:
        await self._step("play")
        await super().play(call, file, times=times, listener=listener)
        return 1.0 if times == 1 else 0.0

    async def offer_to_agent(self, call: str, caller_sdp: bytes, *, agent: Party = AGENT) -> bytes:
        await self._step("offer_to_agent")
        return await super().offer_to_agent(call, caller_sdp, agent=agent)

    async def join(self, call: str, agent_sdp: bytes, *, agent: Party = AGENT) -> bytes:
        await self._step("join")
        self.agents[call] = agent_sdp
        return await super().join(call, agent_sdp, agent=agent)

    async def relay_offer(self, call: str, sender: Party, receiver: Party, sdp: bytes) -> bytes:
        await self._step("relay_offer")
        self.offers.append((str(sender), sdp))
        if sender == AGENT:
            self.agents[call] = sdp
        return await super().relay_offer(call, sender, receiver, sdp)

    async def relay_answer(self, call: str, offerer: Party, answerer: Party, sdp: bytes) -> bytes:
        await self._step("relay_answer")
        if answerer == AGENT:
            self.agents[call] = sdp
        return await super().relay_answer(call, offerer, answerer, sdp)

    async def release(self, call: str) -> None:
        self.released.append(call)
        await self._step("release")
        self.agents.pop(call, None)
        self.silent.discard(call)
        await super().release(call)

    async def packets_from(self, call: str) -> Mapping[Party, int] | None:
        await self._step("packets_from")
        known = await super().packets_from(call)
        return known if known is None else {AGENT: self.packets}

    async def has(self, call: str) -> bool:
        await self._step("has")
        return await super().has(call)


class Notes:
    """What an edge has said to its recorder."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self._held: set[CallId] = set()
        self.is_there = True
        self.is_up = True
        self.pressed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._keying: frozenset[CallId] = frozenset()
        self._version = 1
        self._news = asyncio.Event()

    def record(self, call: CallId, queue: QueueId, agent: AgentId, attempt: int) -> None:
        """Note it."""
        self.said.append(("record", call, queue, agent, str(attempt)))

    def hold(self, call: CallId, *, on: bool) -> None:
        """Note it, if it is news."""
        if on is not (call in self._held):
            self._held ^= {call}
            self.said.append(("hold" if on else "resume", call))

    def leave(self, call: CallId) -> None:
        """Note it."""
        self._held.discard(call)
        self.said.append(("leave", call))

    def stop(self, call: CallId) -> None:
        """Note it."""
        self.said.append(("stop", call))

    def confirms(self, call: CallId) -> bool:
        """Say that all is well, unless the test wants otherwise."""
        return self.is_up and any(each[:2] == ("record", call) for each in self.said)

    def key(self, call: CallId, party: Party, key: Key) -> None:
        """Note it."""
        self.said.append(("key", call, party, key.key))

    def hears_tones(self, *calls: CallId) -> None:
        """Let these callers key tones, and nobody else."""
        self._keying, self._version = frozenset(calls), self._version + 1
        self._wake()

    def go(self, *, away: bool) -> None:
        """Let it be away, or come back."""
        self.is_up = not away
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def keyed_tones(self, seen: int, within_s: float) -> Mapping[str, object]:
        """Say whose callers key tones, once that is news."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.is_up and seen == self._version:
                    await self._news.wait()
        if not self.is_up:
            raise ConnectionError("the recorder has gone")
        return {"seen": self._version, "calls": sorted(self._keying)}

    async def await_key(self, call: CallId, key: str, within_s: float) -> bool:
        """Let the caller press what the test wants, when it wants."""
        self.said.append(("await", call, key))
        try:
            async with asyncio.timeout(within_s):
                return await self.pressed == key
        except TimeoutError:
            return False


class Edge:
    """One edge, all of it but Kamailio and the sockets."""

    def __init__(
        self,
        name: str,
        store: MemoryStore,
        journal: Journal | None = None,
        telephony: Telephony | None = None,
        media: TroubledMedia | None = None,
    ) -> None:
        self.name = EdgeId(name)
        site = SiteId(name[0])
        clock = LoopClock()
        self.store = TroubledStore(store)
        self.media = media or TroubledMedia()
        self.unreachable: frozenset[SiteId] = frozenset()
        self.mirror = Mirror(self.store, clock, settings=MirrorSettings(check_every_s=3.0))
        self.sip = FakeTelephony(self._take)
        speaks = telephony or self.sip
        self.settings = Settings(
            edge=self.name,
            site=site,
            sip=f"198.18.1.10:{5080 + int(name[1])}",
            kamailio_rpc=Path("rpc"),
            evapi="127.0.0.1:8448",
            ng="direct",
            etcd=("198.18.1.10:2379",),
            run_dir=Path("run"),
            command_socket=Path("edge.sock"),
        )
        tokens = itertools.count(1)
        self.recorder = Notes()
        # One that was never opened writes nothing.
        self.journal = journal or Journal(Path("journal"))
        self.left = Left() if journal is None else former_life.read(journal, self.sip)
        self.debts = Debts(
            edge=self.name,
            clock=clock,
            store=self.store,
            snapshot=lambda: self.mirror.snapshot,
            is_current=lambda: self.mirror.state is MirrorState.LIVE,
            journal=self.journal,
            owed=self.left.owed,
        )
        self._paying: asyncio.Task[None] | None = None
        self.switchboard = Switchboard(
            settings=self.settings,
            clock=clock,
            store=self.store,
            sip=speaks,
            media=self.media,
            ringing=Ringing(
                sip=speaks,
                snapshot=lambda: self.mirror.snapshot,
                token=lambda: f"{next(tokens):04x}",
            ),
            snapshot=lambda: self.mirror.snapshot,
            journal=self.journal,
            recorder=self.recorder,
            line=self,
            transfers=Transfers(
                settings=self.settings,
                clock=clock,
                snapshot=lambda: self.mirror.snapshot,
                unreachable=lambda: self.unreachable,
                alone=lambda: None,
            ),
        )
        self.hearing = Hearing(self.switchboard)
        self.keyed_tones = KeyedTones(
            ask=self.recorder.keyed_tones, part=self.hearing.part, apart=self.hearing.apart
        )
        self.callbacks = Callbacks(
            settings=self.settings,
            clock=clock,
            store=self.store,
            sip=self.sip,
            media=self.media,
            snapshot=lambda: self.mirror.snapshot,
            switchboard=self.switchboard,
            is_alone=lambda: False,
            line=self,
        )
        self.reserver = Reserver(
            edge=self.name,
            clock=clock,
            snapshot=lambda: self.mirror.snapshot,
            unreachable=lambda: self.unreachable,
            call=lambda call: self.switchboard.call(call) or self.callbacks.call(call),
            is_current=lambda: self.mirror.state is MirrorState.LIVE,
            proof_age_s=lambda: self.mirror.age_s,
        )
        self.cleared: list[EdgeId] = []
        self.janitor = Janitor(
            store=self.store,
            clock=clock,
            mirror=self.mirror,
            edge=self.name,
            holds=lambda call: (
                self.switchboard.holds(call) or self.callbacks.holds(call) or self.debts.owes(call)
            ),
            on_dead=self._edge_died,
            is_alone=lambda: self.is_alone,
        )
        self.life = Life(
            store=self.store, clock=clock, edge=self.name, site=site, sip=self.settings.sip
        )
        self.watch = MediaWatch(
            relay=self.media,
            calls=self.switchboard.with_media,
            on_lost=self.switchboard.media_lost,
        )
        self.leg_watch = LegWatch(
            relay=self.media,
            clock=clock,
            calls=self.switchboard.held,
            unreachable=lambda: self.unreachable,
        )
        self.places = PlaceGiver(
            snapshot=lambda: self.mirror.snapshot, calls=self.switchboard.waiting
        )
        self.mirror.subscribe(self._changed)
        self.is_deaf = False
        self.is_alone = False
        self._tasks: list[asyncio.Task[None]] = []

    def _take(self, event: object) -> None:
        if self.is_deaf or self.callbacks.take(event):  # type: ignore[arg-type]  # an Event
            return
        self.switchboard.take(event)  # type: ignore[arg-type]  # what the fake makes is an Event

    def waits(self, call: CallId) -> None:
        """See to a call that has begun to wait."""
        self.reserver.waits(call)
        self.places.wake()

    def gone(self, call: CallId) -> None:
        """Forget a call that is over."""
        self.reserver.gone(call)

    def earlier(self, caller: str, did: DidNumber) -> Earlier:
        """Return what there is at other edges of a caller."""
        return self.reserver.earlier(caller, did)

    async def enter(self, call: WaitingCall, ticket: Ticket, at: Now) -> Written:
        """Let a call that has just come into the line."""
        return await self.reserver.enter(call, ticket, at)

    async def _edge_died(self, edge: EdgeId) -> None:
        if edge not in self.cleared:
            self.cleared.append(edge)

    def _changed(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        self.reserver.take(snapshot, deltas)
        self.reserver.wake()
        if snapshot.places:
            self.places.wake()
        for delta in deltas:
            if delta.kind is Kind.EDGE and delta.after is not None and delta.id in self.cleared:
                self.cleared.remove(EdgeId(delta.id))
            self.switchboard.take_delta(delta)
            self.callbacks.take_delta(delta)

    async def start(self) -> None:
        """Live."""
        self._tasks = [
            asyncio.create_task(part)
            for part in (
                self.mirror.run(),
                self.reserver.run(),
                self.janitor.run(),
                self.life.run(self.reserver.wake),
                self.watch.run(),
                self.leg_watch.run(),
                self.places.run(),
                self.callbacks.run(),
                self.keyed_tones.run(),
            )
        ]
        self._paying = asyncio.create_task(self.debts.run())
        await until(lambda: self._lives() or bool(self.dead_parts()), f"{self.name} lives")
        assert not self.dead_parts()

    def _lives(self) -> bool:
        return self.name in self.mirror.snapshot.edges

    async def kill(self) -> None:
        """Die without a word."""
        self.is_deaf = True
        self.store.is_away = True
        self.journal.close()
        if self._paying is not None:
            self._paying.cancel()
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError), ended
        self._tasks = []

    def dead_parts(self) -> list[object]:
        """Return what ended the parts that no longer run."""
        return [task.exception() or "it ended" for task in self._tasks if task.done()]

    # -- calls

    @property
    def snapshot(self) -> Snapshot:
        """What it knows."""
        return self.mirror.snapshot

    def state_of(self, leg: LegId) -> str:
        """Return the state of the call of a caller's leg; `gone` when it is held no more."""
        held = self.sip.open.get(leg) or self.sip.over[leg]
        call = self.switchboard.call(keys.call_id_for(held.sip_call_id, "theirs"))
        return "gone" if call is None else call.state

    async def waiting(self, number: str = SALES, **how: str) -> LegId:
        """Bring a caller as far as the music."""
        leg = self.sip.arrive(number, **how)  # type: ignore[arg-type]  # some of them are texts
        await until(lambda: self.state_of(leg) not in {"new", "arriving"}, "answered")
        self.sip.acknowledge(leg)
        return leg

    async def rung(self, agent: str) -> LegId:
        """Wait until an agent is being rung by this edge."""
        await until(lambda: bool(self.sip.rung(agent)), f"{agent} is rung by {self.name}")
        return self.sip.rung(agent)[0]

    async def talking(self, agent: str = "ann") -> tuple[LegId, LegId]:
        """Bring a caller and an agent together."""
        theirs = await self.waiting()
        ours = await self.rung(agent)
        self.sip.pick_up(ours)
        await until(lambda: self.sip.open[theirs].our_offer is not None, "the caller is re-invited")
        self.sip.answer_ours(theirs)
        assert self.state_of(theirs) == "connected"
        return theirs, ours


class Center:
    """A store, a configuration, edges."""

    def __init__(self) -> None:
        self.store = MemoryStore(LoopClock())
        self.edges: dict[str, Edge] = {}

    async def put(self, key: str, record: Record | bytes) -> None:
        """Write a record as its writer would."""
        value = record if isinstance(record, bytes) else encode(record)
        await self.store.txn((), (Put(key=key, value=value),))

    async def edge(self, name: str, run_dir: Path | None = None) -> Edge:
        """Start an edge; with `run_dir`, by the journal there, if an earlier life has left one.

        Then the relay is the one that it had.
        """
        journal = None if run_dir is None else Journal(run_dir / f"journal-{name}")
        before = None if run_dir is None else self.edges.get(name)
        media = None if before is None else before.media
        made = self.edges[name] = Edge(name, self.store, journal, media=media)
        await former_life.release_media(made.media, made.left.calls.keys())
        await made.start()
        return made

    async def configure(self) -> None:
        """Publish two queues and three numbers, of which one leads nowhere."""
        for number, site in enumerate("ab", start=1):
            await self.put(
                keys.site(SiteId(site)),
                Site(id=SiteId(site), name=site, sip=f"198.18.{number}.10:5060"),
            )
        for name, greeting in (("sales", None), ("greeted", "hello")):
            await self.put(
                keys.queue(QueueId(name)),
                Queue(
                    id=QueueId(name),
                    needs=(SkillNeed(skill=TALKING, level=3),),
                    greeting=greeting,
                    ring_timeout_s=RING_S,
                    wrap_up_s=WRAP_UP_S,
                    no_answer_pause_s=PAUSE_S,
                ),
            )
        for number_, queue in ((SALES, "sales"), (GREETED, "greeted"), (NOWHERE, "nowhere")):
            await self.put(keys.did(number_), Did(number=number_, queue=QueueId(queue)))

    async def agent(self, name: str, *, site: str = "a") -> None:
        """Let an agent be there and ready."""
        agent, home = AgentId(name), SiteId(site)
        await self.put(
            keys.agent(agent), Agent(id=agent, name=name, site=home, skills={TALKING: 5})
        )
        await self.presence(name, PresenceState.READY, site=site)

    async def presence(self, name: str, state: PresenceState, *, site: str = "a") -> None:
        """Say what an agent's home site says."""
        agent = AgentId(name)
        await self.put(
            keys.presence(agent),
            Presence(agent=agent, site=SiteId(site), state=state, since_ms=WALL_MS),
        )

    # -- taking stock

    async def _all(self, kind: Kind, cls: type[Record]) -> list[Record]:
        listed = await self.store.range(f"{keys.ROOT}{kind.value}/", prefix=True)
        return [decode(cls, each.value, each.key) for each in listed.records]

    async def tickets(self) -> list[Ticket]:
        """Return the places taken."""
        return [each for each in await self._all(Kind.TICKET, Ticket) if isinstance(each, Ticket)]

    async def offers(self) -> list[Offer]:
        """Return who is given to whom."""
        return [each for each in await self._all(Kind.OFFER, Offer) if isinstance(each, Offer)]

    async def records(self) -> dict[CallId, CallRecord]:
        """Return the ledger."""
        found = await self._all(Kind.ENDED, CallRecord)
        return {each.call: each for each in found if isinstance(each, CallRecord)}

    async def record(self, edge: Edge, leg: LegId) -> CallRecord:
        """Return the record of a caller's call, when it is written."""
        held = edge.sip.open.get(leg) or edge.sip.over[leg]
        call = keys.call_id_for(held.sip_call_id, "theirs")
        for _ in range(10_000):
            found = (await self.records()).get(call)
            if found is not None:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"no record of {call}")

    async def left(self) -> list[str]:
        """Name whatever is left of any call."""
        found = [f"ticket {each.call} {each.state}" for each in await self.tickets()]
        found += [f"offer of {each.agent}" for each in await self.offers()]
        for edge in self.edges.values():
            if edge.is_deaf:
                continue
            board = edge.switchboard
            found += [f"{edge.name}: calls {board.states()}"] if board.states() else []
            backs = edge.callbacks.stages()
            found += [f"{edge.name}: callbacks {backs}"] if backs else []
            found += [f"{edge.name}: leg {each}" for each in edge.sip.open.values()]
            found += [f"{edge.name}: media {each}" for each in await edge.media.calls()]
            found += [f"{edge.name}: {word}" for word in leaks(edge)]
        return found

    async def nothing_is_left(self, *, within_s: float = 30.0) -> None:
        """Wait until nothing is."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + within_s
        while found := await self.left():
            assert loop.time() < ends_s, found
            await asyncio.sleep(0.05)


async def everybody_leaves(made: Center) -> None:
    """Let everybody hang up; nothing may be left."""
    for _ in range(4):
        for edge in made.edges.values():
            for leg in list(edge.sip.open):
                edge.sip.hang_up(leg)
                edge.sip.decline(leg)
        await settle()
    await made.nothing_is_left()


def leaks(edge: Edge) -> list[str]:
    """Name the books of an edge that are not empty though they should be when no call is held."""
    # White-box on purpose: what is kept of calls that are over is memory that never comes back.
    roles = edge.switchboard._roles  # noqa: SLF001 - see above
    books = {
        "legs": roles._roles,  # noqa: SLF001 - see above
        "legs of calls": roles._legs_of,  # noqa: SLF001
        "legs beside calls": roles._listeners,  # noqa: SLF001
        "reservations asked": edge.reserver._asked,  # noqa: SLF001
        "calls held back": edge.reserver._not_before,  # noqa: SLF001
        "calls waiting": edge.reserver._waiters.ours,  # noqa: SLF001
        "calls unseen": edge.reserver._waiters._unseen,  # noqa: SLF001
        "calls coming": edge.reserver._waiters._coming,  # noqa: SLF001
    }
    return [f"{name}: {book}" for name, book in books.items() if book]


@asynccontextmanager
async def center(*agents: str, edges: Sequence[str] = ("a1",)) -> AsyncIterator[Center]:
    """Run a center with these agents ready at site a."""
    made = Center()
    await made.configure()
    for name in agents:
        await made.agent(name)
    for name in edges:
        await made.edge(name)
    # An edge that has just begun does not know yet how often callers come to the others.
    await asyncio.sleep(1.0)
    try:
        yield made
        for edge in made.edges.values():
            assert not edge.dead_parts()
    finally:
        for edge in made.edges.values():
            await edge.kill()


UNAVAILABLE: MediaError = MediaUnavailable("the relay gave no answer")
__all__ = ["CALLER_SDP", "Center", "Edge", "center", "leaks"]
