"""What the report of a drill on sites that are up says of calls and agents. PURE.

Owns how its ledger is told: by whose word, what each part of the sum is, and what nobody can say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape

from drills.evidence import Evidence
from drills.live_books import ENDS, ON, UNKNOWN
from drills.markup import number, table

_PARTS = (*ENDS.values(), "still_on", "unaccounted")
_WORDS = {
    "to_call_back": "sent away, to be called back",
    "still_on": "still on when it was over",
    "unaccounted": "of which nothing is recorded",
}
_ENDS = {**{str(end): name for end, name in ENDS.items()}, ON: "still_on", UNKNOWN: "unaccounted"}


def ledger(evidence: Evidence) -> str:
    """Return the ledger's paragraph and its table by site."""
    figures = evidence.figures
    exact = "exact" if _is_exact(evidence) else '<span class="broken">not exact</span>'
    counts = ", which counts calls and names none" if evidence.ledger_counts else ""
    return (
        f"<p>{escape(_sum(evidence))}. The sum is {exact}. By the word of"
        f" {escape(', '.join(evidence.ledger_by))}{counts}: from the first look at the calls,"
        " before anything was broken, until the last one. Callers are real there and nobody asks"
        f" them; {_of_test_calls(evidence, figures)}.</p>{_by_site(evidence)}"
    )


def _of_test_calls(evidence: Evidence, figures: Mapping[str, float | None]) -> str:
    found = f"of {number(figures.get('test_calls'))} test calls their telephones tell as well,"
    if evidence.ledger_counts:
        return f"{found} which is compared with nothing: sums do not tell which calls these are"
    differing = figures.get("mismatches")
    if differing is None:
        return f"{found} which is compared with nothing: of none both have told how it ended"
    return f"{found} {number(differing)} otherwise than the sites"


def _sum(evidence: Evidence) -> str:
    figures = evidence.figures
    parts = " + ".join(
        f"{number(figures.get(name))} {_WORDS.get(name, name)}"
        for name in _PARTS
        if name not in _WORDS or figures.get(name)
    )
    return f"{number(figures.get('offered'))} calls were on = {parts}"


def _is_exact(evidence: Evidence) -> bool:
    return evidence.figures.get("ledger_sums") == 1.0


def _by_site(evidence: Evidence) -> str:
    ends = Counter((each.site, _ENDS.get(each.outcome, each.outcome)) for each in evidence.ledger)
    for each in evidence.ledger_counts:
        ends[each.site, _ENDS.get(each.outcome, each.outcome)] += each.calls
    sites = sorted({site for site, _ in ends})
    rows = [(escape(site), *(f"{ends[site, name]}" for name in _PARTS)) for site in sites]
    return table(("calls held at", *(_WORDS.get(name, name) for name in _PARTS)), rows)


def moved(evidence: Evidence) -> str:
    """Return which agents were moved where."""
    if not evidence.agents_moved:
        return ""
    rows = [
        (
            escape(f"{each.was_at} -> {each.now_at}"),
            f"{len(each.agents)}",
            escape(each.when()),
            escape(each.named()),
        )
        for each in evidence.agents_moved
    ]
    heads = ("agents", "how many", "after the first fault", "who")
    return "<h3>Agents who were moved</h3>" + table(heads, rows)


def lines(evidence: Evidence) -> Iterator[str]:
    """Yield the same in a few lines, for a terminal, and what is known of the sites' clocks."""
    if evidence.ledger_by:
        yield f"{_sum(evidence)}: {'exact' if _is_exact(evidence) else 'NOT EXACT'}"
    yield from (each.told() for each in evidence.agents_moved)
    if evidence.is_live:
        for each in evidence.clocks:
            least, most = f"{each.least_ms:.1f}", f"{each.most_ms:.1f}"
            yield f"clock of {each.who}: by {least} to {most} ms ahead of the runner's"
