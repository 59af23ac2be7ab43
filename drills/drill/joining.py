"""What callers, agents, edges, the store and the wire have seen of one drill, joined.

Owns which calls are the plan's: who dials again, and the short calls beside, are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from drills.again import books
from drills.agent_lines import AgentLines, read_lines
from drills.blast import killed_site
from drills.course import Course
from drills.demo import history
from drills.demo.figures import Stock
from drills.demo.ledger import join
from drills.demo.recorded import Listening
from drills.demo.reports import CallerReport
from drills.demo.run import Stage, edge_homes, read_records
from drills.demo.said import words
from drills.demo.waiting import waiting
from drills.drill import witnesses
from drills.drill.short_calls import is_short
from drills.evidence import ClockBound
from drills.lab.plan import HostKind
from drills.packets import heard
from drills.seen import CalledBack, CallingBack, Felt, Redialled, Seen, Written
from state.model import AgentId, EdgeId, Unreplicated

_SIGNED_IN, _SIGNED_OUT = "registered", "registration_failed"
"""What telephones say of it."""


class Captured(Struct, frozen=True, kw_only=True):
    """What was on some links."""

    pcap: bytes
    dropped: int | None
    """Packets that the kernel did not give to the capture; None: it never told its end."""


class Kept(Struct, frozen=True, kw_only=True):
    """What a rehearsal has put aside for it."""

    ledger_from: int
    """The ledger's revision before any call came."""
    callers: Captured
    agents: Captured
    redialled: tuple[Redialled, ...]
    called: tuple[CalledBack, ...] | None
    """What came to callers' own telephones; None: nobody is called back."""
    again: tuple[CallerReport, ...]
    """What the telephones of those say who came again."""
    called_again: tuple[CallerReport, ...]
    """And those at which somebody was called back."""
    stocks: tuple[Stock, ...]
    silent: tuple[EdgeId, ...]
    written: Written | None
    clocks: tuple[ClockBound, ...]
    """What the clocks said after the first fault."""
    alone: tuple[Unreplicated, ...]
    """What no other site had at the first fault."""
    felt: Felt
    aborted_ms: int | None


async def seen(stage: Stage, course: Course, kept: Kept) -> Seen:
    """Join it all, once everything is over and before the lab goes down."""
    records = await read_records(stage.store, after=kept.ledger_from)
    backs = tuple(each for each in records if each.callback_of is not None)
    come = (*kept.again, *kept.called_again)
    extra = {each.sip_call_id for each in come} | {each.sip_call_id for each in backs}
    again = {each.call for each in come} | {each.call for each in backs}

    def is_planned(sip_call_id: str) -> bool:
        return not (sip_call_id in extra or is_short(sip_call_id))

    agents = stage.people.agent_reports()
    caught = kept.callers
    wire = heard(caught.pcap, stage.lab.addresses["callers"], dropped=caught.dropped)
    planned = tuple(each for each in wire.calls if is_planned(each.sip_call_id))
    book = join(
        stage.scenario,
        stage.people.caller_reports(),
        [each for each in agents if each.call not in again],
        [each for each in records if is_planned(each.sip_call_id)],
    )
    come_again = books(
        stage.scenario,
        dialled=kept.again,
        called=kept.called_again,
        agents=agents,
        records=records,
        wire=wire,
    )
    listening = Listening(stage.lab, None)
    return Seen(
        scenario=stage.scenario,
        ledger=book,
        agents=agents,
        offers=history.offers(stage.observer.seen),
        course=course,
        wire=msgspec.structs.replace(wire, calls=planned),
        moved_ms=_moved_ms(stage, course),
        merged_ms=witnesses.merged(stage),
        taken_over=witnesses.taken_over(stage),
        alone_still=witnesses.still_alone(stage),
        clocks_meanwhile=kept.clocks,
        aborted_ms=kept.aborted_ms,
        said=witnesses.said(stage, course),
        redialled=kept.redialled,
        again=come_again if kept.redialled or kept.called is not None else None,
        calling_back=None if kept.called is None else CallingBack(calls=kept.called, records=backs),
        short_calls=tuple(each for each in wire.calls if is_short(each.sip_call_id)),
        short_records=tuple(each for each in records if is_short(each.sip_call_id)),
        written=kept.written,
        tickets=history.tickets(stage.observer.seen),
        waiting=waiting(stage.observer.seen),
        dropped=caught.dropped,
        lines=_lines(stage, kept.agents),
        addresses={site: stage.lab.addresses[site] for site in stage.lab.plan.sites},
        words=words(stage.observer.seen),
        out_of_reach=witnesses.out_of_reach(stage),
        stocks=kept.stocks,
        silent=kept.silent,
        recorded=await listening.listen(book.rows),
        recorded_lost=await listening.listen_to_lost(book.rows),
        alone=kept.alone,
        felt=kept.felt,
        edges=edge_homes(stage.lab),
        writes_ms=tuple(each.at_ms for each in stage.observer.seen),
        sign_ins=_sign_ins(stage),
    )


def _lines(stage: Stage, caught: Captured) -> AgentLines | None:
    """Return what was on the agents' links; None: the capture ended before it was told to."""
    if caught.dropped is None:
        return None
    agents = {host.address for host in stage.lab.plan.hosts_of(HostKind.AGENTS)}
    return read_lines(caught.pcap, agents)


def _moved_ms(stage: Stage, course: Course) -> Mapping[AgentId, int]:
    """Return when agents of the site that was killed were first there by another's word."""
    gone, began_ms = killed_site(course.method), course.began_ms
    if gone is None or began_ms is None:
        return {}
    return history.came_back(stage.observer.seen, gone, began_ms)


def _sign_ins(stage: Stage) -> tuple[tuple[int, str, bool], ...]:
    """Return when which telephone said that it is registered, or no longer."""
    return tuple(
        (line.wall_ms, line.phone, line.event == _SIGNED_IN)
        for line in stage.people.lines
        if line.event in {_SIGNED_IN, _SIGNED_OUT}
    )
