"""What the evidence of a drill says, and what it comes to. PURE.

How it is signed, and opened again: `sealing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from drills.course import ASKED, NOT_BEGUN, PULLED, End
from drills.experiment import CALLERS_COME, Bound, Experiment
from drills.guards import Verdict
from drills.permit import Permit

VERSION: Final = 2
"""2: there are pieces between these, of drills that were begun (`drills.begun`)."""
MOST_NAMED: Final = 10
"""Agents whose names are in a line for people; the evidence itself has all."""


class Moment(Struct, frozen=True, kw_only=True):
    """One line of the timeline, bound to the one before it."""

    after_s: float
    at_ms: int
    who: str
    """`runner`, `fault`, `guard`, or a site and its part that saw it: `b edge b1`."""
    what: str
    hash: str = ""


class ClockBound(Struct, frozen=True, kw_only=True):
    """Between what a clock at a site differs from the runner's."""

    who: str
    least_ms: float
    most_ms: float


class Judgement(Struct, frozen=True, kw_only=True):
    """One expectation, and whether it held."""

    expected: str
    figure: str
    value: float | None
    held: bool


class CallRow(Struct, frozen=True, kw_only=True):
    """One call of the ledger, without its caller's number."""

    call: str
    meant_for: str
    served_by: str | None
    agent_at: str | None
    people: str
    edges: str
    placed_s: float
    setup_ms: float | None
    """By the capture."""


class Alone(Struct, frozen=True, kw_only=True):
    """What one site had recorded and no other site was known to have."""

    site: str
    recordings: int
    """Of calls that were over."""
    recorded_s: float
    under_way: int
    """Calls that were being recorded."""
    under_way_s: float


class AtSite(Struct, frozen=True, kw_only=True):
    """How many were at one site: when it was looked last before the first fault, and so on."""

    site: str
    what: str
    """`agents`, those who can be rung by way of it; `calls`, those that are held there."""
    before: int
    least: int
    """While something was broken."""
    most: int
    after: int
    """At the last look."""

    def told(self) -> str:
        """Return it in words."""
        return (
            f"{self.what} at {self.site}: {self.before} before, {self.least} to {self.most}"
            f" while it was broken, {self.after} at the end"
        )


class AgentsMoved(Struct, frozen=True, kw_only=True):
    """Agents who could be rung by way of one site, and later by way of another."""

    was_at: str
    now_at: str
    agents: tuple[str, ...]
    first_s: float
    """When the first of them was seen there, after the first fault."""
    last_s: float

    def named(self) -> str:
        """Return the names, if they are not too many."""
        more = len(self.agents) - MOST_NAMED
        names = ", ".join(self.agents[:MOST_NAMED])
        return f"{names} and {more} more" if more > 0 else names

    def when(self) -> str:
        """Return from when until when they came there."""
        first = f"{self.first_s:.1f} s"
        return first if self.first_s == self.last_s else f"{first} to {self.last_s:.1f} s"

    def told(self) -> str:
        """Return it in words."""
        return (
            f"agents from {self.was_at} to {self.now_at}: {len(self.agents)}, {self.when()} after"
            f" the first fault ({self.named()})"
        )


class LedgerRow(Struct, frozen=True, kw_only=True):
    """One call of living sites that was on while a drill went on, by their own records."""

    call: str
    site: str
    """That held its caller."""
    agent_at: str | None
    came_s: float
    """After the first fault, by the clock of its edge."""
    ended_s: float | None
    outcome: str
    """`on`: it went on when the drill was over; `unknown`: nothing is recorded of its end."""
    cause: str = ""


