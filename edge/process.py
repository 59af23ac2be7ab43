"""One edge process: makes its parts, joins them, runs them until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Mapping

import structlog

from edge.alone.alone import Alone
from edge.alone.kept import Kept
from edge.alone.mode import Mode
from edge.alone.sister import Sisters
from edge.alone.store import SiteStore
from edge.call_recorder import NoRecorder
from edge.calls.callbacks import Callbacks
from edge.calls.journal import Journal
from edge.calls.leg_watch import LegWatch
from edge.calls.places import PlaceGiver
from edge.calls.recording_wishes import RecordingWishes
from edge.calls.records import Written
from edge.calls.ringing import Ringing
from edge.calls.switchboard import Switchboard
from edge.calls.takeover import Takeover
from edge.calls.telephony import Telephony
from edge.calls.transfer_wishes import TransferWishes
from edge.calls.transfers import Transfers
from edge.commands import CommandPort
from edge.duties.debts import Debts
from edge.duties.headroom import HeadroomKeeper, Waits
from edge.duties.janitor import Janitor
from edge.duties.life import Life
from edge.duties.media_probe import MediaProbe
from edge.duties.media_watch import MediaWatch
from edge.duties.presence import PresenceKeeper
from edge.duties.probes import Prober
from edge.duties.steward import Steward
from edge.media.direct import DirectMedia
from edge.media.errors import MediaError
from edge.media.relay import Relay
from edge.media.rtpengine.engine import MediaEngine
from edge.news import News
from edge.parts import Parts
from edge.proxy.gate import GateEntry
from edge.recording import RecorderLink
from edge.replies import Replies
from edge.reserve import Reserver
from edge.settings import DIRECT, Settings, address
from edge.sip.endpoint import SipEndpoint
from edge.sip.events import Address, Event, ResponseReceived
from edge.waiting import WaitingCall
from state.clock import SystemClock
from state.etcd import EtcdStore, Tls
from state.eventlog.log import EventLog
from state.mirror import DiskCopy, Mirror, MirrorState
from state.model import (
    MAIN,
    AgentId,
    CallId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Entry,
    Now,
    Probe,
    QueueId,
    RecordingWish,
    Site,
    SiteId,
    Ticket,
)
from state.snapshot import Snapshot

log = structlog.get_logger()

PRODUCT = "Everline"
MAX_INVITE_AGE_S = 0.4
"""Older than this the proxy is about to give the INVITE to another edge: it waits 0.5 s."""
BYE_TIMEOUT_S = 8.0
"""An edge says BYE to Kamailios on a private network only: one that has not answered five of them
is gone, and the call need not linger for 32 s."""
SESSION_EXPIRES_S = 300
"""A dialog whose other end has vanished is over after so long at most (RFC 4028)."""


class EdgeProcess:
    """The parts of one edge and how they hear of each other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        clock = self._clock = SystemClock()
        shared = self._store = EtcdStore(settings.etcd, tls=_tls(settings))
        disk = DiskCopy(settings.run_dir / f"snapshot-{settings.edge}.json")
        events = settings.run_dir / f"events-{settings.edge}"
        self._event_log = EventLog(events, reader=settings.edge, clock=clock)
        mirror = self._mirror = Mirror(shared, clock, disk=disk, recorder=self._event_log)
        kept = Kept(settings.run_dir / f"alone-{settings.edge}")
        store = SiteStore(shared, mirror, clock, kept)
        self._site_store = store
        self._endpoint = SipEndpoint.open(
            local=Address(*address(settings.sip)),
            product=PRODUCT,
            on_event=self._take_sip,
            session_expires_s=SESSION_EXPIRES_S,
            max_invite_age_s=MAX_INVITE_AGE_S,
            bye_timeout_s=BYE_TIMEOUT_S,
        )
        telephony = self._telephony = Telephony(self._endpoint)
        self._media = _relay(settings)
        edge, site = settings.edge, settings.site
        self._journal = Journal(settings.run_dir / f"journal-{edge}")
        self._life = Life(store=shared, clock=clock, edge=edge, site=site, sip=settings.sip)
        self._prober = Prober(
            edge=edge,
            sip=telephony,
            on_change=self._sites_changed,
            on_back=self._site_back,
        )
        self._media_probe = MediaProbe(
            settings=settings,
            clock=clock,
            lives=self._lives,
            on_change=self._prober.set_lossy,
        )
        self._recorder = (
            None
            if settings.recorder is None
            else RecorderLink(
                settings.recorder,
                edge=edge,
                tenant_of=self._tenant_of,
                wish_of=self._wish_of,
            )
        )
        self._switchboard = Switchboard(
            settings=settings,
            clock=clock,
            store=store,
            sip=telephony,
            media=self._media,
            ringing=Ringing(
                sip=telephony, snapshot=self._snapshot, token=lambda: secrets.token_hex(4)
            ),
            snapshot=self._snapshot,
            journal=self._journal,
            recorder=self._recorder or NoRecorder(),
            line=self,
            transfers=Transfers(
                settings=settings,
                clock=clock,
                snapshot=self._snapshot,
                unreachable=self._unreachable,
                alone=lambda: self._alone,
            ),
        )
        if self._recorder is not None:
            self._recorder.on_failed = self._switchboard.recording_failed
        self._recording_wishes = RecordingWishes(
            edge=edge,
            store=shared,
            snapshot=self._snapshot,
            holds=self._switchboard.holds,
            recorder=self._recorder,
        )
        self._transfer_wishes = TransferWishes(
            edge=edge, store=shared, snapshot=self._snapshot, call=self._switchboard.call
        )
        self._alone = Alone(
            edge=edge,
            site=site,
            clock=clock,
            mirror=mirror,
            shared=shared,
            store=store,
            gate_of=self._gate_of,
            on_change=self._mode_changed,
            on_again=self._alone_again,
            kept=kept,
        )
        self._sisters = Sisters(
            edge=edge,
            own_socket=settings.command_socket,
            clock=clock,
            is_alone=lambda: self._alone.is_alone,
            on_told=self._alone.take_from_sister,
        )
        self._reserver = Reserver(
            edge=edge,
            clock=clock,
            snapshot=self._snapshot,
            unreachable=self._unreachable,
            call=lambda call: self._switchboard.call(call) or self._callbacks.call(call),
            is_current=self._is_live,
            note=self._event_log.decided,
            alone=self._alone,
        )
        self._keeper = PresenceKeeper(
            store=store,
            clock=clock,
            edge=edge,
            site=site,
            snapshot=self._snapshot,
            is_alone=lambda: self._site_store.is_alone,
        )
        self._steward = Steward(
            settings=settings,
            clock=clock,
            store=store,
            mirror=mirror,
            snapshot=self._snapshot,
            is_alone=lambda: self._site_store.is_alone,
            media=self._media,
            unreachable=lambda: self._prober.unreachable,
            keeper=self._keeper,
            on_applied=self._life.set_applied,
        )
        self._headroom = HeadroomKeeper(
            clock=clock,
            waits=lambda: Waits(count=self._endpoint.received, sum_s=self._endpoint.waited_s),
            taken=lambda: self._switchboard.taken,
            unanswered=lambda: self._switchboard.unanswered,
            tell=self._steward.say_room,
        )
        self._janitor = Janitor(
            store=store,
            clock=clock,
            mirror=mirror,
            edge=edge,
            holds=self._holds,
            on_dead=self._steward.edge_died,
            is_alone=lambda: self._site_store.is_alone,
            lives=self._sisters.lives,
        )
        self._places = PlaceGiver(snapshot=self._snapshot, calls=self._switchboard.waiting)
        self._callbacks = Callbacks(
            settings=settings,
            clock=clock,
            store=store,
            sip=telephony,
            media=self._media,
            snapshot=self._snapshot,
            switchboard=self._switchboard,
            is_alone=lambda: self._site_store.is_alone,
            line=self,
        )
        self._media_watch = MediaWatch(
            relay=self._media,
            calls=self._switchboard.with_media,
            on_lost=self._switchboard.media_lost,
        )
        self._leg_watch = LegWatch(
            relay=self._media,
            clock=clock,
            calls=self._switchboard.held,
            unreachable=lambda: self._prober.unreachable,
        )
        replies = Replies(
            settings=settings,
            clock=clock,
            snapshot=self._snapshot,
            mirror=mirror,
            endpoint=self._endpoint,
            telephony=telephony,
            media=self._media,
            life=self._life,
            alone=self._alone,
            prober=self._prober,
            media_probe=self._media_probe,
            switchboard=self._switchboard,
            callbacks=self._callbacks,
            reserver=self._reserver,
            keeper=self._keeper,
            steward=self._steward,
            headroom=self._headroom,
        )
        self._commands = CommandPort(settings.command_socket, replies.commands())
        self._owes: Callable[[CallId], bool] = lambda _: False
        news = News(
            reserver=self._reserver,
            places=self._places,
            keeper=self._keeper,
            steward=self._steward,
            switchboard=self._switchboard,
            callbacks=self._callbacks,
            recording_wishes=self._recording_wishes,
            transfer_wishes=self._transfer_wishes,
        )
        store.subscribe(news.take)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then let go of the calls and leave."""
        await self._media.start()
        left = self._journal.load()
        self._journal.open(left)
        takeover = Takeover(
            edge=self._settings.edge,
            clock=self._clock,
            snapshot=self._snapshot,
            is_current=self._is_current,
            is_alone=lambda: self._site_store.is_alone,
            switchboard=self._switchboard,
            relay=self._media,
            notes=left.calls,
        )
        debts = Debts(
            edge=self._settings.edge,
            clock=self._clock,
            store=self._site_store,
            snapshot=self._snapshot,
            is_current=self._is_current,
            journal=self._journal,
            owed=left.owed,
        )
        self._owes = debts.owes
        await self._forget_former_life(takeover.calls)
        await self._commands.start()
        has_recorder = self._recorder is not None
        log.info("edge_started", sip=self._settings.sip, has_recorder=has_recorder)
        parts: Mapping[str, Coroutine[None, None, None]] = {
            "mirror": self._mirror.run(),
            "alone": self._alone.run(),
            "sisters": self._sisters.run(),
            "life": self._life.run(on_lease=self._reserver.wake),
            "prober": self._prober.run(self._sites),
            "media_probe": self._media_probe.run(),
            "keeper": self._keeper.run(),
            "reserver": self._reserver.run(),
            "janitor": self._janitor.run(),
            "places": self._places.run(),
            "callbacks": self._callbacks.run(),
            "steward": self._steward.run(),
            "headroom": self._headroom.run(),
            "event_log": self._event_log.run(),
            "recording_wishes": self._recording_wishes.run(),
            "transfer_wishes": self._transfer_wishes.run(),
            "media_watch": self._media_watch.run(),
            "leg_watch": self._leg_watch.run(),
            "takeover": self._take_over(takeover),
            "debts": debts.run(),
        }
        if self._recorder is not None:
            parts = {**parts, "recorder": self._recorder.run()}
        try:
            await Parts(parts, may_end=_MAY_END).run(stop, self._leave)
        finally:
            await self._close()
        log.info("edge_stopped")

    async def _close(self) -> None:
        await self._commands.close()
        self._endpoint.close()
        self._media.close()
        await self._store.close()

    async def _leave(self) -> None:
        """Let go of the calls, and give the lease back so that nobody waits for it to run out."""
        log.info("edge_leaves", calls=sum(self._switchboard.states().values()))
        self._switchboard.is_draining = True
        self._life.set_state(EdgeState.DRAINING)
        self._switchboard.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                while self._switchboard.states():  # noqa: ASYNC110 - once, at the end of a life
                    await asyncio.sleep(_LOOK_S)
        await self._life.end()

    async def _forget_former_life(self, kept: frozenset[CallId]) -> None:
        """End the media of calls that a process of this name left and that cannot be taken up."""
        try:
            left = [call for call in await self._media.calls() if call not in kept]
            for call in left:
                await self._media.release(call)
        except MediaError as error:
            log.warning("media_not_reached", error=str(error))
            return
        if left:
            log.warning("media_of_former_life_released", calls=len(left))

    async def _take_over(self, takeover: Takeover) -> None:
        await takeover.run()
        if takeover.calls:
            # Agents who were being rung are free again, and only we can tell their gate.
            await asyncio.sleep(_TOLD_S)
            await self._steward.settle()
        await takeover.look_again()

    # -- who hears of what

    def _snapshot(self) -> Snapshot:
        return self._site_store.snapshot

    def _is_live(self) -> bool:
        return self._mirror.state is MirrorState.LIVE

    def _is_current(self) -> bool:
        """Tell whether the snapshot says what a former life of this edge has left in it."""
        return self._alone.is_settled and (self._is_live() or self._site_store.is_alone)

    def _tenant_of(self, queue: QueueId) -> str:
        known = self._snapshot().queues.get(queue)
        return MAIN if known is None else known.value.tenant

    def _wish_of(self, call: CallId) -> Entry[RecordingWish] | None:
        return self._snapshot().recording_wishes.get(call)

    async def _gate_of(self, agent: AgentId) -> GateEntry | None:
        return await self._steward.gate_of(agent)

    def _holds(self, call: CallId) -> bool:
        return self._switchboard.holds(call) or self._callbacks.holds(call) or self._owes(call)

    def _unreachable(self) -> frozenset[SiteId]:
        return self._prober.unreachable | self._alone.others

    def _alone_again(self) -> None:
        self._steward.note_alone_before()

    def _mode_changed(self, _: Mode) -> None:
        self._sisters.forget()
        self._reserver.wake()
        self._keeper.wake()
        self._steward.wake()

    def _sites(self) -> Mapping[SiteId, Site]:
        return {key: entry.value for key, entry in self._mirror.snapshot.sites.items()}

    def _lives(self) -> Mapping[EdgeId, EdgeLife]:
        return {key: entry.value for key, entry in self._mirror.snapshot.edges.items()}

    def _take_sip(self, event: Event) -> None:
        if isinstance(event, ResponseReceived) and self._prober.take(event):
            return
        if self._callbacks.take(event):
            return
        self._switchboard.take(event)

    def waits(self, call: CallId) -> None:
        """See to a call that has begun to wait."""
        self._reserver.waits(call)
        if self._snapshot().places:
            self._places.wake()

    async def enter(self, call: WaitingCall, ticket: Ticket, at: Now) -> Written:
        """Let a call that has just come into the line."""
        return await self._reserver.enter(call, ticket, at)

    def _site_back(self, site: SiteId) -> None:
        self._switchboard.ask_after(site)

    def _sites_changed(self, probe: Probe) -> None:
        self._life.set_probe(probe)
        self._reserver.wake()
        self._steward.wake()


_MAY_END = frozenset({"takeover", "debts"})
_LEAVE_S = 1.5
"""How long the calls may take to end; giving the lease back may take another second."""
_TOLD_S = 0.5
"""By then this edge's own mirror shows what the takeover has written."""
_LOOK_S = 0.05


def _relay(settings: Settings) -> Relay:
    if settings.ng == DIRECT:
        return DirectMedia()
    host, port = address(settings.ng)
    return MediaEngine(owner=settings.edge, host=host, port=port)


def _tls(settings: Settings) -> Tls | None:
    ca, cert, key = settings.etcd_ca, settings.etcd_cert, settings.etcd_key
    return Tls(ca=ca, cert=cert, key=key) if ca and cert and key else None
