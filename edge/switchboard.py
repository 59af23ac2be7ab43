"""The calls that this edge holds, and which SIP leg belongs to which.

Owns admission and the way of SIP events to calls. Decides nothing about a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.acd import call_events as ev
from edge.acd import recorded
from edge.acd.admission import CLOSED, QUEUE_FULL, WAIT_TOO_LONG, Admitted, TurnedAway, admit
from edge.acd.call import Rules
from edge.acd.call_events import Attempt, By, Side
from edge.acd.callback import rules_for
from edge.acd.ending import UNKNOWN_CALLER, WITHDRAWN, Ending
from edge.acd.owed import Owed
from edge.acd.region import international, region_of
from edge.acd.reservation import turned_away
from edge.acd.token import Token
from edge.call import CallShell
from edge.call_media import CallMedia, Sounds, Spoken
from edge.call_recording import CallRecording
from edge.call_tools import RETRY_AFTER_S, Tools
from edge.journal import CallNote, Journal
from edge.log import fault
from edge.media.errors import SdpError
from edge.media.relay import Relay
from edge.media.sdp import audio
from edge.places import place_lost
from edge.recording import CallRecorder
from edge.records import CallRecords
from edge.ringing import Ringing
from edge.settings import Settings
from edge.sip import events as sip
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import LegId
from edge.sip.uri import parse_uri
from edge.telephony import Telephony
from state import keys
from state.clock import Clock
from state.keys import Kind, call_id_for
from state.model import (
    AgentId,
    CallId,
    Decision,
    Did,
    DidNumber,
    Entry,
    Now,
    Place,
    Queue,
    RecordingRules,
    SiteId,
    Ticket,
    TicketState,
)
from state.snapshot import Delta, Snapshot
from state.store import Store

log = structlog.get_logger()

VIA = "x-everline-via"
_MUSIC = "music"


class _Role(Struct, frozen=True):
    """Whose leg it is."""

    call: CallId
    attempt: Attempt | None
    """None: the caller's."""


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
        wants_agent: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._sip = sip
        self._media = media
        self._snapshot = snapshot
        self._calls: dict[CallId, CallShell] = {}
        self._legs: dict[LegId, _Role] = {}
        self._legs_of: dict[CallId, list[LegId]] = {}
        self._tools = Tools(
            clock=clock,
            sip=sip,
            ringing=ringing,
            own_leg=self._own,
            journal=journal,
            recorder=recorder,
            wants_agent=wants_agent,
            finished=self._finished,
        )
        self._writing: set[asyncio.Task[None]] = set()
        """Records of callers who were turned away."""
        self.is_draining = False
        self.taken = 0

    # -- what others ask

    def call(self, call: CallId) -> CallShell | None:
        """Return a call that is held here."""
        return self._calls.get(call)

    def holds(self, call: CallId) -> bool:
        """Tell whether a call is held here."""
        return call in self._calls

    def held(self) -> Sequence[CallShell]:
        """Return the calls that are held here."""
        return list(self._calls.values())

    def states(self) -> Mapping[str, int]:
        """Count the calls by state."""
        counts: dict[str, int] = {}
        for call in self._calls.values():
            counts[call.state] = counts.get(call.state, 0) + 1
        return counts

    def waiting(self) -> Sequence[CallShell]:
        """Return the calls that have a ticket and no agent."""
        return [
            call
            for call in self._calls.values()
            if call.records.held is not None and call.records.held.given is None
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
            call.recording_failed(because)

    def ask_after(self, site: SiteId) -> None:
        """Ask whoever is reached by way of a site that is back whether they are still there.

        They may have hung up meanwhile: a goodbye is not said again for ever.
        """
        for leg, role in list(self._legs.items()):
            call = self._calls.get(role.call)
            if call is not None and call.way_of(role.attempt) == site:
                with contextlib.suppress(LocalError):
                    self._sip.ask(leg)

    def stop(self) -> None:
        """Let go of every call."""
        for call in list(self._calls.values()):
            call.deliver(ev.Stop())

    # -- what a former life has left

    def adopt(self, note: CallNote) -> CallShell | None:
        """Take up a call's dialog and hold the call; it goes on when it is told to `resume`."""
        call_id = note.ticket.call
        try:
            leg = self._sip.adopt(note.caller)
            self._sip.ask(leg)
        except LocalError as error:
            log.warning("call_not_taken_up", call=call_id, because=str(error))
            self._tools.journal.forget(call_id)
            return None
        queue = self._snapshot().queues.get(note.ticket.queue)
        music = queue.value.music if queue is not None else _MUSIC
        rules = queue.value.recording if queue is not None else RecordingRules()
        shell = self._shell(note.ticket, leg, rules, music=music, is_known=False)
        if note.agent is not None:
            shell.adopt_agent(note.agent)
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
        """See whether a ticket of ours has been closed, or is another's."""
        if delta.kind is not Kind.TICKET:
            return
        call = self._calls.get(CallId(delta.id))
        if call is None or call.records.held is None:
            return
        held = call.records.held.ticket
        if delta.after is None:
            # The watch may have lost what came between the two: then the snapshot's revision tells.
            is_lost = delta.before is not None and (
                max(delta.before.mod_revision, self._snapshot().revision) >= held.mod_revision
            )
        else:
            after = delta.after.value
            is_lost = isinstance(after, Ticket) and after.holder != self._settings.edge
        if is_lost:
            call.deliver(ev.TicketLost())

    # -- what comes over SIP

    def take(self, event: sip.Event) -> None:
        """Give the event to the call whose leg it is of. A fault costs that leg, and no other."""
        try:
            if isinstance(event, sip.IncomingInvite):
                self._admit(event)
            else:
                self._hand_on(event)
        except Exception as error:  # noqa: BLE001 - other calls' events wait behind this one
            log.error("sip_event_fault", sip_event=type(event).__name__, **fault(error))  # noqa: TRY400 - one line
            if isinstance(event, sip.IncomingInvite):
                self._sip.let_go(event.leg, reason="")

    def _hand_on(self, event: sip.Event) -> None:
        leg = getattr(event, "leg", None)
        role = self._legs.get(leg) if leg is not None else None
        if leg is None or role is None:
            return
        call = self._calls.get(role.call)
        if isinstance(event, sip.Ended | sip.Rejected | sip.Cancelled):
            self._legs.pop(leg)
        if call is None:
            return
        if isinstance(event, sip.OfferReceived) and role.attempt not in (None, call.attempt):
            self._refuse_offer(leg)
            return
        if isinstance(event, sip.OfferWithdrawn):
            call.withdraw_offer(Side.CALLER if role.attempt is None else Side.AGENT)
            return
        told = _of_caller(event) if role.attempt is None else _of_agent(event, role.attempt)
        if told is not None:
            call.deliver(told)
        elif isinstance(event, sip.ReferReceived):
            # Transfers by REFER come with the agent's desk; until then say so at once.
            with contextlib.suppress(LocalError):
                self._sip.refuse_refer(event.transaction, 603)

    def _refuse_offer(self, leg: LegId) -> None:
        with contextlib.suppress(LocalError):
            self._sip.refuse_offer(leg, 488)

    def _admit(self, invite: sip.IncomingInvite) -> None:
        snapshot = self._snapshot()
        number = DidNumber(_user(invite.request_uri))
        has_place = self._place_lost(invite, number) is not None
        admission = admit(snapshot, number, self._clock.now(), has_place=has_place)
        call_id = call_id_for(invite.sip_call_id, invite.from_tag)
        if call_id in self._calls:
            # The same INVITE by another way, while the first one is being served.
            self._sip.reject(invite.leg, 482, reason="Merged")
        elif self.is_draining:
            self._send_on(invite, "Draining")
        elif isinstance(admission, Admitted):
            self._begin(invite, call_id, admission)
        elif isinstance(admission, TurnedAway):
            self._turn_away(invite, call_id, admission)
        elif _may_exist(snapshot, number):
            log.error("did_without_service", did=number, call=call_id)
            self._send_on(invite, "Not configured")
        else:
            log.warning("did_unknown", call=call_id, **{"pii.number": number})
            self._sip.reject(invite.leg, 404, reason="Unknown number")

    def _send_on(self, invite: sip.IncomingInvite, reason: str) -> None:
        """Refuse a call so that the proxy, or the carrier, tries elsewhere."""
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        self._sip.reject(invite.leg, 503, reason=reason, headers=headers)

    def _place_lost(self, invite: sip.IncomingInvite, number: DidNumber) -> Entry[Place] | None:
        """Return what this caller has left of an earlier call."""
        return place_lost(self._snapshot().places.values(), _user(invite.from_uri), number)

    def _turn_away(self, invite: sip.IncomingInvite, call_id: CallId, away: TurnedAway) -> None:
        """Say no for the whole center: every edge would."""
        at = self._clock.now()
        ticket = self._ticket(invite, call_id, away.did, away.queue, at)
        log.info("call_turned_away", call=call_id, queue=ticket.queue, cause=away.cause)
        self._sip.reject(invite.leg, 486, reason=_TURNED_AWAY[away.cause])
        ending = Ending(outcome=away.outcome, cause=away.cause)
        writing = asyncio.create_task(self._write_turned_away(ticket, ending, at))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _write_turned_away(self, ticket: Ticket, ending: Ending, at: Now) -> None:
        journal, call = self._tools.journal, ticket.call
        journal.owe(Owed(ticket=ticket, ending=ending, part=WITHDRAWN, at=at))
        records = CallRecords(store=self._store, clock=self._clock, call=call)
        await records.write(lambda _, __: turned_away(ticket, ending, at))
        journal.forget(call)

    def _begin(self, invite: sip.IncomingInvite, call_id: CallId, admitted: Admitted) -> None:
        queue, did = admitted.queue, admitted.did
        greeting = did.greeting or queue.greeting
        lost = self._place_lost(invite, did.number)
        if lost is not None and lost.value.has_heard_greeting:
            greeting = None
        ticket = self._ticket(invite, call_id, did, queue, self._clock.now())
        number = international(ticket.caller, ticket.region)
        before = self._before(queue, call_id, number, greeting)
        ticket = replace(
            ticket,
            state=TicketState.GREETING if before else TicketState.QUEUED,
            estimate_s=admitted.estimate_s,
        )
        shell = self._shell(ticket, invite.leg, queue.recording, before=before, music=queue.music)
        self.taken += 1
        log.info("call_arrived", call=call_id, did=ticket.did, queue=ticket.queue, via=ticket.via)
        shell.begin(Rules.of(queue, greeting=bool(before)), invite.sdp)

    def _before(
        self, queue: Queue, call: CallId, caller: str, greeting: str | None
    ) -> tuple[tuple[Spoken, Path], ...]:
        """Return what a caller hears before the queue."""
        asked = recorded.before(queue.recording, call, caller)
        said = (
            (Spoken.GREETING, greeting),
            (Spoken.ANNOUNCEMENT, asked.announcement),
            (Spoken.CONSENT, asked.consent),
        )
        return tuple((what, self._prompt(name)) for what, name in said if name)

    def _prompt(self, name: str) -> Path:
        return self._settings.prompts / f"{name}.wav"

    def _ticket(
        self, invite: sip.IncomingInvite, call_id: CallId, did: Did, queue: Queue, at: Now
    ) -> Ticket:
        """Return the place of a caller who has just come."""
        caller = _user(invite.from_uri) or UNKNOWN_CALLER
        return Ticket(
            call=call_id,
            did=did.number,
            queue=queue.id,
            tenant=queue.tenant,
            needs=queue.needs,
            any_of=queue.any_of,
            attributes=queue.attributes,
            priority=queue.priority,
            state=TicketState.QUEUED,
            holder=self._settings.edge,
            site=self._settings.site,
            via=SiteId(_clean(invite.headers.get(VIA, self._settings.site))),
            caller=caller,
            call_back=rules_for(self._snapshot(), queue, caller),
            sip_call_id=_clean(invite.sip_call_id),
            arrived_ms=at.wall_ms,
            region=region_of(self._snapshot(), did.tenant, did.number),
        )

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
        sounds = Sounds(
            before=before,
            music=self._prompt(music),
            apology=self._prompt(rules.apology) if rules.apology else None,
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
        self._own(leg, ticket.call, None)
        return shell

    def _records_agent(self, agent: AgentId) -> bool:
        known = self._snapshot().agents.get(agent)
        return known is None or known.value.recorded

    def _own(self, leg: LegId, call: CallId, attempt: Attempt | None) -> None:
        self._legs[leg] = _Role(call, attempt)
        self._legs_of.setdefault(call, []).append(leg)

    def _finished(self, call: CallId) -> None:
        self._calls.pop(call, None)
        for leg in self._legs_of.pop(call, ()):
            self._legs.pop(leg, None)


def _user(uri: str) -> str:
    """Return the user part, empty where there is none or the URI makes no sense."""
    try:
        return parse_uri(uri).user or ""
    except RemoteError:
        return ""


def _may_exist(snapshot: Snapshot, number: DidNumber) -> bool:
    """Tell whether we cannot say that there is no such number: its record, or all, is unread."""
    return (
        not snapshot.dids
        or number in snapshot.dids
        or (bool(snapshot.bad) and f"{keys.ROOT}{Kind.DID.value}/{number}" in snapshot.bad)
    )


def _clean(text: str) -> str:
    """Return the text without what is no Unicode: no record, and no journal, could hold it."""
    return text.encode("utf-8", "replace").decode()


_TURNED_AWAY = {QUEUE_FULL: "Queue full", WAIT_TOO_LONG: "Wait too long", CLOSED: "Closed"}
"""Reason phrases; the status is 486, which no proxy and no carrier tries to better elsewhere."""

_BY: dict[sip.EndedBy, By] = {
    sip.EndedBy.REMOTE: By.THEM,
    sip.EndedBy.LOCAL: By.US,
    sip.EndedBy.FAULT: By.FAULT,
}


def _holds(sdp: bytes | None) -> bool:
    """Tell whether its writer puts the other on hold."""
    try:
        return sdp is not None and audio(sdp).is_on_hold
    except SdpError:
        return False


def _of_caller(event: sip.Event) -> ev.Event | None:  # noqa: PLR0911 - one case an event
    match event:
        case sip.Confirmed(sdp=sdp):
            return ev.Confirmed(side=Side.CALLER, sdp=sdp)
        case sip.Cancelled():
            return ev.CallerEnded(by=By.THEM)
        case sip.Ended(by=by, cause=cause):
            return ev.CallerEnded(by=_BY[by], cause=cause)
        case sip.OfferAnswered(sdp=sdp):
            return ev.CallerReinvited(sdp=sdp)
        case sip.OfferRefused(status=status):
            return ev.CallerReinviteRefused(status=status)
        case sip.OfferReceived(sdp=sdp):
            return ev.OfferMade(side=Side.CALLER, sdp=sdp)
        case _:
            return None


def _of_agent(event: sip.Event, attempt: Attempt) -> ev.Event | None:  # noqa: PLR0911 - as above
    match event:
        case sip.Confirmed(sdp=sdp):
            return ev.Confirmed(side=Side.AGENT, sdp=sdp, holds=_holds(sdp))
        case sip.Progress(status=status):
            return ev.AgentProgress(attempt=attempt, status=status)
        case sip.Answered(sdp=sdp):
            return ev.AgentAnswered(attempt=attempt, sdp=sdp)
        case sip.Rejected(status=status, reason=reason):
            return ev.AgentRejected(attempt=attempt, status=status, reason=reason)
        case sip.Ended(by=by, cause=cause):
            return ev.AgentEnded(attempt=attempt, by=_BY[by], cause=cause)
        case sip.OfferReceived(sdp=sdp):
            return ev.OfferMade(side=Side.AGENT, sdp=sdp, holds=_holds(sdp))
        case _:
            return None