class CountRow(Struct, frozen=True, kw_only=True):
    """How many calls of living sites came to the same while a drill went on."""

    site: str
    """That held their callers."""
    edge: str
    outcome: str
    """`on` and `unknown` as in a `LedgerRow`."""
    cause: str
    calls: int


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is kept of one drill."""

    v: int = VERSION
    run: str
    previous: str
    begun: str = ""
    """The hash of the piece that was kept before its first fault; empty: there was none."""
    experiment: Experiment
    plan_hash: str
    seed: int
    code: str = ""
    """Of which code: a digest of all sources that ran at the sites. Empty: nobody has noted it."""
    machine: str = ""
    """On how many processors of which kind. Empty: nobody has noted it."""
    began_ms: int
    approvals: tuple[Permit, ...]
    end: End
    why: str
    guards: tuple[Verdict, ...]
    judgements: tuple[Judgement, ...]
    figures: Mapping[str, float | None]
    endless: tuple[str, ...] = ()
    """Which of them never came to an end: in the file these are null, too. `seal` writes it."""
    timeline: tuple[Moment, ...]
    clocks: tuple[ClockBound, ...]
    calls: tuple[CallRow, ...]
    unjudged: tuple[str, ...] = ()
    """Expectations of which nothing can be measured there: where callers are real, most."""
    moved: Mapping[str, int]
    findings: tuple[str, ...]
    looks: tuple[tuple[float, Mapping[str, float]], ...] = ()
    alone: tuple[Alone, ...] = ()
    """What each site had recorded and no other site had: in a lab at the first fault, on a live
    system when the guards decided."""
    at_sites: tuple[AtSite, ...] = ()
    """Where agents and calls were, of a live system; of a lab the ledger says more (`moved`)."""
    agents_moved: tuple[AgentsMoved, ...] = ()
    """Of a live system: who was moved where."""
    ledger: tuple[LedgerRow, ...] = ()
    """Of a live system: every call that was on. `calls` are the test calls there."""
    ledger_counts: tuple[CountRow, ...] = ()
    """In its place, where only sums were told: by a control plane, which names no calls."""
    ledger_by: tuple[str, ...] = ()
    """By whose word; nobody's: it was not made."""
    files: Mapping[str, str] = {}
    """SHA-256 of what lies beside it, by name."""
    page: str = ""
    """SHA-256 of the page that was made of all the rest, beside it; empty: nobody has noted it."""

    @property
    def was_begun(self) -> bool:
        """Whether anything was done at all; what was not shows nothing of what was expected."""
        return self.end not in NOT_BEGUN

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped it half-way, which shows nothing for or against what it tests.

        A drill that is about that aborts itself.
        """
        by = {PULLED} if self.experiment.aborts_after_s else {PULLED, ASKED}
        return self.end is End.ABORTED and self.why in by

    @property
    def is_live(self) -> bool:
        """Whether it was on sites that were up: only those are asked two people's approval for."""
        return bool(self.approvals)

    @property
    def held(self) -> bool:
        """Whether it ended as it should and every expectation held; of none nothing is shown.

        Of those that were judged: where `unjudged` names others, it held in part (`verdict`).
        """
        due = End.ABORTED if self.experiment.aborts_after_s else End.COMPLETED
        is_judged = bool(self.judgements)
        return self.end is due and is_judged and all(each.held for each in self.judgements)


def verdict(evidence: Evidence) -> str:
    """Return what became of it, in a word or two."""
    if not evidence.was_begun:
        return "NOT BEGUN"
    if evidence.was_stopped:
        return "STOPPED"
    if not evidence.held:
        return "BROKEN"
    return f"held in part: {extent(evidence)}" if evidence.unjudged else "held"


def extent(evidence: Evidence) -> str:
    """Return how many of its expectations were judged."""
    judged = len(evidence.judgements)
    return f"{judged} of {judged + len(evidence.unjudged)} judged"


def lacked(evidence: Evidence) -> tuple[Bound, ...]:
    """Return what was needed for it to begin, and was not there when it was last looked at."""
    if evidence.end is not End.NOT_STEADY or not evidence.looks:
        return ()
    _, values = evidence.looks[-1]
    ready = evidence.experiment.ready
    found = tuple(bound for bound in ready if not bound.holds(values.get(bound.figure)))
    have_come = CALLERS_COME.holds(values.get(CALLERS_COME.figure, 0.0))
    return found if have_come else (*found, CALLERS_COME)


def judge(expect: Iterable[Bound], values: Mapping[str, float | None]) -> tuple[Judgement, ...]:
    """Return every expectation with what was measured."""
    return tuple(
        Judgement(
            expected=bound.told(),
            figure=bound.figure,
            value=values.get(bound.figure),
            held=bound.holds(values.get(bound.figure)),
        )
        for bound in expect
    )
