"""From what a drill has brought to a piece of evidence. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drills.books import lost_elsewhere, moved
from drills.course import NOT_BEGUN, Course
from drills.demo import routing
from drills.demo.ledger import Ledger, Row, edges_story, people_story
from drills.evidence import Alone, CallRow, ClockBound, Evidence, Judgement, Moment, judge
from drills.experiment import Experiment
from drills.figures import figures
from drills.markup import number
from drills.sealing import chained
from drills.seen import Seen
from drills.truth import untruths
from drills.wording import told
from edge.steering.loss import RecordingsRisk
from state.model import SiteId, Unreplicated

MOST_FINDINGS = 20
MOST_UNTRUTHS = 3


def evidence_of(  # noqa: PLR0913 - what goes into it
    *,
    run: str,
    previous: str,
    experiment: Experiment,
    seed: int,
    code: str = "",
    machine: str = "",
    seen: Seen,
    moments: tuple[Moment, ...],
    clocks: tuple[ClockBound, ...],
    files: Mapping[str, str],
) -> Evidence:
    """Return the evidence of a drill, judged."""
    course = seen.course
    values = figures(seen)
    # What was not begun shows nothing of what is expected.
    judgements = judge(experiment.expect, values) if course.end not in NOT_BEGUN else ()
    t0_ms = course.began_ms or (course.notes[0].at_ms if course.notes else 0)
    setups = {each.sip_call_id: each.setup_ms for each in seen.wire.calls}
    return Evidence(
        run=run,
        previous=previous,
        experiment=experiment,
        plan_hash=experiment.plan_hash,
        seed=seed,
        code=code,
        machine=machine,
        began_ms=t0_ms,
        approvals=(),
        end=course.end,
        why=course.why,
        guards=course.verdicts,
        judgements=judgements,
        figures={name: _round(value) for name, value in values.items()},
        timeline=chained(moments),
        clocks=clocks,
        calls=tuple(_call(row, t0_ms, setups) for row in seen.ledger.placed),
        moved=moved(seen.ledger),
        findings=_most(tuple(_findings(seen, judgements))),
        looks=tuple(((each.at_ms - t0_ms) / 1000, each.values) for each in course.looks),
        alone=tuple(alone_at(each.site, each) for each in seen.alone),
        files=dict(files),
    )


def evidence_not_begun(  # noqa: PLR0913 - what goes into it
    *,
    run: str,
    previous: str,
    experiment: Experiment,
    seed: int,
    code: str,
    machine: str = "",
    course: Course,
) -> Evidence:
    """Return the evidence of a drill into which no caller was let, as the machine had no time."""
    t0_ms = course.looks[0].at_ms
    return Evidence(
        run=run,
        previous=previous,
        experiment=experiment,
        plan_hash=experiment.plan_hash,
        seed=seed,
        code=code,
        machine=machine,
        began_ms=t0_ms,
        approvals=(),
        end=course.end,
        why=course.why,
        guards=(),
        judgements=(),
        figures={},
        timeline=chained(
            Moment(
                after_s=(each.at_ms - t0_ms) / 1000, at_ms=each.at_ms, who=each.who, what=each.what
            )
            for each in course.notes
        ),
        clocks=(),
        calls=(),
        moved={},
        findings=(),
        looks=tuple(((each.at_ms - t0_ms) / 1000, each.values) for each in course.looks),
    )


def alone_at(site: SiteId, kept: Unreplicated | RecordingsRisk) -> Alone:
    """Return what a site alone had recorded."""
    return Alone(
        site=site,
        recordings=kept.recordings,
        recorded_s=kept.recorded_s,
        under_way=kept.under_way,
        under_way_s=kept.under_way_s,
    )


def _call(row: Row, t0_ms: int, setups: Mapping[str, float | None]) -> CallRow:
    caller, record = row.caller, row.record
    return CallRow(
        call="" if caller is None else caller.call,
        meant_for=row.planned.first_site,
        served_by=None if record is None else record.site,
        agent_at=None if record is None else record.agent_site,
        people=str(row.by_people),
        edges=str(row.by_edges),
        placed_s=0.0 if caller is None else (caller.invite_ms - t0_ms) / 1000,
        setup_ms=None if caller is None else _round(setups.get(caller.sip_call_id)),
    )


def _most(findings: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many as people read, and how many more there are."""
    more = len(findings) - MOST_FINDINGS
    return (*findings[:MOST_FINDINGS], f"and {more} more findings") if more > 0 else findings


def _findings(seen: Seen, judgements: tuple[Judgement, ...]) -> Iterator[str]:
    for each in judgements:
        if not each.held:
            yield f"expected {each.expected}, found {_found(each.value)}"
    yield from _untrue(seen, judgements)
    yield from _two_stories(seen.ledger, "")
    if seen.again is not None:
        yield from _two_stories(seen.again.dialled, "who came again, ")
        yield from _two_stories(seen.again.called, "who was called back, ")
    for double in routing.double_offers(seen.agents, seen.offers):
        yield f"two at once: {double.agent} {double.why}"
    for row in lost_elsewhere(seen):
        yield f"lost elsewhere: {people_story(row)} / {edges_story(row)}"
    yield from _unrecorded(seen)
    for stock in seen.stocks:
        if stock.left:
            yield f"left at {stock.place}: {stock}"
    if seen.silent:
        yield f"edges that did not answer at the end: {', '.join(seen.silent)}"
    yield from _lacking(seen)


def _untrue(seen: Seen, judgements: tuple[Judgement, ...]) -> Iterator[str]:
    """Yield of whom what was said untruly for longest, where that was too long."""
    t0_ms = seen.course.began_ms
    for each in judgements:
        if each.figure == "untrue_agent_s" and not each.held and t0_ms is not None:
            worst = sorted(untruths(seen, t0_ms), key=lambda one: -one.for_s)
            for one in worst[:MOST_UNTRUTHS]:
                yield f"untrue of {one.of}: {one.what} ({told(each.figure, one.for_s)})"


def _two_stories(book: Ledger, whose: str) -> Iterator[str]:
    for mismatch in book.mismatches():
        # No number: a finding goes to whoever reads reports.
        call = mismatch.call.partition(" from ")[0]
        yield f"two stories of {whose}{call}: people {mismatch.people}; edges {mismatch.edges}"


def _lacking(seen: Seen) -> Iterator[str]:
    if seen.dropped is None:
        yield "the capture never told its end: nothing is measured by it"
    elif seen.dropped:
        yield f"the capture lost {seen.dropped} packets"
    if seen.lines is None:
        yield "the capture at the agents' links never told its end: nothing is measured by it"


def _unrecorded(seen: Seen) -> Iterator[str]:
    for recorded in seen.recorded or ():
        if recorded.fault or not recorded.is_complete:
            missing = "; ".join(recorded.gaps)
            what = f"without {missing}" if missing else "and its end is not known"
            told = recorded.fault or f"{recorded.seconds:.1f} s of it, {what}"
            yield f"recording of {recorded.call}: {told}"


def _found(value: float | None) -> str:
    return "nothing measured" if value is None else number(_round(value))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
