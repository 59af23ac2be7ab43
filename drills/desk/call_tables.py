"""The tables of calls, of callbacks, and of one call explained. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from drills.desk import words
from drills.desk.call_answers import CallbackRow, Callbacks, CallRow, Calls, CandidateRow, Explained
from drills.desk.ledger import SHORT
from drills.desk.tables import (
    BAD,
    BUSY,
    GOOD,
    MS,
    NOTHING,
    bad_records,
    clock,
    numbers,
    spaced,
    table,
)
from state.model import Outcome

WIDE = 95
"""From so many columns on there is room for more."""
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.ANSWERED: GOOD,
    Outcome.ABANDONED: BUSY,
    Outcome.REFUSED: BUSY,
    Outcome.CALLBACK: BUSY,
    Outcome.LOST: BAD,
}


def calls(answer: Calls) -> RenderableType:
    """Return the list of calls."""
    parts: list[RenderableType] = []
    if answer.calls:
        parts.append(_CallList(answer))
    else:
        parts.append(Text("No calls yet. Place one: ./everline call NUMBER"))
    if answer.bad_records:
        parts.append(bad_records(answer.bad_records))
    return spaced(parts)


class _CallList:
    """The calls; where there is room, also which edge served them and what ended them."""

    def __init__(self, answer: Calls) -> None:
        self._answer = answer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        answer, is_wide = self._answer, options.max_width >= WIDE
        over = sum(1 for row in answer.calls if row.state is None)
        title = f"Calls: {len(answer.calls) - over} running, {over} of {answer.total} that are over"
        made = table(title, "call", "came", "queue", "what")
        numbers(made, "waited", "talked")
        for column in ("agent", *(("edge", "ended by") if is_wide else ())):
            made.add_column(column)
        length = unambiguous([row.call for row in answer.calls])
        for row in answer.calls:
            more = (row.edge, words.plain(row.cause)) if is_wide else ()
            made.add_row(row.call[:length], *_call(row), *more)
        yield made


def _call(row: CallRow) -> Iterator[str | Text]:
    yield clock(row.arrived_ms)
    yield row.queue
    yield what(row)
    yield _seconds(row.waited_s)
    yield _seconds(row.talked_s)
    yield NOTHING if row.agent is None else f"{row.agent} ({row.agent_site or '?'})"


def what(row: CallRow) -> Text:
    """Return a call's outcome, or how far it has come."""
    if row.outcome is not None:
        return Text(row.outcome, style=OUTCOMES[row.outcome])
    return Text("" if row.state is None else row.state, style="cyan")


def unambiguous(calls: Sequence[str]) -> int:
    """Return how many characters of their ids tell these calls apart, and look the same."""
    length = SHORT
    while len({call[:length] for call in calls}) < len(set(calls)):
        length += 1
    return length


def _seconds(seconds: float | None) -> str | Text:
    return NOTHING if seconds is None else f"{seconds:.1f} s"


NOT_CLEARED: Final = "not cleared yet"
WHY_NOT_CLEARED: Final = (
    "Not cleared yet: waiting until somebody has looked whether they may be called. Control planes "
    "do, by what customers have said. Either none is there that has its database, or the number "
    "cannot be read as E.164: then its trunk, or the number dialled, has to say the region."
)


def callbacks(answer: Callbacks) -> RenderableType:
    """Return who is to be called back."""
    if not answer.callbacks:
        return Text("Nobody is to be called back.")
    made = table("To be called back", "call", "number", "queue", "when")
    numbers(made, "tries", "until")
    length = unambiguous([row.call for row in answer.callbacks])
    for row in answer.callbacks:
        made.add_row(
            row.call[:length],
            row.did,
            NOTHING if row.queue is None else row.queue,
            _when(row),
            f"{row.tries} of {row.most_tries}",
            NOTHING if row.until_ms is None else clock(row.until_ms),
        )
    if any(row.waits_for_clearance for row in answer.callbacks):
        return spaced([made, Text(WHY_NOT_CLEARED)])
    return spaced([made])


