"""The tables that a person reads after the demo.

Owns how figures look. Says nothing that `figures` and `claims` have not found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from drills.demo.claims import Claim
from drills.demo.explain import Explanation, explain, worth_explaining
from drills.demo.figures import Count, Figures, Run, waited_ms
from drills.demo.ledger import Row
from drills.demo.reports import End
from drills.demo.scenario import PlannedQueue
from drills.desk import words
from state.model import Outcome

MOST_FAULTS = 12
"""Of a kind; the rest is in the JSON."""


def report(run: Run, figures: Figures, claims: Sequence[Claim]) -> RenderableType:
    """Return the whole report."""
    tables: list[RenderableType] = [
        _ends(figures),
        _places(run),
        _queues(run, figures),
        _phones(run),
        _timeline(figures),
    ]
    record = worth_explaining(each for row in run.ledger.rows for each in row.records)
    if record is not None:
        tables.append(explained(explain(run.scenario, record)))
    tables += _faults(figures)
    tables.append(_claims(claims))
    return Group(*(Padding(table, (1, 0, 0, 0)) for table in tables))


def _table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        table.add_column(column)
    for column in numbers:
        table.add_column(column, justify="right")
    return table


def _ends(figures: Figures) -> Table:
    table = _table(
        "How the calls ended",
        "by the word of",
        numbers=("offered", "answered", "abandoned", "refused", "lost"),
    )
    sides: tuple[tuple[str, Count], ...] = (
        ("callers and agents", figures.by_people),
        ("edges' records", figures.by_edges),
    )
    for side, count in sides:
        ends = (count.offered, count.answered, count.abandoned, count.refused, count.lost)
        table.add_row(side, *map(str, ends))
    table.caption = f"{figures.held} callers put their agent on hold and came back"
    table.caption_justify = "left"
    return table


def _places(run: Run) -> Table:
    sites = run.scenario.sites
    answered = Counter(
        (row.record.site, row.record.agent_site) for row in _answered(run) if row.record is not None
    )
    table = _table(
        "Who answered where",
        "served at",
        numbers=(*(f"agents of {site}" for site in sites), "same site", "other site"),
    )
    for served in sites:
        here = [answered[served, home] for home in sites]
        same = answered[served, served]
        killed = run.kill is not None and run.kill.site == served
        name = f"{served} (killed)" if killed else str(served)
        table.add_row(name, *map(str, here), str(same), str(sum(here) - same))
    return table


def _answered(run: Run) -> list[Row]:
    return [row for row in run.ledger.placed if row.by_people is Outcome.ANSWERED]


def _queues(run: Run, figures: Figures) -> Table:
    table = _table(
        "Queues",
        "queue",
        "needs",
        numbers=("calls", "answered", "wait mean", "p95", "max", "skills of agents"),
    )
    for queue in run.scenario.queues:
        table.add_row(*_queue(run, queue))
    waits = figures.waits
    table.add_section()
    table.add_row(
        "all",
        f"{waits.queued} of {figures.by_people.answered} queued first",
        str(figures.offered),
        str(figures.by_people.answered),
        *(f"{seconds:.1f} s" for seconds in (waits.mean_s, waits.p95_s, waits.max_s)),
        f"{len(figures.wrong_skill)} wrong",
    )
    return table


def _queue(run: Run, queue: PlannedQueue) -> Iterator[str]:
    mine = [row for row in run.ledger.placed if row.planned.queue == queue.id]
    answered = [row for row in mine if row.by_people is Outcome.ANSWERED]
    yield queue.id
    yield ", ".join(f"{need.skill} {need.level}" for need in queue.needs)
    yield str(len(mine))
    yield str(len(answered))
    waits = sorted(ms / 1000 for row in answered if (ms := waited_ms(row)) is not None)
    if waits:
        yield f"{sum(waits) / len(waits):.1f} s"
        yield f"{waits[-(-95 * len(waits) // 100) - 1]:.1f} s"
        yield f"{waits[-1]:.1f} s"
    else:
        yield from ("-", "-", "-")
    yield ", ".join(_levels(run, answered, queue))


def _levels(run: Run, answered: Sequence[Row], queue: PlannedQueue) -> Iterator[str]:
    """Yield, for each need, between which levels the agents' skills were."""
    agents = [run.scenario.agent(row.agent.agent) for row in answered if row.agent is not None]
    if not agents:
        return
    for need in queue.needs:
        levels = [agent.skills.get(need.skill, 0) for agent in agents]
        yield f"{need.skill} {min(levels)}-{max(levels)}"


def _phones(run: Run) -> Table:
    """Return what the agents' phones saw, by home site."""
    table = _table(
        "Agents' phones",
        "at home in",
        numbers=("agents", "rung", "answered", "declined", "let ring"),
    )
    for site in run.scenario.sites:
        agents = {agent.id for agent in run.scenario.agents if agent.site == site}
        rung = [report for report in run.agents if report.agent in agents]
        ends = Counter(report.end for report in rung if report.answered_ms is None)
        table.add_row(
            site,
            str(len(agents)),
            str(len(rung)),
            str(sum(1 for report in rung if report.answered_ms is not None)),
            str(ends[End.REFUSED]),
            str(ends[End.CANCELLED]),
        )
    return table


def _timeline(figures: Figures) -> Table:
    table = Table(
        title="The failover", title_justify="left", title_style="bold", header_style="dim"
    )
    table.add_column("after", justify="right")
    table.add_column("who")
    table.add_column("what")
    for moment in figures.timeline:
        table.add_row(f"{moment.after_s:.2f} s", moment.who, moment.what)
    return table


def explained(explanation: Explanation) -> RenderableType:
    """Return one decision, laid out."""
    table = _table("One decision explained", "agent", "site", numbers=("score",))
    for candidate in explanation.candidates:
        style = "bold" if candidate.won else ""
        table.add_row(candidate.agent, candidate.site, f"{candidate.score:.3f}", style=style)
    lines = [explanation.headline, *explanation.reasons]
    if explanation.excluded:
        kept_out = ", ".join(f"{words.reason(why)} ({many})" for why, many in explanation.excluded)
        lines.append(f"not considered: {kept_out}")
    return Group(table, Text("\n".join(lines)))


def _faults(figures: Figures) -> Iterator[RenderableType]:
    """Yield a table for each kind of fault that there is."""
    if figures.mismatches:
        table = _table("Two stories of one call", "call", "people say", "edges say")
        for each in figures.mismatches[:MOST_FAULTS]:
            table.add_row(each.call, each.people, each.edges)
        yield table
    lists = {
        "Wrong skill": [f"{each.agent}: {each.why}" for each in figures.wrong_skill],
        "Double offers": [f"{each.agent}: {each.why}" for each in figures.double_offers],
        "Audio": list(figures.audio_faults),
        "Lost elsewhere": list(figures.lost_elsewhere),
        "Left behind": [
            f"{each.place}: {each.legs} legs, {each.calls} calls, {each.media_calls} media,"
            f" {each.tickets} tickets, {each.offers} offers"
            for each in figures.leaking
        ],
    }
    for title, lines in lists.items():
        if lines:
            table = _table(title, "what")
            for line in lines[:MOST_FAULTS]:
                table.add_row(line)
            yield table


def _claims(claims: Sequence[Claim]) -> Table:
    table = _table("What was claimed", "", "claim", "numbers")
    for claim in claims:
        mark = Text("held", style="green") if claim.held else Text("BROKEN", style="bold red")
        table.add_row(mark, claim.text, claim.numbers)
    return table
