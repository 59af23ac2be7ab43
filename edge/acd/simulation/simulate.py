"""Runs a recorded day again: the real matcher and rules, other callers and agents never. PURE.

What is as it was: when callers come, to which site and edge, how long they are greeted, and for
those who left how long they waited; how long it rings and how long they talk, whoever the agent is;
who did not take a call; when agents come, pause and go, and what edges find unreachable. What the
rules make of it: the queue, the place, the agent, the rest.

What it does not know, and so leaves out: the patience of callers who were answered, or turned away
(they stay for as long as it takes), rests that agents ended early or prolonged, calls that were
under way when the day began, and the milliseconds that a store and a telephone take. Whom an agent
let it ring for, or declined, is taken to ring for the queue's whole `ring_timeout_s`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from edge.acd import reservation as plans
from edge.acd.admission import OUTCOMES, WAITED_TOO_LONG, TurnedAway, admit
from edge.acd.eligibility import rings_from_s, unavailable_because
from edge.acd.ending import UNKNOWN_CALLER, WITHDRAWN, AgentPart, Ending, Holds
from edge.acd.granting import reserved
from edge.acd.match import Offering, match, next_due_s
from edge.acd.patience import asks
from edge.acd.plan import Held
from edge.acd.relaxation import effective_now, steps_of
from edge.acd.roster import Roster
from edge.acd.simulation.day import Caller, Day
from edge.acd.simulation.world import World
from state import keys
from state.codec import decode, encode
from state.configuration import Configuration
from state.eventlog.lines import DELETED, Begin, Changed
from state.eventlog.lines import begin as begun_with
from state.keys import Kind, parse
from state.model import (
    CallId,
    CallRecord,
    Decision,
    EdgeId,
    Now,
    Outcome,
    Presence,
    Queue,
    SiteId,
    Ticket,
    TicketState,
    TurnAway,
    WorkEnd,
)
from state.snapshot import Snapshot

UNKNOWN_NUMBER = "no_such_number"
_CONFIG = frozenset(kind for kind in Kind if kind.value.startswith("state/config/"))


class _Comes(Struct, frozen=True):
    caller: Caller
    place: int


class _Queues(Struct, frozen=True):
    call: CallId


class _Leaves(Struct, frozen=True):
    call: CallId


class _RingEnds(Struct, frozen=True):
    call: CallId
    attempt: int
    is_answered: bool


class _TalkEnds(Struct, frozen=True):
    call: CallId


class _Look(Struct, frozen=True):
    """Something in the rules falls due."""


_Event: TypeAlias = Changed | _Comes | _Queues | _Leaves | _RingEnds | _TalkEnds | _Look


class _Call:
    """One caller's call while it lasts."""

    def __init__(self, caller: Caller, held: Held | None) -> None:
        self.caller = caller
        self.held = held
        self.attempt = 0
        self.decision: Decision | None = None


class Replayed(Struct, frozen=True, kw_only=True):
    """What became of the calls."""

    records: tuple[CallRecord, ...]
    unfinished: int
    """Who still waited when nothing more happened: nobody would ever have come for them."""


def replay(day: Day, rules: Configuration | None = None) -> Replayed:
    """Run a day under other rules; None: under its own."""
    return _Replay(day, rules).run()


