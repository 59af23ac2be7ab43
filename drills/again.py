"""The books of those who came again, or were called back: a ledger of their own. PURE.

They are no calls of the plan: they are there because of what was broken. Kept as its ledger is, by
the word of people, edges and wire, each by itself: a row for each call, as one may be called more
than once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from drills.books import wire_differs
from drills.demo.ledger import Ledger, Row, join
from drills.demo.reports import AgentReport, CallerReport
from drills.demo.scenario import Behaviour, Dialler, Scenario
from drills.markup import number
from drills.packets import Dialled, Wire
from drills.seen import Again, Seen
from state.model import CallId, CallRecord, Outcome

_ENDS: Final = (
    Outcome.ANSWERED,
    Outcome.ABANDONED,
    Outcome.REFUSED,
    Outcome.LOST,
    Outcome.CALLBACK,
)


def books(  # noqa: PLR0913 - everybody has a word
    scenario: Scenario,
    *,
    dialled: Sequence[CallerReport],
    called: Sequence[CallerReport],
    agents: Sequence[AgentReport],
    records: Sequence[CallRecord],
    wire: Wire,
) -> Again:
    """Return the books, from what everybody says of all calls of a drill.

    `dialled`: by the telephones of those who came again; `called`: by those at which somebody was
    called back.
    """
    came = {each.sip_call_id for each in dialled}
    backs = [each for each in records if each.callback_of is not None]
    rung = {each.sip_call_id for each in called}
    # Nobody was dialled: they had called by themselves, or the edge was about to stop.
    unrung = [e for e in backs if e.outcome is Outcome.CALLBACK and e.sip_call_id not in rung]
    return Again(
        dialled=_book(
            scenario, dialled, agents, [each for each in records if each.sip_call_id in came]
        ),
        called=_by_called(
            _book(scenario, called, agents, [each for each in backs if each not in unrung])
        ),
        wire_dialled=tuple(each for each in wire.calls if each.sip_call_id in came),
        wire_called=wire.came,
    )


def called_as_caller(report: CallerReport) -> CallerReport:
    """Return what a telephone says at which somebody is called back, under our name for the call.

    An edge makes the Call-ID of that name, and no other side has a word in it.
    """
    return replace(report, call=CallId(report.sip_call_id.partition("@")[0]))


def _book(
    scenario: Scenario,
    callers: Sequence[CallerReport],
    agents: Sequence[AgentReport],
    records: Sequence[CallRecord],
) -> Ledger:
    """Return the ledger of these calls alone; each is named by its SIP Call-ID, not by a number."""
    planned = {each.number: each for each in scenario.calls}
    calls = tuple(
        replace(
            planned[each.number],
            number=each.sip_call_id,
            dialler=Dialler.PHONE,
            behaviour=Behaviour.CALLER_ENDS,
        )
        for each in callers
    )
    theirs = {each.call for each in callers} | {each.call for each in records}
    return join(
        replace(scenario, calls=calls),
        [replace(each, number=each.sip_call_id) for each in callers],
        [each for each in agents if each.call in theirs],
        records,
    )


def _by_called(book: Ledger) -> Ledger:
    """Let those who never lifted be as nobody has reached them, whoever gave it up."""
    return replace(book, rows=tuple(_as_called(row) for row in book.rows))


def _as_called(row: Row) -> Row:
    was_reached = row.caller is None or row.caller.ok_ms is not None
    return row if was_reached else replace(row, by_people=Outcome.CALLBACK)


def again(seen: Seen) -> dict[str, float | None]:
    """Return how many of these calls came to what, and whether everybody says the same."""
    kept = seen.again
    if kept is None:
        return {}
    rows = (*kept.dialled.rows, *kept.called.rows)
    people = Counter(row.by_people for row in rows)
    edges = Counter(record.outcome for record in _records(kept))
    mismatches = len(kept.dialled.mismatches()) + len(kept.called.mismatches())
    differs = len(_wire_differs(kept.dialled, kept.wire_dialled))
    differs += len(_wire_differs(kept.called, kept.wire_called))
    sums = len(rows) == sum(people[each] for each in _ENDS)
    is_exact = sums and people == edges and not (mismatches or differs)
    return {
        "again_offered": len(rows),
        "again_answered": people[Outcome.ANSWERED],
        "again_abandoned": people[Outcome.ABANDONED],
        "again_refused": people[Outcome.REFUSED],
        "again_lost": people[Outcome.LOST],
        "again_unreached": people[Outcome.CALLBACK],
        "again_mismatches": mismatches,
        "again_wire_differs": differs,
        "again_exact": float(is_exact),
    }


def again_in_words(figures: Mapping[str, float | None]) -> str:
    """Return it as people read it, behind the same of the plan; nothing where it is not told."""
    exact = figures.get("again_exact")
    if exact is None:
        return ""
    ends = ("answered", "abandoned", "refused", "lost")
    told = " + ".join(f"{number(figures.get(f'again_{each}'))} {each}" for each in ends)
    return (
        f" Of those who came again, or were called back: {number(figures.get('again_offered'))} ="
        f" {told} + {number(figures.get('again_unreached'))} not reached. Their ledger is"
        f" {'exact' if exact == 1 else 'not exact'}."
    )


def _records(kept: Again) -> Iterable[CallRecord]:
    for book in (kept.dialled, kept.called):
        for row in book.rows:
            yield from row.records
        yield from book.unclaimed_records


def _wire_differs(book: Ledger, wire: tuple[Dialled, ...]) -> frozenset[str]:
    """Return the calls of which the wire tells another answer, or which only one of them has."""
    on_wire = Wire(calls=wire, audio_ns={})
    placed = {row.caller.sip_call_id for row in book.placed if row.caller}
    return frozenset(wire_differs(book, on_wire)) | ({e.sip_call_id for e in wire} ^ placed)


def all_callers(seen: Seen) -> Ledger:
    """Return the rows of the plan and of those who came again: they are to be answered like any."""
    if seen.again is None:
        return seen.ledger
    return replace(seen.ledger, rows=(*seen.ledger.rows, *seen.again.dialled.rows))


def all_dialled(seen: Seen) -> Wire:
    """Return the same calls by the capture."""
    if seen.again is None:
        return seen.wire
    return replace(seen.wire, calls=(*seen.wire.calls, *seen.again.wire_dialled))
