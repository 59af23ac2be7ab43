"""The parts of one edge: which there are, and how they hear of each other.

Owns who is told what, and decides nothing. How they are run, and how they end, is `edge.process`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence

from edge.acd.answering_hosts import AnsweringHosts
from edge.acd.heirs import Earlier
from edge.acd.plan import Held
from edge.alone.alone import Alone
from edge.alone.mode import Mode
from edge.alone.sister import Sisters
from edge.call_recorder import NoRecorder
from edge.calls.callbacks import Callbacks
from edge.calls.hearing import Hearing
from edge.calls.journal import Journal
from edge.calls.leg_watch import LegWatch
from edge.calls.line_watch import LineWatch
from edge.calls.lookout import Lookout
from edge.calls.places import PlaceGiver
from edge.calls.recording_wishes import RecordingWishes
from edge.calls.records import Written
from edge.calls.ringing import Ringing
from edge.calls.switchboard import Switchboard
from edge.calls.telephony import Telephony
from edge.calls.transfer_wishes import TransferWishes
from edge.calls.transfers import Transfers
from edge.commands import CommandPort
from edge.duties.life import Life
from edge.duties.media_probe import MediaProbe
from edge.duties.media_watch import MediaWatch
from edge.duties.probes import Prober
from edge.keyed_tones import KeyedTones
from edge.news import News
from edge.proxy.gate import GateEntry
from edge.recording import RecorderLink
from edge.replies import Replies
from edge.reserve import Reserver
from edge.settings import Settings
from edge.shared import SharedState
from edge.sip.events import Event, ResponseReceived
from edge.site_duties import SiteDuties
from edge.waiting import WaitingCall
from edge.wire import media_relay, sip_endpoint
from state.clock import SystemClock
from state.model import (
    MAIN,
    AgentId,
    CallId,
    DidNumber,
    Entry,
    Now,
    Probe,
    QueueId,
    RecordingWish,
    SiteId,
    Ticket,
)


class Assembly:
    """Makes the parts, one room after the other, and joins them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.shared = SharedState(settings, self.clock)
        self.owes: Callable[[CallId], bool] = lambda _: False
        """Whether this edge still has to write how a call ended; told once the journal is read."""
        self._make_wire()
        self._make_neighbours()
        self._make_calls()
        self._make_alone()
        self._make_line()
        self._make_duties()
        self._make_watches()
        self._make_ears()

    # -- the parts, by room

    def _make_wire(self) -> None:
        """Make SIP, the media relay, and what is written down of calls."""
        self.endpoint = sip_endpoint(self.settings, self._take_sip)
        self.telephony = Telephony(self.endpoint)
        self.media = media_relay(self.settings)
        self.journal = Journal(self.settings.run_dir / f"journal-{self.settings.edge}")

    def _make_neighbours(self) -> None:
        """Make what says that this edge lives, and which sites it reaches."""
        self.life = Life(
            store=self.shared.store,
            clock=self.clock,
            edge=self.settings.edge,
            site=self.settings.site,
            sip=self.settings.sip,
        )
        self.prober = Prober(
            edge=self.settings.edge,
            sip=self.telephony,
            on_change=self._sites_changed,
            on_back=self._site_back,
        )
        self.media_probe = MediaProbe(
            settings=self.settings,
            clock=self.clock,
            lives=self.shared.lives,
            on_change=self.prober.set_lossy,
        )

    def _make_calls(self) -> None:
        """Make what holds the calls, records them, and hears what others wish of them."""
        self.recorder = (
            None
            if self.settings.recorder is None
            else RecorderLink(
                self.settings.recorder,
                edge=self.settings.edge,
                tenant_of=self._tenant_of,
                wish_of=self._wish_of,
                parts_keyed=self._parts_keyed,
            )
        )
        self.switchboard = Switchboard(
            settings=self.settings,
            clock=self.clock,
            store=self.shared.here,
            sip=self.telephony,
            media=self.media,
            ringing=Ringing(
                sip=self.telephony,
                snapshot=self.shared.snapshot,
                token=lambda: secrets.token_hex(4),
            ),
            snapshot=self.shared.snapshot,
            journal=self.journal,
            recorder=self.recorder or NoRecorder(),
            line=self,
            transfers=Transfers(
                settings=self.settings,
                clock=self.clock,
                snapshot=self.shared.snapshot,
                unreachable=self.unreachable,
                alone=lambda: self.alone,
            ),
            unsettled=lambda: self.prober.unsettled,
        )
        self.hearing = Hearing(self.switchboard)
        if self.recorder is not None:
            self.recorder.on_failed = self.switchboard.recording_failed
            self.recorder.on_silence = self.hearing.note_silence
            self.recorder.on_copied = self.hearing.hold_back
            self.keyed_tones = KeyedTones(
                ask=self.recorder.keyed_tones, part=self.hearing.part, apart=self.hearing.apart
            )
        self.recording_wishes = RecordingWishes(
            edge=self.settings.edge,
            store=self.shared.store,
            snapshot=self.shared.snapshot,
            holds=self.switchboard.holds,
            hearing=self.hearing,
            recorder=self.recorder,
        )
        self.transfer_wishes = TransferWishes(
            edge=self.settings.edge,
            store=self.shared.store,
            snapshot=self.shared.snapshot,
            call=self.switchboard.call,
        )

    def _make_alone(self) -> None:
        """Make what serves without a quorum."""
        if self.shared.kept.is_there:
            self.life.set_alone({self.settings.edge})
        self.alone = Alone(
            edge=self.settings.edge,
            site=self.settings.site,
            clock=self.clock,
            mirror=self.shared.mirror,
            shared=self.shared.store,
            store=self.shared.here,
            gate_of=self._gate_of,
            on_change=self._mode_changed,
            on_again=self._alone_again,
            kept=self.shared.kept,
            past=self.shared.past,
            held=self._held_by_calls,
            holds=self._holds,
            has_ack=self.switchboard.has_ack,
            full_s=lambda: self.shared.space.full_s,
            postponed=self._not_dialled,
        )
        self.sisters = Sisters(
            edge=self.settings.edge,
            own_socket=self.settings.command_socket,
            clock=self.clock,
            is_alone=lambda: self.alone.is_alone,
            on_told=self.alone.take_from_sister,
            on_holding=self.alone.hear_what_is_had,
            on_asked=self._tell_who_is_alone,
        )

    def _make_line(self) -> None:
        """Make what serves callers who wait, who come again, and who are to be called back."""
        self.reserver = Reserver(
            edge=self.settings.edge,
            clock=self.clock,
            snapshot=self.shared.snapshot,
            unreachable=self.unreachable,
            call=lambda call: self.switchboard.call(call) or self.callbacks.call(call),
            is_current=self.shared.is_live,
            proof_age_s=lambda: self.shared.mirror.age_s,
            note=self.shared.event_log.decided,
            alone=self.alone,
        )
        self.places = PlaceGiver(
            snapshot=self.shared.snapshot, calls=self.switchboard.with_old_places
        )
        self.callbacks = Callbacks(
            settings=self.settings,
            clock=self.clock,
            store=self.shared.here,
            sip=self.telephony,
            media=self.media,
            snapshot=self.shared.snapshot,
            switchboard=self.switchboard,
            is_alone=lambda: self.shared.here.is_alone,
            line=self,
        )

    def _make_duties(self) -> None:
        """Make what this edge does for its site, and for those who died."""
        self.duties = SiteDuties(
            settings=self.settings,
            clock=self.clock,
            shared=self.shared,
            endpoint=self.endpoint,
            media=self.media,
            life=self.life,
            sisters=self.sisters,
            switchboard=self.switchboard,
            unreachable=lambda: self.prober.unreachable,
            holds=self._holds,
        )

    def _make_watches(self) -> None:
        """Make what asks whether the media and the legs of calls are still there."""
        self.media_watch = MediaWatch(
            relay=self.media,
            calls=self.switchboard.with_media,
            on_lost=self.switchboard.media_lost,
        )
        lookout = Lookout(
            relay=self.media,
            clock=self.clock,
            calls=self.switchboard.held,
            unreachable=lambda: self.prober.unreachable,
        )
        self.leg_watch = LegWatch(lookout)
        self.line_watch = LineWatch(lookout, AnsweringHosts())
        self.switchboard.watch_lines(self.line_watch)

    def _make_ears(self) -> None:
        """Make who answers from outside, and let the parts hear of the shared state."""
        replies = Replies(
            settings=self.settings,
            clock=self.clock,
            snapshot=self.shared.snapshot,
            mirror=self.shared.mirror,
            endpoint=self.endpoint,
            telephony=self.telephony,
            media=self.media,
            life=self.life,
            alone=self.alone,
            prober=self.prober,
            media_probe=self.media_probe,
            switchboard=self.switchboard,
            callbacks=self.callbacks,
            reserver=self.reserver,
            keeper=self.duties.keeper,
            steward=self.duties.steward,
            headroom=self.duties.headroom,
        )
        self.commands = CommandPort(self.settings.command_socket, replies.commands())
        news = News(
            reserver=self.reserver,
            places=self.places,
            keeper=self.duties.keeper,
            steward=self.duties.steward,
            switchboard=self.switchboard,
            callbacks=self.callbacks,
            recording_wishes=self.recording_wishes,
            transfer_wishes=self.transfer_wishes,
        )
        self.shared.here.subscribe(news.take)

    # -- who hears of what

    def is_current(self) -> bool:
        """Tell whether the snapshot says what a former life of this edge has left in it."""
        return self.alone.is_settled and (self.shared.is_live() or self.shared.here.is_alone)

    def _tenant_of(self, queue: QueueId) -> str:
        known = self.shared.snapshot().queues.get(queue)
        return MAIN if known is None else known.value.tenant

    def _parts_keyed(self, queue: QueueId) -> bool:
        known = self.shared.snapshot().queues.get(queue)
        return known is None or known.value.recording.part_keyed

    def _wish_of(self, call: CallId) -> Entry[RecordingWish] | None:
        return self.shared.snapshot().recording_wishes.get(call)

    async def _gate_of(self, agent: AgentId) -> GateEntry | None:
        return await self.duties.steward.gate_of(agent)

    def _holds(self, call: CallId) -> bool:
        return self.switchboard.holds(call) or self.callbacks.holds(call) or self.owes(call)

    def _not_dialled(self) -> Sequence[CallId]:
        return self.callbacks.waiting()

    def _held_by_calls(self) -> Iterator[Held]:
        """Yield what the calls of this edge hold in the store, as far as it is theirs."""
        calls = [each.records for each in self.switchboard.held() if not each.is_lost]
        for records in (*calls, *(each.records for each in self.callbacks.held())):
            if records.held is not None:
                yield records.held

    def unreachable(self) -> frozenset[SiteId]:
        """Return the sites that this edge cannot reach, as far as it knows."""
        return self.prober.unreachable | self.alone.others

    def _alone_again(self) -> None:
        self.duties.steward.note_alone_before()

    def _tell_who_is_alone(self) -> None:
        """Say of which edges of this site the store does not know yet what they have done."""
        is_unmerged = self.alone.is_unmerged
        if is_unmerged is not None:
            own = {self.settings.edge} if is_unmerged else set()
            self.life.set_alone(self.sisters.alone() | own)

    def _mode_changed(self, _: Mode) -> None:
        self._tell_who_is_alone()
        self.sisters.forget()
        self.reserver.wake()
        self.duties.keeper.wake()
        self.duties.steward.wake()

    def _take_sip(self, event: Event) -> None:
        if isinstance(event, ResponseReceived) and self.prober.take(event):
            return
        if self.callbacks.take(event):
            return
        self.switchboard.take(event)

    def waits(self, call: CallId) -> None:
        """See to a call that has begun to wait."""
        self.reserver.waits(call)
        if self.shared.snapshot().places:
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

    def _site_back(self, site: SiteId) -> None:
        self.switchboard.ask_after(site)

    def _sites_changed(self, probe: Probe) -> None:
        self.life.set_probe(probe)
        self.reserver.wake()
        self.duties.steward.wake()
