"""The calls that this edge holds: how they begin, and where what concerns them goes.

Who may begin one is `edge.calls.reception`'s business, which leg is of which call that of
`edge.calls.roles`. Decides nothing about a call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from edge.acd import call_events as ev
from edge.acd.call import Rules
from edge.acd.call_events import Side
from edge.acd.still_held import is_closed
from edge.acd.token import Token
from edge.acd.yielding import CLAIM_S
from edge.call_recorder import CallRecorder
from edge.calls.arrivals import Arrivals
from edge.calls.call import CallShell
from edge.calls.consulting import consultation_wanted
from edge.calls.journal import CallNote, Journal
from edge.calls.media import CallMedia
from edge.calls.played import Sounds, Spoken
from edge.calls.prompts import Prompts
from edge.calls.reception import Arrival, Reception
from edge.calls.recording import CallRecording
from edge.calls.records import CallRecords
from edge.calls.ringing import Ringing
from edge.calls.roles import Lines, Roles
from edge.calls.telephony import Telephony
from edge.calls.tools import Tools
from edge.calls.transfers import Transfers
from edge.media.relay import Relay
from edge.settings import Settings
from edge.sip import events as sip
from edge.sip.errors import LocalError
from edge.sip.events import LegId
from edge.waiting import Line
from state.clock import Clock
from state.discreet import fault
from state.keys import Kind
from state.model import (
    AgentId,
    CallId,
    Decision,
    Queue,
    RecordingRules,
    SiteId,
    Ticket,
)
from state.overlay import ALONE_FROM
from state.snapshot import Delta, Snapshot
from state.store import Store

log = structlog.get_logger()


class Switchboard:
    """Takes SIP events; holds the calls."""

    def __init__(  # noqa: PLR0913 - everything that a call works with
        self,
        *,
        settings: Settings,
        clock: Clock,
        store: Store,
        sip: Telephony,
        media: Relay,
        ringing: Ringing,
        snapshot: Callable[[], Snapshot],
        journal: Journal,
        recorder: CallRecorder,
        line: Line,
        transfers: Transfers,
        unsettled: Callable[[], frozenset[SiteId]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._sip = sip
        self._media = media
        self._snapshot = snapshot
        self._calls: dict[CallId, CallShell] = {}
        self._roles = Roles(
            sip=sip,
            recorder=recorder,
            call=self._calls.get,
            is_claimed=self._is_claimed,
            unsettled=unsettled,
        )
        self.arrivals = Arrivals()
        """Calls that are not answered yet."""
        self._tools = Tools(
            clock=clock,
            sip=sip,
            ringing=ringing,
            own_leg=self._roles.own,
            listen=self._roles.listen,
            journal=journal,
            recorder=recorder,
            line=line,
            transfers=transfers,
            arrivals=self.arrivals,
            finished=self._finished,
        )
        self._prompts = Prompts(settings.prompts)
        self._reception = Reception(
            settings=settings,
            clock=clock,
            store=store,
            sip=sip,
            snapshot=snapshot,
            journal=journal,
            prompts=self._prompts,
            holds=self.holds,
            was_cancelled=self._was_cancelled,
            is_draining=lambda: self.is_draining,
            line=line,
            take=self._begin,
        )
        self.is_draining = False
        self.taken = 0

    # -- what others ask

    def call(self, call: CallId) -> CallShell | None:
        """Return a call that is held here."""
        return self._calls.get(call)

    def holds(self, call: CallId) -> bool:
        """Tell whether a call is held here."""
        return call in self._calls

    def _was_cancelled(self, call: CallId) -> bool:
        held = self._calls.get(call)
        return held is not None and held.was_cancelled

    def has_ack(self, call: CallId) -> bool:
        """Tell whether a call is held here whose caller has acknowledged our answer."""
        held = self._calls.get(call)
        return held is not None and held.records.is_acknowledged

    def held(self) -> Sequence[CallShell]:
        """Return the calls that are held here."""
        return list(self._calls.values())

    def states(self) -> Mapping[str, int]:
        """Count the calls by state."""
        counts: dict[str, int] = {}
        for call in self._calls.values():
            counts[call.state] = counts.get(call.state, 0) + 1
        return counts

    def with_old_places(self) -> Sequence[CallShell]:
        """Return the calls whose callers may have lost a place: they wait, or have talked."""
        return [
            call
            for call in self._calls.values()
            if (held := call.records.held) is not None
            and (held.given is None or held.ticket.value.connected_ms is not None)
        ]

    def with_media(self) -> Sequence[CallId]:
        """Return the calls whose media the relay should have, the oldest first."""
        return [call.id for call in self._calls.values() if call.has_media]

    def media_lost(self, call_id: CallId) -> None:
        """Tell a call that the relay no longer has it."""
        call = self._calls.get(call_id)
        if call is not None and call.has_media:
            call.deliver(ev.MediaLost())

    def recording_failed(self, call_id: CallId, because: str) -> None:
        """Tell a call that it cannot be recorded."""
        call = self._calls.get(call_id)
        if call is not None:
            call.sound.recording_failed(because)

    def ask_after(self, site: SiteId) -> None:
        """Ask whoever is reached by way of a site that is back whether they are still there.

        They may have hung up meanwhile: a goodbye is not said again for ever.
        """
        for leg in self._roles.by_way_of(site):
            with contextlib.suppress(LocalError):
                self._sip.ask(leg)

    def watch_lines(self, lines: Lines) -> None:
        """Have what watches the lines told of answers, and asked about who hangs up."""
        self._roles.lines = lines

    def stop(self) -> None:
        """Let go of every call."""
        for call in list(self._calls.values()):
            call.deliver(ev.Stop())

    # -- what a former life has left

    def adopt(self, note: CallNote) -> CallShell | None:
        """Take up a call's dialog and hold the call; it goes on when it is told to `resume`."""
        call_id = note.ticket.call
        try:
            leg = self._sip.adopt(note.caller, note.told.get(Side.CALLER))
            self._sip.ask(leg)
        except LocalError as error:
            log.warning("call_not_taken_up", call=call_id, because=str(error))
            self._tools.journal.forget(call_id)
            return None
        shell = self._shell(note.ticket, leg, note.recording, music=note.music, is_known=False)
        shell.adopt_agents(note)
        log.info("call_taken_up", call=call_id, state=note.state, did=note.ticket.did)
        return shell

    # -- who has been called back

    def take_called_back(  # noqa: PLR0913  a call that is half made
        self,
        *,
        ticket: Ticket,
        leg: LegId,
        records: CallRecords,
        queue: Queue,
        rules: Rules,
        decision: Decision,
        token: Token,
        said: bytes,
        told: bytes,
    ) -> None:
        """Take the call of somebody who has answered ours; an agent is reserved for them."""
        shell = self._shell(ticket, leg, queue.recording, music=queue.music, records=records)
        log.info("call_taken_back", call=ticket.call, of=ticket.callback_of)
        shell.begin_called_back(rules, decision, token, said=said, told=told)

    # -- what the mirror shows

    def take_delta(self, delta: Delta) -> None:
        """See whether a ticket of ours has been closed, or is another's, or its call claimed."""
        if delta.kind is Kind.CLAIM:
            self._take_claim(delta)
        if delta.kind is not Kind.TICKET:
            return
        call = self._calls.get(CallId(delta.id))
        if call is None or call.records.held is None:
            return
        if self._is_lost(call.records.held.ticket.mod_revision, delta):
            call.deliver(ev.TicketLost())

    def _is_lost(self, held: int, delta: Delta) -> bool:
        """Tell whether a ticket that we `held` at that revision is ours no more.

        A watch that is late may tell yet how another edge had the call before us, and gave it up.
        """
        snapshot = self._snapshot()
        shown = snapshot.tickets.get(CallId(delta.id))
        if shown is not None:
            is_old = shown.mod_revision < held < ALONE_FROM
            return shown.value.holder != self._settings.edge and not is_old
        if delta.before is None:
            return False
        return is_closed(held, delta.before.mod_revision, snapshot.revision)

    def _take_claim(self, delta: Delta) -> None:
        call = self._calls.get(CallId(delta.id))
        if call is not None and delta.after is not None and self._is_claimed(call.id):
            call.deliver(ev.Claimed())

    def _is_claimed(self, call: CallId) -> bool:
        """Tell whether another edge claims a call; one that does for longer has died meanwhile."""
        claim = self._snapshot().claims.get(call)
        if claim is None or claim.value.edge == self._settings.edge:
            return False
        return self._clock.now().mono_s - claim.seen_s < CLAIM_S

    # -- what comes over SIP

    def take(self, event: sip.Event) -> None:
        """Give the event to the call whose leg it is of. A fault costs that leg, and no other."""
        try:
            if isinstance(event, sip.IncomingInvite):
                self._answer(event)
            else:
                self._roles.hand_on(event)
        except Exception as error:  # noqa: BLE001 - other calls' events wait behind this one
            log.error("sip_event_fault", sip_event=type(event).__name__, **fault(error))  # noqa: TRY400 - one line
            if isinstance(event, sip.IncomingInvite):
                self._sip.let_go(event.leg, reason="")

    def _answer(self, invite: sip.IncomingInvite) -> None:
        snapshot = self._snapshot()
        wanted = consultation_wanted(invite, snapshot)
        if wanted is None:
            self._reception.admit(invite)
            return
        offer = snapshot.offers.get(wanted.by)
        call = None if offer is None else self._calls.get(offer.value.call)
        if call is None:
            self._sip.reject(invite.leg, 403, reason="No caller to consult about")
        else:
            call.consult(invite, wanted)

    def _begin(self, arrival: Arrival) -> None:
        queue = arrival.queue
        shell = self._shell(
            arrival.ticket, arrival.leg, queue.recording, before=arrival.before, music=queue.music
        )
        self.taken += 1
        self.arrivals.begin(arrival.ticket.call, self._clock.now().mono_s - arrival.waited_s)
        rules = Rules.of(queue, greeting=bool(arrival.before))
        shell.begin(rules, arrival.sdp, is_late=arrival.is_late)

    def _shell(  # noqa: PLR0913  what a call begins with
        self,
        ticket: Ticket,
        leg: LegId,
        rules: RecordingRules,
        *,
        music: str,
        before: tuple[tuple[Spoken, Path], ...] = (),
        is_known: bool = True,
        records: CallRecords | None = None,
    ) -> CallShell:
        back = ticket.call_back
        sounds = Sounds(
            before=before,
            music=self._prompts.path(music),
            apology=self._prompts.path(rules.apology) if rules.apology else None,
            offer=self._prompts.path(back.offer) if back and back.offer else None,
            notice=self._prompts.path(back.notice) if back and back.notice else None,
        )
        shell = CallShell(
            tools=self._tools,
            ticket=ticket,
            leg=leg,
            media=CallMedia(self._media, ticket.call, sounds),
            recording=CallRecording(
                self._tools.recorder, ticket, rules, records=self._records_agent
            ),
            records=records
            or CallRecords(
                store=self._store, clock=self._clock, call=ticket.call, is_known=is_known
            ),
        )
        self._calls[ticket.call] = shell
        self._roles.own(leg, ticket.call, None)
        return shell

    def _records_agent(self, agent: AgentId) -> bool:
        known = self._snapshot().agents.get(agent)
        return known is None or known.value.recorded

    def _finished(self, call: CallId) -> None:
        self._calls.pop(call, None)
        self.arrivals.over(call, self._clock.now().mono_s)
        self._tools.line.gone(call)
        self._roles.forget(call)
