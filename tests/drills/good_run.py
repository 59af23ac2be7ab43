"""A drill's run that was good, seen from all sides: for tests that break one thing in it."""

from __future__ import annotations

from msgspec.structs import replace

from drills.course import Course, End, Made
from drills.demo.figures import Stock
from drills.demo.history import TicketSeen
from drills.demo.ledger import join
from drills.demo.reports import AgentReport, CallerReport, OfferEvent
from drills.demo.waiting import OutOfReach, Waiting
from drills.drill.keeping import evidence_of
from drills.evidence import Evidence
from drills.fault import Fault, FaultKind
from drills.library import experiment_of
from drills.packets import Dialled, Wire
from drills.sealing import FIRST
from drills.seen import Seen
from state.model import (
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    QueueId,
    SiteId,
    Ticket,
    TicketState,
)
from tests.demo.invented import AGENTS, CALLERS, DEAD, KILL_MS, OFFERS, RECORDS, SCENARIO

KILL_SITE = Fault(kind=FaultKind.KILL_SITE, target=DEAD, ttl_s=12.0)
EDGES = {EdgeId(f"{site}{number}"): site for site in SCENARIO.sites for number in (1, 2)}
ADDRESSES = {site: f"198.18.{number}.10" for number, site in enumerate(SCENARIO.sites, start=1)}
SURVIVORS = [edge for edge, site in EDGES.items() if site != DEAD]


def course(*method: Fault, healed_ms: int | None = KILL_MS + 12_300) -> Course:
    """Return how a method was carried out to its end, all of it at the kill."""
    made = tuple(
        Made(
            id=number,
            fault=fault,
            at_ms=KILL_MS,
            until_ms=KILL_MS + round(fault.ttl_s * 1000),
            healed_ms=healed_ms,
            by="timer",
        )
        for number, fault in enumerate(method, start=1)
    )
    return Course(
        end=End.COMPLETED,
        why="",
        method=method,
        verdicts=(),
        notes=(),
        looks=(),
        made=made,
        began_ms=KILL_MS,
        healed_ms=healed_ms,
        back_s=2.0,
    )


def wire(callers: tuple[CallerReport, ...] = CALLERS) -> Wire:
    """Return what these callers sent and got, as the wire had it."""
    return Wire(
        calls=tuple(
            Dialled(
                sip_call_id=each.sip_call_id,
                number=each.number,
                first_site=call.first_site,
                invite_ns=each.invite_ms * 1_000_000,
                status=None if each.ok_ms is None else 200,
                final_ns=None if each.ok_ms is None else each.ok_ms * 1_000_000,
            )
            for call, each in zip(SCENARIO.calls, callers, strict=True)
        ),
        audio_ns={},
        sent_ns={ADDRESSES[each]: [KILL_MS * 1_000_000] for each in SCENARIO.sites},
    )


def seen(
    *method: Fault,
    callers: tuple[CallerReport, ...] = CALLERS,
    agents: tuple[AgentReport, ...] = AGENTS,
    records: tuple[CallRecord, ...] = RECORDS,
    offers: tuple[OfferEvent, ...] = OFFERS,
) -> Seen:
    """Return the good run, or one in which something of it is otherwise."""
    return Seen(
        scenario=SCENARIO,
        ledger=join(SCENARIO, callers, agents, records),
        agents=agents,
        offers=offers,
        course=course(*(method or (KILL_SITE,))),
        wire=wire(callers),
        dropped=0,
        waiting=Waiting(out_of_reach=tuple(down(edge, DEAD) for edge in SURVIVORS)),
        stocks=(Stock(place="a1"),),
        silent=(),
        edges=EDGES,
        addresses=ADDRESSES,
    )


def down(
    edge: EdgeId, site: SiteId, from_ms: float = KILL_MS + 2500, to_ms: float = KILL_MS + 14_000
) -> OutOfReach:
    """Return that an edge said so."""
    return OutOfReach(edge=edge, sites=frozenset({site}), from_ms=from_ms, to_ms=to_ms)


def ticket_at(at_ms: int, call: str, revision: int, **what: object) -> TicketSeen:
    """Return that a call was seen to wait."""
    record = Ticket(
        call=CallId(call),
        did=DidNumber("1"),
        queue=QueueId("q"),
        needs=(),
        priority=0,
        state=TicketState.QUEUED,
        holder=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        caller="",
        sip_call_id=f"sip-{call}",
        arrived_ms=at_ms,
    )
    return TicketSeen(
        at_ms=at_ms,
        call=CallId(call),
        create_revision=revision,
        ticket=replace(record, **what),
    )


def closed_at(at_ms: int, call: str) -> TicketSeen:
    """Return that its ticket was seen to go."""
    return TicketSeen(at_ms=at_ms, call=CallId(call), create_revision=0, ticket=None)


def evidence_of_run(whole: Seen, drill: str = "site_killed") -> Evidence:
    """Return the evidence of what was seen."""
    return evidence_of(
        run="r1",
        previous=FIRST,
        experiment=experiment_of(drill),
        seed=1,
        seen=whole,
        moments=(),
        clocks=(),
        files={},
    )