def _when(row: CallbackRow) -> Text:
    if row.is_under_way:
        return Text("now", style="cyan")
    if row.may_be_served_at is not None:
        return Text(f"site {row.may_be_served_at} may serve them", style="yellow")
    if row.waits_for_clearance:
        return Text(NOT_CLEARED, style="yellow")
    if row.due_in_s > 0:
        return Text(f"in {words.lasting(row.due_in_s)}")
    return Text("when it is open")


def explained(answer: Explained) -> RenderableType:
    """Return why a call has the agent it has."""
    parts: list[RenderableType] = [_story(answer)]
    ranked = [each for each in answer.candidates if each.score is not None]
    if ranked:
        parts.append(_ranked(answer, ranked))
    out = [each for each in answer.candidates if each.score is None]
    if out:
        parts.append(_excluded(answer, out))
    elif answer.excluded:
        most = sorted(answer.excluded.items(), key=lambda pair: (-pair[1], pair[0]))
        told = ", ".join(f"{words.reason(why)} ({many})" for why, many in most)
        parts.append(Text(f"Not considered: {told}."))
    return spaced(parts)


def _story(answer: Explained) -> Text:
    call = answer.call
    text = Text(f"Call {call.call}", style="bold")
    text.append(f" to {call.did}, queue {call.queue}, came at {clock(call.arrived_ms)}", style="")
    text.append(f" and was taken by edge {call.edge}.\n", style="")
    needs = [each for each in (words.levels(answer.needs), *answer.also) if each]
    if needs:
        text.append(f"It needs {'; '.join(needs)}", style="")
        text.append(f", softened {answer.step} times." if answer.step else ".", style="")
    if answer.place is not None:
        is_or_was = "is" if answer.source == "present" else "was"
        text.append(f" It {is_or_was} number {answer.place} in the line.", style="")
    if answer.decided_ms is not None:
        waited_s = (answer.decided_ms - call.arrived_ms) / MS
        text.append(f" {answer.winner} was chosen after {waited_s:.1f} s,", style="")
        text.append(f" on revision {answer.revision} of the shared state.", style="")
    if answer.tried:
        text.append(f" Rung before, in vain: {', '.join(answer.tried)}.", style="")
    if answer.note:
        text.append(f" {answer.note}", style="")
    if call.outcome is not None:
        text.append(f" Outcome: {call.outcome}, {words.plain(call.cause)}.", style="")
    return text


def _ranked(answer: Explained, ranked: Sequence[CandidateRow]) -> Table:
    parts = list(ranked[0].parts)
    title = "Who could have it now" if answer.source == "present" else "Who could have had it"
    made = table(title, "", "agent", "home")
    numbers(made, "score", *map(words.plain, parts))
    numbers(made, *_needs(answer))
    for rank, each in enumerate(ranked, start=1):
        found = (each.parts.get(part) for part in parts)
        made.add_row(
            str(rank),
            each.agent,
            each.site or "?",
            f"{each.score:.3f}",
            *(NOTHING if number is None else f"{number:.3f}" for number in found),
            *_skills(answer, each),
            style="bold" if each.agent == answer.winner else "",
        )
    return made


def _needs(answer: Explained) -> list[str]:
    return [f"{skill} {level}+" for skill, level in answer.needs.items()]


def _skills(answer: Explained, each: CandidateRow) -> Iterator[Text]:
    """Yield the agent's level of each skill that is needed."""
    for skill, level in answer.needs.items():
        has = each.skills.get(skill)
        style = "" if has is not None and has >= level else BAD
        yield Text("none" if has is None else str(has), style=style)


def _excluded(answer: Explained, out: Iterable[CandidateRow]) -> Table:
    title = "Who could not" if answer.source == "log" else "Who cannot"
    made = table(title, "agent", "home", "because")
    numbers(made, *_needs(answer))
    for each in sorted(out, key=lambda each: (each.excluded or "", each.agent)):
        because = words.reason(each.excluded or "")
        if each.given_to is not None:
            because += f" ({each.given_to[:SHORT]})"
        made.add_row(each.agent, each.site or "?", because, *_skills(answer, each))
    return made
