"""What a drill on sites that are up leaves: its figures, by test calls alone, and its evidence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from drills.blast import killed_site
from drills.books import SETTLED_AFTER_S
from drills.course import Course, Look
from drills.demo.reports import End as How
from drills.drill.keeping import MOST_FINDINGS, alone_at
from drills.drill.live import AGENTS_AT, CALLS_AT, LiveGround, Probed
from drills.evidence import AtSite, CallRow, Evidence, LedgerRow, Moment, judge
from drills.experiment import Experiment
from drills.live_books import ENDS, UNKNOWN, Books, Homes, books
from drills.live_counts import Told, beside, books_of, silent_because
from drills.live_recovery import recording_rto_s
from drills.recovery import ANSWER_LIMIT_S, data_rto_s, long_dead
from drills.sealing import chained
from drills.sources import PRODUCT, digest, machine
from state.model import Outcome, SiteId

_AT = AGENTS_AT, CALLS_AT


def figures(
    course: Course, probes: Sequence[Probed], first_site: SiteId | None, now_ms: int
) -> dict[str, float | None]:
    """Return what can be measured where callers are real: by the test calls alone.

    A fault that was never undone still stands at `now_ms`, and has outlived its time by so much.
    """
    t0_ms = course.began_ms
    late = [
        ((now_ms if each.healed_ms is None else each.healed_ms) - each.until_ms) / 1000
        for each in course.made
        if each.fault.ttl_s
    ]
    found: dict[str, float | None] = {
        "back_s": course.back_s,
        # Faults of which nobody told any more may stand for ever.
        "ttl_overrun_s": None if course.method and not course.made else max([0.0, *late]),
        "test_calls": len(probes),
    }
    if t0_ms is None:
        return found
    after = [each for each in probes if each.at_ms >= t0_ms]
    settled = [each for each in after if each.at_ms >= t0_ms + SETTLED_AFTER_S * 1000]
    found["failed"] = sum(each.answered_ms is None for each in settled) if settled else None
    found["final_answer_s"] = max(map(_final_s, after), default=None)
    found["rto_s"] = _rto_s(after, t0_ms, first_site)
    joined = [
        each.joined_ms
        for each in after
        if each.joined_ms is not None and first_site in {None, each.first}
    ]
    found["media_rto_s"] = (min(joined) - t0_ms) / 1000 if joined else None
    return found


def _final_s(probed: Probed) -> float:
    """Return how long a test call waited for its final answer: for ever, if none is known."""
    final_ms = probed.ended_ms if probed.how is How.REFUSED else probed.answered_ms
    return math.inf if final_ms is None else (final_ms - probed.at_ms) / 1000


def _rto_s(probes: Iterable[Probed], t0_ms: int, first_site: SiteId | None) -> float | None:
    """Return when service was back: `drills.packets.rto_s` of test calls."""
    first_good: int | None = None
    placed = [each for each in probes if first_site in {None, each.first}]
    for each in placed:
        # A phone's program takes a moment to start before it dials.
        limit_ms = (ANSWER_LIMIT_S + 1.0) * 1000
        if each.answered_ms is None or each.answered_ms - each.at_ms > limit_ms:
            first_good = None
        elif first_good is None:
            first_good = each.answered_ms
    if first_good is None:
        return math.inf if placed else None
    return (first_good - t0_ms) / 1000


def evidence_of(
    run: str, previous: str, experiment: Experiment, ground: LiveGround, course: Course
) -> Evidence:
    """Return the evidence of a drill on live sites."""
    t0_ms = course.began_ms or (course.notes[0].at_ms if course.notes else 0)
    now_ms = ground.clock.now().wall_ms
    values = figures(course, ground.probes, killed_site(course.method), now_ms)
    judged = tuple(bound for bound in experiment.expect if bound.figure in values)
    unseen = tuple(each.told() for each in experiment.expect if each.figure not in values)
    onlookers, homes = ground.onlookers, ground.homes
    notes = () if onlookers is None else onlookers.notes
    ledger = _ledger(ground, course)
    rows = {} if ledger is None else {each.call: each for each in ledger.rows}
    calls = tuple(
        _call(number, each, rows.get(each.call or ""), t0_ms)
        for number, each in enumerate(ground.probes)
    )
    findings = [f"not judged where callers are real: {', '.join(unseen)}"] if unseen else []
    findings += () if onlookers is None else onlookers.findings()
    findings += _findings(ground, course, ledger, calls)
    return Evidence(
        run=run,
        previous=previous,
        experiment=experiment,
        plan_hash=experiment.plan_hash,
        seed=0,
        code=digest(*PRODUCT),
        machine=machine(),
        began_ms=t0_ms,
        approvals=() if ground.permit is None else (ground.permit,),
        end=course.end,
        why=course.why,
        guards=course.verdicts,
        judgements=judge(judged, values),
        unjudged=unseen,
        figures=values | _said(course, homes, ledger, calls) | _back(ground, course),
        timeline=chained(
            Moment(
                after_s=round((each.at_ms - t0_ms) / 1000, 3),
                at_ms=each.at_ms,
                who=each.who,
                what=each.what,
            )
            for each in (*course.notes, *notes)
        ),
        clocks=() if onlookers is None else onlookers.clocks(),
        calls=calls,
        moved=_moved(calls),
        alone=tuple(alone_at(*each) for each in sorted(ground.alone.items())),
        findings=tuple(findings),
        at_sites=at_sites(course, now_ms),
        agents_moved=homes.moved(t0_ms),
        ledger=() if ledger is None else ledger.rows,
        ledger_counts=() if ledger is None else ledger.counts,
        ledger_by=() if ledger is None else ledger.by,
        looks=tuple(((each.at_ms - t0_ms) / 1000, each.values) for each in course.looks),
    )


def _ledger(ground: LiveGround, course: Course) -> Books | None:
    """Return the ledger of what was begun; None: nothing was, or nobody told of calls.

    The desk tells of each call. Where there is none, a control plane's sums are the ledger.
    """
    if course.began_ms is None:
        return None
    counted = None if ground.counting is None else ground.counting.counted
    sums = Told() if ground.ledgers is None else ground.ledgers.told
    if counted is None:
        return books_of(sums)
    return beside(books(counted, ground.recorded, course.began_ms), sums)


def _said(
    course: Course, homes: Homes, ledger: Books | None, calls: Sequence[CallRow]
) -> dict[str, float | None]:
    """Return what the sites say. It is not judged: in a lab the same figures know more."""
    found: dict[str, float | None] = {}
    if ledger is not None:
        found |= ledger.figures
        if not ledger.counts:  # sums name no call that a telephone could be compared with
            told_twice = [each for each in calls if is_told_twice(each)]
            found["mismatches"] = len(tuple(two_stories(calls))) if told_twice else None
    gone = long_dead(course.method)
    if gone is not None and course.began_ms is not None:
        found["agents_back_s"] = homes.back_s(gone, course.began_ms)
    return found


def _back(ground: LiveGround, course: Course) -> dict[str, float | None]:
    """Return when recording, the shared state and agents' telephones were back, as it looked.

    It is not judged: a look is a second late, and real agents sign off when they like.
    """
    t0_ms, counting = course.began_ms, ground.counting
    if t0_ms is None or counting is None:
        return {}
    gone, pulse = killed_site(course.method), counting.pulse
    return {
        "recording_rto_s": recording_rto_s(ground.talks, ground.whole, t0_ms, gone),
        "data_rto_s": data_rto_s(pulse.writes_ms, t0_ms),
        "sign_in_rto_s": pulse.sign_in_rto_s(t0_ms),
    }


def _findings(
    ground: LiveGround, course: Course, ledger: Books | None, calls: Iterable[CallRow]
) -> Iterator[str]:
    if ledger is not None:
        yield from ledger.findings
        yield from islice(two_stories(calls), MOST_FINDINGS)
    elif ground.counting is not None and course.began_ms is not None:
        sums = Told() if ground.ledgers is None else ground.ledgers.told
        why = silent_because(sums)
        told = f"; nor did control planes count them ({why})" if why else ""
        yield f"there is no ledger of calls: the sites did not tell which were on{told}"


def at_sites(course: Course, now_ms: int) -> tuple[AtSite, ...]:
    """Return where agents and calls were before, meanwhile and after; nothing of what never broke.

    A fault that was never undone lasts until `now_ms`.
    """
    t0_ms, end_ms = course.began_ms, course.healed_ms or now_ms
    looks = [look for look in course.looks if look.values]
    if t0_ms is None or not looks or looks[0].at_ms > t0_ms:
        return ()
    names = sorted({name for look in looks for name in look.values if name.startswith(_AT)})
    return tuple(_at_site(name, looks, t0_ms, end_ms) for name in names)


def _at_site(name: str, looks: Sequence[Look], t0_ms: int, end_ms: int) -> AtSite:
    counts = [(look.at_ms, round(look.values.get(name, 0))) for look in looks]
    before = [count for at_ms, count in counts if at_ms <= t0_ms][-1]
    meanwhile = [count for at_ms, count in counts if t0_ms < at_ms <= end_ms] or [before]
    what, _, site = name.partition("_at_")
    return AtSite(
        site=site,
        what=what,
        before=before,
        least=min(meanwhile),
        most=max(meanwhile),
        after=counts[-1][1],
    )


def _call(number: int, probed: Probed, row: LedgerRow | None, t0_ms: int) -> CallRow:
    has_ended = row is not None and row.outcome in ENDS
    return CallRow(
        call=probed.call or f"test-{number}",
        meant_for=probed.first,
        served_by=None if row is None else row.site,
        agent_at=None if row is None else row.agent_at,
        people=people_word(probed),
        edges=row.outcome if row is not None and has_ended else "",
        placed_s=(probed.at_ms - t0_ms) / 1000,
        setup_ms=None if probed.answered_ms is None else float(probed.answered_ms - probed.at_ms),
    )


def people_word(probed: Probed) -> str:
    """Return how a test call ended by its caller's telephone alone; `unknown`: that cannot tell.

    Whether a call that the other side ended was ended by its agent, only the agent knows. Nobody
    gives a test call up but for want of an answer.
    """
    match probed.how:
        case How.REFUSED:
            return Outcome.REFUSED
        case How.CANCELLED | How.UNHEARD | How.SILENCE | How.FAULT:
            return Outcome.LOST
        case How.HUNG_UP:
            return Outcome.ANSWERED if probed.joined_ms is not None else Outcome.ABANDONED
        case How.FAR_END | How.UNFINISHED:
            return Outcome.LOST if probed.answered_ms is None else UNKNOWN


def is_told_twice(call: CallRow) -> bool:
    """Tell whether both a test call's telephone and the sites say how it ended."""
    return bool(call.edges) and call.people != UNKNOWN


def two_stories(calls: Iterable[CallRow]) -> Iterator[str]:
    """Yield each test call of which its caller and the sites tell otherwise."""
    for each in calls:
        if is_told_twice(each) and each.people != each.edges:
            yield f"two stories of call {each.call}: people {each.people}; edges {each.edges}"


def _moved(calls: Iterable[CallRow]) -> Mapping[str, int]:
    """Return how many test calls were served elsewhere than at the site that they came to."""
    moves = Counter(
        f"{each.meant_for} -> {each.served_by}"
        for each in calls
        if each.served_by not in {None, each.meant_for}
    )
    return dict(sorted(moves.items()))
