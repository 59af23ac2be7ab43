"""Who calls in: admits a new call and makes its ticket, sends it on, or says no.

Owns what becomes of an INVITE before there is a call; the call is then the switchboard's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.acd import recorded
from edge.acd.admission import CLOSED, QUEUE_FULL, WAIT_TOO_LONG, Admitted, TurnedAway, admit
from edge.acd.callback import rules_for
from edge.acd.cut_off import coming_again
from edge.acd.ending import UNKNOWN_CALLER, WITHDRAWN, Ending
from edge.acd.forecast import SAMPLED_EVERY_S, forecast_for_newcomer, is_sampled
from edge.acd.heirs import Earlier, left_places
from edge.acd.owed import Owed
from edge.acd.region import international, region_of
from edge.acd.reservation import turned_away
from edge.acd.yielding import is_late
from edge.calls.consulting import AGENT
from edge.calls.journal import Journal
from edge.calls.places import place_lost
from edge.calls.played import Spoken
from edge.calls.prompts import Prompts
from edge.calls.records import CallRecords
from edge.calls.telephony import Telephony
from edge.calls.tools import RETRY_AFTER_S
from edge.settings import Settings
from edge.sip import events as sip
from edge.sip.escapes import clean
from edge.sip.events import LegId
from edge.sip.subscriber import caller_in, number_in
from edge.waiting import Line
from state import keys
from state.clock import Clock
from state.keys import Kind, call_id_for
from state.model import (
    AgentId,
    CallId,
    Did,
    DidNumber,
    Now,
    Queue,
    SiteId,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot
from state.store import Store

log = structlog.get_logger()

VIA = "x-everline-via"
LONGEST_CALL_ID = 512
"""It is in the caller's ticket and record each time that these are written: what fills a datagram
would fill the shared state's store, and every site would serve alone."""


class Arrival(Struct, frozen=True, kw_only=True):
    """A call that may begin."""

    ticket: Ticket
    leg: LegId
    sdp: bytes | None
    queue: Queue
    before: tuple[tuple[Spoken, Path], ...]
    """What the caller hears before the queue."""
    waited_s: float = 0.0
    """How long its INVITE had been in the socket."""

    @property
    def is_late(self) -> bool:
        """Whether a sister may have the call too."""
        return is_late(self.waited_s)


class _Caller(Struct, frozen=True, kw_only=True):
    """Who calls, and what they have left of an earlier call."""

    number: str
    """Personal data."""
    earlier: Earlier
    """Of calls that stand elsewhere."""
    has_place: bool = False
    has_heard_greeting: bool = False


