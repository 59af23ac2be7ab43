"""The figures of a run. PURE.

Owns what is counted and how. What the numbers have to be is said in `claims`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil

from msgspec import Struct, field

from drills.demo import failover, ledger, routing
from drills.demo.failover import Kill, Sighting
from drills.demo.hearing import Copies, Recorded
from drills.demo.ledger import Ledger, Row
from drills.demo.management import Managed
from drills.demo.reports import AgentReport, OfferEvent
from drills.demo.scenario import Scenario
from state.model import AgentId, EdgeId, Outcome, SiteId

QUEUED_FROM_MS = 500
"""A caller for whom no phone rings so long after the greeting has queued: nobody was free."""


class Stock(Struct, frozen=True, kw_only=True):
    """What is left in one place after the last call."""

    place: str
    legs: int = 0
    transactions: int = 0
    calls: int = 0
    media_calls: int = 0
    tickets: int = 0
    offers: int = 0

    @property
    def left(self) -> int:
        """Return how many things are left that should be gone.

        Transactions are no leak: they end by their own timers (RFC 3261 §17), after the dialog has.
        """
        return self.legs + self.calls + self.media_calls + self.tickets + self.offers


class Run(Struct, frozen=True, kw_only=True):
    """Everything that was seen in one run."""

    scenario: Scenario
    ledger: Ledger
    agents: tuple[AgentReport, ...]
    offers: tuple[OfferEvent, ...]
    kill: Kill | None
    leader: SiteId | None
    """Where the etcd leader was when the site was chosen."""
    successor: SiteId | None
    """Where it was at the end."""
    sightings: tuple[Sighting, ...]
    stocks: tuple[Stock, ...]
    unanswered_stock: tuple[EdgeId, ...]
    """Edges that should live but would not say what they hold."""
    setup_s: float
    edges: Mapping[EdgeId, SiteId] = field(default_factory=dict)
    """All edges of the plan, and where they are."""
    recordings: tuple[Recorded, ...] = ()
    """Of the answered calls of the sites that live."""
    copies: Copies = Copies()
    """What another living site has of them, and of the dead site's."""
    sounds_sought: int = 0
    """How many seconds of the calls were looked for in the clear."""
    plaintext: tuple[str, ...] = ()
    """Files in which one was found."""
    managed: Managed = Managed()
    """What a manager saw of the API."""
    back: Mapping[AgentId, int] = field(default_factory=dict)
    """When agents were first there after the kill, at another site than the dead one."""


class Count(Struct, frozen=True, kw_only=True):
    """How the calls ended, by one side's word."""

    offered: int
    answered: int
    abandoned: int
    refused: int
    lost: int

    @property
    def adds_up(self) -> bool:
        """Return True when every call has exactly one end."""
        return self.offered == self.answered + self.abandoned + self.refused + self.lost


class Waits(Struct, frozen=True, kw_only=True):
    """From the caller's INVITE to the agent's voice, of the answered."""

    mean_s: float
    p95_s: float
    max_s: float
    queued: int
    """How many waited because nobody was free."""


class Figures(Struct, frozen=True, kw_only=True):
    """What a run measured. Field by field, the JSON of `--json`."""

    offered: int
    by_people: Count
    by_edges: Count
    mismatches: tuple[ledger.Mismatch, ...]
    held: int
    """Callers who put their agent on hold and came back."""
    same_site: int
    other_site: int
    waits: Waits
    wrong_skill: tuple[routing.Fault, ...]
    double_offers: tuple[routing.Fault, ...]
    audio_checked: int
    audio_due: int
    """Answered calls of our own phone: every one must be checked."""
    audio_due_checked: int
    audio_both_ways: int
    audio_faults: tuple[str, ...]
    rto_s: float | None
    redirected: int
    slow: int
    noticed_s: dict[failover.Detector, float] = field()
    last_offer_s: float
    """When an agent was last offered a call at the dead site, after the kill."""
    back_s: Mapping[AgentId, float]
    """How long after the kill each agent of the dead site could be reached at another."""
    homed: int
    """How many agents the dead site had."""
    lost_elsewhere: tuple[str, ...]
    timeline: tuple[failover.Moment, ...]
    leaks: int
    leaking: tuple[Stock, ...]
    unanswered_stock: tuple[EdgeId, ...]
    setup_s: float
    killed: SiteId | None
    leader: SiteId | None
    successor: SiteId | None


