"""One edge without sockets, on a store in memory, and its people, whom a test moves by hand."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from edge import former_life
from edge.acd.answering_hosts import AnsweringHosts
from edge.acd.heirs import Earlier
from edge.calls.callbacks import Callbacks
from edge.calls.hearing import Hearing
from edge.calls.journal import Journal, Left
from edge.calls.leg_watch import LegWatch
from edge.calls.line_watch import LineWatch
from edge.calls.lookout import Lookout
from edge.calls.places import PlaceGiver
from edge.calls.records import Written
from edge.calls.ringing import Ringing
from edge.calls.switchboard import Switchboard
from edge.calls.takeover import Takeover
from edge.calls.telephony import Telephony
from edge.calls.transfers import Transfers
from edge.duties.debts import Debts
from edge.duties.janitor import Janitor
from edge.duties.life import Life
from edge.duties.media_watch import MediaWatch
from edge.keyed_tones import KeyedTones
from edge.reserve import Reserver
from edge.settings import Settings
from edge.sip.events import LegId
from edge.waiting import WaitingCall
from state import keys
from state.keys import Kind
from state.memory import MemoryStore
from state.mirror import Mirror, MirrorSettings, MirrorState
from state.model import (
    CallId,
    DidNumber,
    EdgeId,
    Now,
    SiteId,
    SkillId,
    Ticket,
    TicketState,
)
from state.snapshot import Delta, Snapshot
from tests.edge.fake_recorder import FakeRecorder
from tests.edge.fake_telephony import CALLER_SDP, THEIR_HOST, FakeTelephony
from tests.edge.troubled import TroubledMedia, TroubledStore
from tests.edge.virtual_time import LoopClock, until

SALES, GREETED, NOWHERE = DidNumber("15550001"), DidNumber("15550002"), DidNumber("15550003")
TALKING = SkillId("talking")
RING_S, WRAP_UP_S, PAUSE_S = 3.0, 0.5, 0.5


def settings(edge: EdgeId, site: SiteId) -> Settings:
    """Return settings by which nothing is opened."""
    return Settings(
        edge=edge,
        site=site,
        sip=f"198.18.1.10:{5080 + int(edge[1])}",
        kamailio_rpc=Path("rpc"),
        evapi="127.0.0.1:8448",
        ng="direct",
        etcd=("198.18.1.10:2379",),
        run_dir=Path("run"),
        command_socket=Path("edge.sock"),
    )


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
        self.site = SiteId(name[0])
        self.clock = LoopClock()
        self.store = TroubledStore(store)
        self.media = media or TroubledMedia()
        self.recorder = FakeRecorder()
        self.unreachable: frozenset[SiteId] = frozenset()
        self.unsettled: frozenset[SiteId] = frozenset()
        self.is_deaf = False
        self.is_alone = False
        self.cleared: list[EdgeId] = []
        self.mirror = Mirror(self.store, self.clock, settings=MirrorSettings(check_every_s=3.0))
        self.sip = FakeTelephony(self._take)
        self.settings = settings(self.name, self.site)
        # One that was never opened writes nothing.
        self.journal = journal or Journal(Path("journal"))
        self.left = Left() if journal is None else former_life.read(journal, telephony or self.sip)
        self._make_calls(telephony or self.sip)
        self._make_line()
        self._make_duties()
        self._make_watches()
        self.mirror.subscribe(self._changed)
        self._paying: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- the parts, by the rooms of `edge.assembly`

    def _make_calls(self, speaks: Telephony) -> None:
        tokens = itertools.count(1)
        self.switchboard = Switchboard(
            settings=self.settings,
            clock=self.clock,
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
                clock=self.clock,
                snapshot=lambda: self.mirror.snapshot,
                unreachable=lambda: self.unreachable,
                alone=lambda: None,
            ),
            unsettled=lambda: self.unsettled,
        )
        self.hearing = Hearing(self.switchboard)
        self.keyed_tones = KeyedTones(
            ask=self.recorder.keyed_tones, part=self.hearing.part, apart=self.hearing.apart
        )

    def _make_line(self) -> None:
        self.callbacks = Callbacks(
            settings=self.settings,
            clock=self.clock,
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
            clock=self.clock,
            snapshot=lambda: self.mirror.snapshot,
            unreachable=lambda: self.unreachable,
            call=lambda call: self.switchboard.call(call) or self.callbacks.call(call),
            is_current=lambda: self.mirror.state is MirrorState.LIVE,
            proof_age_s=lambda: self.mirror.age_s,
        )
        self.places = PlaceGiver(
            snapshot=lambda: self.mirror.snapshot, calls=self.switchboard.with_old_places
        )

    def _make_duties(self) -> None:
        self.debts = Debts(
            edge=self.name,
            clock=self.clock,
            store=self.store,
            snapshot=lambda: self.mirror.snapshot,
            is_current=lambda: self.mirror.state is MirrorState.LIVE,
            journal=self.journal,
            owed=self.left.owed,
        )
        self.janitor = Janitor(
            store=self.store,
            clock=self.clock,
            mirror=self.mirror,
            edge=self.name,
            holds=lambda call: (
                self.switchboard.holds(call) or self.callbacks.holds(call) or self.debts.owes(call)
            ),
            on_dead=self._edge_died,
            is_alone=lambda: self.is_alone,
        )
        self.life = Life(
            store=self.store,
            clock=self.clock,
            edge=self.name,
            site=self.site,
            sip=self.settings.sip,
        )

    def _make_watches(self) -> None:
        self.watch = MediaWatch(
            relay=self.media,
            calls=self.switchboard.with_media,
            on_lost=self.switchboard.media_lost,
        )
        lookout = Lookout(
            relay=self.media,
            clock=self.clock,
            calls=self.switchboard.held,
            unreachable=lambda: self.unreachable,
        )
        self.leg_watch = LegWatch(lookout)
        hosts = AnsweringHosts()
        hosts.learn(THEIR_HOST)
        self.line_watch = LineWatch(lookout, hosts)
        self.switchboard.watch_lines(self.line_watch)

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

    def takeover(self) -> Takeover:
        """Return what takes up the calls that the former life of this edge has left."""
        return Takeover(
            edge=self.name,
            clock=self.clock,
            snapshot=lambda: self.mirror.snapshot,
            is_current=lambda: self.mirror.state is MirrorState.LIVE,
            is_alone=lambda: self.is_alone,
            switchboard=self.switchboard,
            relay=self.media,
            notes=self.left.calls,
        )

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
                self.line_watch.run(),
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

    def call_of(self, leg: LegId) -> CallId:
        """Return the id of the call of a caller's leg, also if that is over."""
        held = self.sip.open.get(leg) or self.sip.over[leg]
        return keys.call_id_for(held.sip_call_id, "theirs")

    def state_of(self, leg: LegId) -> str:
        """Return the state of the call of a caller's leg; `gone` when it is held no more."""
        call = self.switchboard.call(self.call_of(leg))
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

    async def one_rung(self, one: str, other: str) -> tuple[str, str]:
        """Wait until either of two agents is rung by this edge; return who is, and the other."""
        await until(lambda: bool(self.sip.rung(one) or self.sip.rung(other)), f"{one} or {other}")
        return (one, other) if self.sip.rung(one) else (other, one)

    async def reinvited(self, leg: LegId, what: str = "the caller is re-invited") -> None:
        """Wait until a leg is offered other media by this edge."""
        await until(lambda: self.sip.open[leg].our_offer is not None, what)

    async def answer_ours(
        self, leg: LegId, what: str = "the caller is re-invited", *, sdp: bytes = CALLER_SDP
    ) -> None:
        """Let a leg take the other media that this edge offers next."""
        await self.reinvited(leg, what)
        self.sip.answer_ours(leg, sdp)

    async def joined(self, theirs: LegId, agent: str = "ann") -> LegId:
        """Let an agent who is rung for a caller pick up, and the caller be brought to them."""
        ours = await self.rung(agent)
        self.sip.pick_up(ours)
        await self.answer_ours(theirs)
        return ours

    async def talking(self, agent: str = "ann") -> tuple[LegId, LegId]:
        """Bring a caller and an agent together."""
        theirs = await self.waiting()
        ours = await self.joined(theirs, agent)
        assert self.state_of(theirs) == "connected"
        return theirs, ours

    async def sees_them_talk(self) -> None:
        """Wait until the shared state says that the only caller talks."""
        await until(
            lambda: (
                [each.value.state for each in self.snapshot.tickets.values()]
                == [TicketState.CONNECTED]
            ),
            "it is written that they talk",
        )


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