class _Replay:
    def __init__(self, day: Day, rules: Configuration | None) -> None:
        self._world = World(_begun(day.begin, rules))
        self._rules = rules
        self._roster = Roster()
        self._calls: dict[CallId, _Call] = {}
        self._waiting: set[CallId] = set()
        self._heap: list[tuple[int, int, _Event]] = []
        self._count = 0
        self._look_ms: int | None = None
        for change in day.changes:
            self._at(change.wall_ms, change)
        for place, caller in enumerate(day.callers, start=1):
            self._at(caller.record.arrived_ms, _Comes(caller, place))

    def run(self) -> Replayed:
        """Go through the events until there are no more."""
        while self._heap:
            wall_ms = self._heap[0][0]
            now = self._world.now(wall_ms)
            while self._heap and self._heap[0][0] == wall_ms:
                self._happen(heapq.heappop(self._heap)[2], now)
            self._decide(now)
        return Replayed(records=tuple(self._world.records), unfinished=len(self._calls))

    def _at(self, wall_ms: int, event: _Event) -> None:
        self._count += 1
        heapq.heappush(self._heap, (wall_ms, self._count, event))

    # -- what happens

    def _happen(self, event: _Event, now: Now) -> None:
        match event:
            case Changed():
                self._world.write(_writes(event, self._world.snapshot, self._rules), now)
            case _Comes():
                self._comes(event, now)
            case _Queues(call=call):
                self._queues(call, now)
            case _Leaves(call=call):
                self._leaves(call, now)
            case _RingEnds():
                self._ring_ends(event, now)
            case _TalkEnds(call=call):
                self._talk_ends(call, now)
            case _Look():
                self._look_ms = None

    def _comes(self, event: _Comes, now: Now) -> None:
        caller, snapshot = event.caller, self._world.snapshot
        admission = admit(snapshot, caller.record.did, now)
        if admission is None:
            ending = Ending(outcome=Outcome.REFUSED, cause=UNKNOWN_NUMBER)
            self._refuse(_ticket(caller, None, event.place, snapshot), ending, now)
        elif isinstance(admission, TurnedAway):
            ticket = _ticket(caller, admission.queue, event.place, snapshot)
            ending = Ending(outcome=admission.outcome, cause=admission.cause)
            self._refuse(ticket, ending, now)
        else:
            ticket = _ticket(caller, admission.queue, event.place, snapshot)
            ticket = replace(ticket, estimate_s=admission.estimate_s)
            held = self._world.carry_out(plans.created(ticket, now), now)
            self._calls[ticket.call] = _Call(caller, held)
            self._at(now.wall_ms + caller.greeting_ms, _Queues(ticket.call))

    def _refuse(self, ticket: Ticket, ending: Ending, now: Now) -> None:
        self._world.carry_out(plans.turned_away(ticket, ending, now), now)

    def _queues(self, call_id: CallId, now: Now) -> None:
        call = self._calls[call_id]
        call.held = self._world.carry_out(plans.queued(_held(call), now), now)
        self._waiting.add(call_id)
        if call.caller.patience_ms is not None:
            self._at(now.wall_ms + call.caller.patience_ms, _Leaves(call_id))

    def _leaves(self, call_id: CallId, now: Now) -> None:
        call = self._calls.get(call_id)
        if call is None or _held(call).ticket.value.state is TicketState.CONNECTED:
            return
        self._end(call_id, Outcome.LOST if call.caller.is_cut_off else Outcome.ABANDONED, now)

    def _ring_ends(self, event: _RingEnds, now: Now) -> None:
        call = self._calls.get(event.call)
        if call is None or call.attempt != event.attempt:
            return
        held = _held(call)
        if held.given is None:
            raise AssertionError(f"nobody rings for {event.call}")
        if event.is_answered:
            call.held = self._world.carry_out(plans.connected(held, held.given, now), now)
            self._at(now.wall_ms + call.caller.talk_ms, _TalkEnds(event.call))
            return
        queue = self._queue(held.ticket.value)
        part = AgentPart(end=WorkEnd.NO_ANSWER, rest_s=queue.no_answer_pause_s)
        plan = plans.offer_failed(held, held.given, part, now, tried=True)
        call.held = self._world.carry_out(plan, now)
        self._waiting.add(event.call)

    def _talk_ends(self, call_id: CallId, now: Now) -> None:
        caller = self._calls[call_id].caller
        # Who was cut off as they waited had not come to talk: of their talk nothing is known.
        was_cut = caller.is_cut_off and caller.patience_ms is None
        self._end(call_id, Outcome.LOST if was_cut else Outcome.ANSWERED, now)

    def _end(self, call_id: CallId, outcome: Outcome, now: Now, cause: str = "") -> None:
        call = self._calls.pop(call_id)
        self._waiting.discard(call_id)
        held = _held(call)
        part, has_talked = WITHDRAWN, held.ticket.value.state is TicketState.CONNECTED
        if has_talked:
            part = AgentPart(end=WorkEnd.TALKED, rest_s=self._queue(held.ticket.value).wrap_up_s)
        ending = Ending(
            outcome=outcome,
            cause=cause or call.caller.record.cause,
            decision=call.decision,
            agent_site=call.caller.record.site if has_talked else None,
            talk=Holds(wrap_up_s=part.rest_s) if has_talked else None,
        )
        self._world.carry_out(plans.ended(held, ending, part, now), now)

    def _queue(self, ticket: Ticket) -> Queue:
        entry = self._world.snapshot.queues.get(ticket.queue)
        return Queue(id=ticket.queue, needs=()) if entry is None else entry.value

    # -- what is decided

    def _decide(self, now: Now) -> None:
        self._turn_away(now)
        if not self._waiting:
            return
        if self._is_anybody_free(now):
            for offering in match(self._world.snapshot, now, roster=self._roster):
                self._reserve(offering, now)
        self._look_again(now)

    def _is_anybody_free(self, now: Now) -> bool:
        """Tell whether a match can give anybody away: a long line need not be looked at for none.

        Where more come than there are people for, that is at most moments.
        """
        facts = self._roster.facts(self._world.snapshot).values()
        return any(unavailable_because(each, now) is None for each in facts)

    def _stepping(self) -> list[CallId]:
        """Return the calls whose rules change as they wait, by id."""
        snapshot = self._world.snapshot
        queues = {queue for queue, entry in snapshot.queues.items() if steps_of(entry.value)}
        if not queues:
            return []
        tickets = snapshot.tickets
        return sorted(call for call in self._waiting if tickets[call].value.queue in queues)

    def _turn_away(self, now: Now) -> None:
        snapshot = self._world.snapshot
        for call in self._stepping():
            entry = snapshot.tickets[call]
            turn_away = effective_now(snapshot.queues, entry, now).turn_away
            # Nobody knows what who is asked would have said: they wait on.
            is_asked = turn_away is TurnAway.CALLBACK and asks(snapshot, entry.value)
            if turn_away is not None and not is_asked:
                self._end(call, OUTCOMES[turn_away], now, WAITED_TOO_LONG)

    def _reserve(self, offering: Offering, now: Now) -> None:
        call, snapshot = self._calls[offering.call], self._world.snapshot
        plan = reserved(offering, _held(call), snapshot, edge=offering.holder, at=now)
        call.held = self._world.carry_out(plan, now)
        self._waiting.discard(offering.call)
        call.attempt += 1
        call.decision = offering.decision
        caller = call.caller
        # Somebody who did not take it and is asked again as the last resort does, in the end.
        has_tried = offering.agent in _held(call).ticket.value.tried
        is_answered = offering.agent not in caller.lets_ring or has_tried
        ring_s = self._queue(_held(call).ticket.value).ring_timeout_s
        ring_ms = caller.ring_ms if is_answered else round(ring_s * 1000)
        # Given a little before the end of their rest, an agent is rung when it is over.
        work, presence = snapshot.works.get(offering.agent), snapshot.presences.get(offering.agent)
        ring_ms += round(1000 * max(0.0, rings_from_s(work, presence, now) - now.mono_s))
        event = _RingEnds(offering.call, call.attempt, is_answered)
        self._at(now.wall_ms + ring_ms, event)

    def _look_again(self, now: Now) -> None:
        if not self._waiting:
            return
        due_s = next_due_s(self._world.snapshot, now, self._stepping())
        if due_s is None:
            return
        due_ms = now.wall_ms + max(1, -int(-(due_s - now.mono_s) * 1000 // 1))
        if self._look_ms is None or due_ms < self._look_ms:
            self._look_ms = due_ms
            self._at(due_ms, _Look())


def _held(call: _Call) -> Held:
    if call.held is None:
        raise AssertionError(f"call {call.caller.record.call} holds nothing")
    return call.held


def _ticket(caller: Caller, queue: Queue | None, place: int, snapshot: Snapshot) -> Ticket:
    record = caller.record
    holder = _holder(snapshot, record)
    rules = Queue(id=record.queue, needs=()) if queue is None else queue
    return Ticket(
        call=record.call,
        did=record.did,
        queue=rules.id,
        tenant=rules.tenant,
        needs=rules.needs,
        any_of=rules.any_of,
        attributes=rules.attributes,
        priority=rules.priority,
        state=TicketState.GREETING,
        holder=holder,
        site=record.site,
        via=record.via,
        caller=UNKNOWN_CALLER,
        sip_call_id=record.sip_call_id,
        arrived_ms=record.arrived_ms,
        place=place,
    )


def _holder(snapshot: Snapshot, record: CallRecord) -> EdgeId:
    """Return who held the caller; if that edge is not there, one of the same site, or any."""
    if record.edge in snapshot.edges:
        return record.edge
    near = sorted(
        snapshot.edges, key=lambda edge: (snapshot.edges[edge].value.site != record.site, edge)
    )
    return near[0] if near else record.edge


# ---- the rules -----------------------------------------------------------------------------------


def _begun(begin: Begin, rules: Configuration | None) -> Begin:
    """Return how the day begins, under other rules."""
    if rules is None:
        return begin
    world = World(replace(begin, rows=tuple(r for r in begin.rows if not _is_config(r.key))))
    at = world.now(begin.wall_ms)
    world.write([(key, encode(record)) for key, record in rules.by_key().items()], at)
    presences = [e.value for e in world.snapshot.presences.values()]
    moved = [(keys.presence(p.agent), _at_home(p, _homes(rules))) for p in presences]
    world.write(moved, at)
    return begun_with(begin.reader, world.snapshot, at)


def _homes(rules: Configuration) -> dict[str, SiteId]:
    return {agent.id: agent.site for agent in rules.agents}


def _at_home(presence: Presence, homes: dict[str, SiteId]) -> bytes:
    """Return a presence at the home that the rules give the agent; an early rest is nobody's."""
    site = homes.get(presence.agent, presence.site)
    return encode(replace(presence, site=site, rest_of=0, rest_s=0.0))


def _writes(
    line: Changed, snapshot: Snapshot, rules: Configuration | None
) -> Iterator[tuple[str, bytes | None]]:
    """Yield what a line of the log does to the day, under other rules."""
    homes = {str(agent): entry.value.site for agent, entry in snapshot.agents.items()}
    for row in line.changes:
        value = bytes(row.value)
        if rules is not None and _is_config(row.key):
            continue
        held = snapshot.raw.get(row.key)
        if value == DELETED:
            yield row.key, None
        elif held is not None and held.value == value:
            continue
        elif parse(row.key).kind is Kind.PRESENCE:
            yield row.key, _at_home(decode(Presence, value, row.key), homes)
        else:
            yield row.key, value


def _is_config(key: str) -> bool:
    return parse(key).kind in _CONFIG