def measure(run: Run) -> Figures:
    """Return the figures of a run."""
    book = run.ledger
    answered = [row for row in book.placed if row.by_people is Outcome.ANSWERED]
    checked = [row for row in answered if ledger.is_checked(row)]
    ours = [row for row in answered if ledger.is_of_our_phone(row)]
    same = sum(1 for row in answered if _is_same_site(row))
    leaking = tuple(stock for stock in run.stocks if stock.left)
    return Figures(
        offered=len(book.placed),
        by_people=_count([row.by_people for row in book.placed]),
        by_edges=_count([record.outcome for row in book.rows for record in row.records]),
        mismatches=book.mismatches(),
        held=sum(1 for row in answered if row.caller is not None and row.caller.held),
        same_site=same,
        other_site=len(answered) - same,
        waits=_waits(answered, sum(1 for row in answered if _queued(row))),
        wrong_skill=routing.wrong_skills(run.scenario, book, run.agents, run.offers),
        double_offers=routing.double_offers(run.agents, run.offers),
        audio_checked=len(checked),
        audio_due=len(ours),
        audio_due_checked=sum(1 for row in ours if ledger.is_checked(row)),
        audio_both_ways=sum(1 for row in checked if row.audio and row.audio.both_ways),
        audio_faults=tuple(
            f"call {row.planned.index}: {ledger.audio_story(row.audio)}"
            for row in checked
            if row.audio and not row.audio.both_ways
        ),
        rto_s=failover.rto_s(book, run.kill) if run.kill else None,
        redirected=failover.redirected(book, run.kill) if run.kill else 0,
        slow=len(failover.slow_after(book, run.kill)) if run.kill else 0,
        noticed_s=failover.noticed_s(run.sightings, run.kill) if run.kill else {},
        last_offer_s=(
            failover.last_offer_s(run.scenario, run.kill, run.offers, run.back) if run.kill else 0.0
        ),
        back_s=failover.back_s(run.scenario, run.kill, run.back) if run.kill else {},
        homed=sum(run.kill is not None and e.site == run.kill.site for e in run.scenario.agents),
        lost_elsewhere=_needless(run),
        timeline=_timeline(run),
        leaks=sum(stock.left for stock in leaking),
        leaking=leaking,
        unanswered_stock=run.unanswered_stock,
        setup_s=run.setup_s,
        killed=run.kill.site if run.kill else None,
        leader=run.leader,
        successor=run.successor,
    )


def _count(outcomes: Sequence[Outcome | None]) -> Count:
    by = Counter(outcomes)
    return Count(
        offered=len(outcomes),
        answered=by[Outcome.ANSWERED],
        abandoned=by[Outcome.ABANDONED],
        refused=by[Outcome.REFUSED],
        lost=by[Outcome.LOST],
    )


def _is_same_site(row: Row) -> bool:
    return row.record is not None and row.record.agent_site == row.record.site


def waited_ms(row: Row) -> int | None:
    """Return how long the caller waited for an agent; None for one who never got one."""
    caller = row.caller
    if caller is None or caller.joined_ms is None:
        return None
    return caller.joined_ms - caller.invite_ms


def _queued(row: Row) -> bool:
    if row.agent is None or row.record is None or row.record.queued_ms is None:
        return False
    return row.agent.invite_ms - row.record.queued_ms > QUEUED_FROM_MS


def _waits(answered: Sequence[Row], queued: int) -> Waits:
    waits = sorted(ms for row in answered if (ms := waited_ms(row)) is not None)
    if not waits:
        return Waits(mean_s=0.0, p95_s=0.0, max_s=0.0, queued=queued)
    return Waits(
        mean_s=sum(waits) / len(waits) / 1000,
        p95_s=waits[ceil(0.95 * len(waits)) - 1] / 1000,
        max_s=waits[-1] / 1000,
        queued=queued,
    )


def _needless(run: Run) -> tuple[str, ...]:
    if run.kill is None:
        return ()
    return tuple(
        f"call {row.planned.index}: {ledger.people_story(row)} / {ledger.edges_story(row)}"
        for row in failover.lost_elsewhere(run.ledger, run.kill)
    )


def _timeline(run: Run) -> tuple[failover.Moment, ...]:
    if run.kill is None:
        return ()
    return failover.timeline(
        run.scenario, run.ledger, run.kill, run.sightings, run.offers, run.back
    )
