"""What callers and agents say of the calls against the edges' ledger. PURE.

How a call ended by the people's word is the demo's rule (`drills.demo.ledger`): there is one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from drills.demo.ledger import outcome_of
from drills.demo.reports import AgentReport, CallerReport
from state.model import Outcome


class Books(Struct, frozen=True, kw_only=True):
    """What the comparison found."""

    calls: int
    """That an edge had answered."""
    missing: tuple[str, ...]
    """Answered, and in no record."""
    doubled: tuple[str, ...]
    """In more than one record."""
    contradicted: tuple[str, ...]
    """By one side's word an agent and the caller talked and one of them ended it, and by the
    other's not: with what both say."""
    cut_off: int
    """Lost, by the people's word."""

    @property
    def is_exact(self) -> bool:
        """Whether people and ledger agree on every call."""
        return not (self.missing or self.doubled or self.contradicted)

    def told(self) -> str:
        """Return in a few words on how many calls they do not agree."""
        counts = (
            (len(self.missing), "in no record"),
            (len(self.doubled), "in two records"),
            (len(self.contradicted), "told otherwise"),
        )
        return ", ".join(f"{count} calls {what}" for count, what in counts if count)

    def figures(self) -> dict[str, float]:
        """Return them by name."""
        return {
            "ledger.calls": self.calls,
            "ledger.missing": len(self.missing),
            "ledger.doubled": len(self.doubled),
            "ledger.contradicted": len(self.contradicted),
            "ledger.exact": float(self.is_exact),
            "calls.cut_off_share": self.cut_off / self.calls if self.calls else 0.0,
        }


def compare(
    callers: Iterable[CallerReport],
    agents: Iterable[AgentReport],
    ledger: Iterable[tuple[str, Outcome | None]],
) -> Books:
    """Compare; `ledger` has each record of a call that is over: its id, and what came of it."""
    records = list(ledger)
    counts: Mapping[str, int] = Counter(call for call, _ in records)
    outcomes = dict(records)
    # By call, and once: a soak has thousands of both.
    rung: defaultdict[str | None, list[AgentReport]] = defaultdict(list)
    for report in agents:
        rung[report.call].append(report)
    said = {
        each.call: outcome_of(each, rung.get(each.call, ()))
        for each in callers
        if each.ok_ms is not None
    }
    return Books(
        calls=len(said),
        missing=tuple(call for call in said if call not in outcomes),
        doubled=tuple(call for call in said if counts.get(call, 0) > 1),
        contradicted=tuple(
            f"{call}: {outcomes[call] or 'no outcome'}, and {outcome} by the people"
            for call, outcome in said.items()
            if call in outcomes
            and (outcome is Outcome.ANSWERED) is not (outcomes[call] is Outcome.ANSWERED)
        ),
        cut_off=sum(
            outcome is Outcome.LOST and outcomes.get(call) is not Outcome.CALLBACK
            for call, outcome in said.items()
        ),
    )
