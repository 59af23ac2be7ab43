"""Callers' own accounts of their calls against the edges' ledger. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from state.model import Outcome


class Account(Struct, frozen=True, kw_only=True):
    """How one call went, as its caller saw it."""

    call: str
    was_answered: bool
    """By an edge; not yet by an agent."""
    heard_agent: bool
    cut_off: bool


class Books(Struct, frozen=True, kw_only=True):
    """What the comparison found."""

    calls: int
    """That an edge had answered."""
    missing: tuple[str, ...]
    """Answered, and in no record."""
    doubled: tuple[str, ...]
    """In more than one record."""
    contradicted: tuple[str, ...]
    """The caller heard an agent, and the record knows of none; with what it says instead."""
    cut_off: int

    @property
    def is_exact(self) -> bool:
        """Whether caller and ledger agree on every call."""
        return not (self.missing or self.doubled or self.contradicted)

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


def compare(accounts: Iterable[Account], ledger: Iterable[tuple[str, Outcome | None]]) -> Books:
    """Compare; `ledger` has each record of a call that is over: its id, and what came of it."""
    records = list(ledger)
    counts: Mapping[str, int] = Counter(call for call, _ in records)
    outcomes = dict(records)
    answered = [each for each in accounts if each.was_answered]
    return Books(
        calls=len(answered),
        missing=tuple(each.call for each in answered if each.call not in outcomes),
        doubled=tuple(each.call for each in answered if counts.get(each.call, 0) > 1),
        contradicted=tuple(
            f"{each.call}: {outcomes[each.call] or 'no outcome'}"
            for each in answered
            if each.heard_agent
            and each.call in outcomes
            and outcomes[each.call] is not Outcome.ANSWERED
            and not each.cut_off
        ),
        cut_off=sum(1 for each in answered if each.cut_off),
    )