class Reception:
    """Takes the INVITEs that begin a call."""

    def __init__(  # noqa: PLR0913 - what it decides on, and whom it tells
        self,
        *,
        settings: Settings,
        clock: Clock,
        store: Store,
        sip: Telephony,
        snapshot: Callable[[], Snapshot],
        journal: Journal,
        prompts: Prompts,
        holds: Callable[[CallId], bool],
        was_cancelled: Callable[[CallId], bool],
        is_draining: Callable[[], bool],
        line: Line,
        take: Callable[[Arrival], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._sip = sip
        self._snapshot = snapshot
        self._journal = journal
        self._prompts = prompts
        self._holds = holds
        self._was_cancelled = was_cancelled
        self._is_draining = is_draining
        self._line = line
        self._take = take
        self._sampled_s = clock.now().mono_s
        """When a wait was estimated last that nobody had asked for, or this began."""
        self._writing: set[asyncio.Task[None]] = set()
        """Records of callers who were turned away."""

    def admit(self, invite: sip.IncomingInvite) -> None:
        """Let the call begin, send it on, or refuse it."""
        if len(invite.sip_call_id) > LONGEST_CALL_ID:
            self._sip.reject(invite.leg, 400, reason="Call-ID too long")
            return
        snapshot = self._snapshot()
        number = DidNumber(number_in(invite.request_uri))
        caller = self._caller(invite, number)
        admission = admit(snapshot, number, self._clock.now(), has_place=caller.has_place)
        call_id = call_id_for(invite.sip_call_id, invite.from_tag)
        if self._was_cancelled(call_id):
            # A proxy, or a carrier, has given us up and asks again, by another way.
            self._send_on(invite, "Cancelled before")
        elif self._holds(call_id):
            # The same INVITE by another way, while the first one is being served.
            self._sip.reject(invite.leg, 482, reason="Merged")
        elif self._is_draining():
            self._send_on(invite, "Draining")
        elif isinstance(admission, Admitted):
            self._begin(invite, call_id, caller, admission)
        elif isinstance(admission, TurnedAway):
            self._turn_away(invite, call_id, caller, admission)
        elif _may_exist(snapshot, number):
            if snapshot.dids:
                log.error("did_without_service", did=number, call=call_id)
            else:  # nothing is wrong with it: we have just begun, and have read nothing yet
                log.warning("not_configured_yet", did=number, call=call_id)
            self._send_on(invite, "Not configured")
        else:
            log.warning("did_unknown", call=call_id, **{"pii.number": number})
            self._sip.reject(invite.leg, 404, reason="Unknown number")

    def _send_on(self, invite: sip.IncomingInvite, reason: str) -> None:
        """Refuse a call so that the proxy, or the carrier, tries elsewhere."""
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        self._sip.reject(invite.leg, 503, reason=reason, headers=headers)

    def _caller(self, invite: sip.IncomingInvite, did: DidNumber) -> _Caller:
        """Return who calls. To look for their earlier calls costs, so it is done once a call."""
        number = caller_in(invite.from_uri) or UNKNOWN_CALLER
        earlier = self._line.earlier(number, did)
        lost, left = place_lost(left_places(self._snapshot()), number, did), earlier.left
        if lost is not None:
            heard = lost.value.has_heard_greeting
        elif earlier.lost is not None:
            heard = True
        elif left is not None:
            heard = left.value.state is not TicketState.GREETING
        else:
            return _Caller(number=number, earlier=earlier)
        return _Caller(number=number, earlier=earlier, has_place=True, has_heard_greeting=heard)

    def _turn_away(
        self, invite: sip.IncomingInvite, call_id: CallId, caller: _Caller, away: TurnedAway
    ) -> None:
        """Say no for the whole center: every edge would."""
        at = self._clock.now()
        ticket = self._ticket(invite, call_id, caller, away.did, away.queue, at)
        log.info("call_turned_away", call=call_id, queue=ticket.queue, cause=away.cause)
        self._sip.reject(invite.leg, 486, reason=_TURNED_AWAY[away.cause])
        ending = Ending(outcome=away.outcome, cause=away.cause)
        writing = asyncio.create_task(self._write_turned_away(ticket, ending, at))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _write_turned_away(self, ticket: Ticket, ending: Ending, at: Now) -> None:
        journal, call = self._journal, ticket.call
        journal.owe(Owed(ticket=ticket, ending=ending, part=WITHDRAWN, at=at))
        records = CallRecords(store=self._store, clock=self._clock, call=call)
        await records.write(lambda _, __: turned_away(ticket, ending, at))
        journal.forget(call)

    def _begin(
        self, invite: sip.IncomingInvite, call_id: CallId, caller: _Caller, admitted: Admitted
    ) -> None:
        queue, did, at = admitted.queue, admitted.did, self._clock.now()
        greeting = None if caller.has_heard_greeting else did.greeting or queue.greeting
        ticket = self._ticket(invite, call_id, caller, did, queue, at)
        number = international(ticket.caller, ticket.region)
        before = self._before(queue, call_id, number, greeting)
        estimate_s = admitted.estimate_s
        if queue.longest_estimate_s is None and at.mono_s >= self._sampled_s + SAMPLED_EVERY_S:
            estimate_s = self._sample_s(queue, at)
        ticket = replace(
            ticket,
            state=TicketState.GREETING if before else TicketState.QUEUED,
            estimate_s=estimate_s,
        )
        log.info("call_arrived", call=call_id, did=ticket.did, queue=ticket.queue, via=ticket.via)
        self._take(
            Arrival(
                ticket=ticket,
                leg=invite.leg,
                sdp=invite.sdp,
                queue=queue,
                before=before,
                waited_s=invite.waited_s,
            )
        )

    def _sample_s(self, queue: Queue, at: Now) -> float | None:
        """Return how long a caller will probably wait; None: this one is not measured."""
        snapshot = self._snapshot()
        if not is_sampled(snapshot, at.mono_s - self._sampled_s):
            return None
        self._sampled_s = at.mono_s
        return forecast_for_newcomer(snapshot, queue, at).wait_s

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
        return tuple((what, self._prompts.path(name)) for what, name in said if name)

    def _ticket(  # noqa: PLR0913, PLR0917  who comes, and what is known of it
        self,
        invite: sip.IncomingInvite,
        call_id: CallId,
        caller: _Caller,
        did: Did,
        queue: Queue,
        at: Now,
    ) -> Ticket:
        """Return the place of a caller who has just come."""
        ticket = Ticket(
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
            via=SiteId(clean(invite.headers.get(VIA, self._settings.site))),
            caller=caller.number,
            by=_agent_in(invite),
            call_back=rules_for(self._snapshot(), queue, caller.number),
            sip_call_id=clean(invite.sip_call_id),
            arrived_ms=at.wall_ms,
            region=region_of(self._snapshot(), did.tenant, did.number),
            again_of=caller.earlier.calls,
        )
        return coming_again(ticket, caller.earlier.lost)


def _agent_in(invite: sip.IncomingInvite) -> AgentId | None:
    """Return which agent calls from a telephone of ours; None: whoever calls is none."""
    by = invite.headers.get(AGENT, "").strip()
    return AgentId(by) if by else None


def _may_exist(snapshot: Snapshot, number: DidNumber) -> bool:
    """Tell whether we cannot say that there is no such number: its record, or all, is unread."""
    return (
        not snapshot.dids
        or number in snapshot.dids
        or (bool(snapshot.bad) and f"{keys.ROOT}{Kind.DID.value}/{number}" in snapshot.bad)
    )


_TURNED_AWAY = {QUEUE_FULL: "Queue full", WAIT_TOO_LONG: "Wait too long", CLOSED: "Closed"}
"""Reason phrases; the status is 486, which no proxy and no carrier tries to better elsewhere."""
