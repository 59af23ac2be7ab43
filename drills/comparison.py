"""A run of a drill against earlier ones of it: which can be compared, and what got worse. PURE.

`RULE` says it in words. The median keeps one odd run from counting, the worst keeps a figure that
always varied from being told each time, and the amount keeps noise out. What got worse and stays so
is told once: from then on it is among those before. So is a figure that each of them has measured
and this one could not: nobody knows how much worse it is. An expectation that held in the last of
them and no longer does is told in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from msgspec import Struct

from drills.course import End
from drills.evidence import Evidence
from drills.wording import FIGURES, Figure, called, told

MOST_COMPARED: Final = 5
TIMES: Final = 1.5
AMOUNTS: Final[Mapping[str, float]] = {
    "s": 0.5,
    "ms": 50.0,
    "times": 0.25,
    "%": 0.05,
    "yes": 0.5,
    "bytes": 1_048_576.0,
    "": 3.0,
}
"""By more than this a figure is worse, by its unit: shares of 1; under no unit, what is counted."""
RULE: Final = (
    f"These are the last runs of this drill, {MOST_COMPARED} at most, that were carried through by"
    " the same plan, and also in a lab or also on live sites, on the same processors as far as both"
    " have noted them, by whichever code. A figure is"
    f" markedly worse if it is over {TIMES:g} times their median, and worse than the worst of them"
    f" by more than {AMOUNTS['s']:g} s, {AMOUNTS['ms']:g} ms, {AMOUNTS['%'] * 100:g} points of 100,"
    f" {AMOUNTS['times']:g} of a ratio, 1 MiB, or {AMOUNTS['']:g} of what is counted. So is one"
    " that each of them has measured and this one, carried through as well, could not."
)
RECOVERIES: Final = (
    "rto_s",
    "rto_capture_s",
    "media_rto_s",
    "media_capture_s",
    "recording_rto_s",
    "recording_capture_s",
    "sign_in_rto_s",
    "sign_in_capture_s",
    "agents_back_s",
    "data_rto_s",
)
LOSSES: Final = (
    "lost",
    "lost_elsewhere",
    "refused",
    "recordings_lost",
    "recording_lost_s",
    "cut_off_unrecorded_s",
    "writes_lost",
    "replica_lag_bytes",
    "left_behind",
)
_OF_WHICH_MORE_IS_BETTER: Final = frozenset({"%", "yes"})


class ComparedRun(Struct, frozen=True, kw_only=True):
    """An earlier run, and of which code it was."""

    run: str
    code: str
    """Empty: nobody has noted it."""


class Worse(Struct, frozen=True, kw_only=True):
    """One thing that got worse."""

    figure: str
    value: float | None
    """None: it could not be measured."""
    median: float | None
    """Of the runs compared with, as far as they have it; None: none has."""
    least: float | None
    most: float | None
    runs: int
    """How many have it."""
    no_longer_holds: str = ""
    """The expectation that held in the last of them and does not now; empty: it still holds, or
    did not hold then either."""
    is_markedly: bool = False
    """By the rule."""

    def told(self) -> str:
        """Return it in words and units."""
        now = f"{called(self.figure)} ({self.figure}): {told(self.figure, self.value)} now"
        before = "not measured before"
        if self.median is not None:
            spread = f"{told(self.figure, self.least)} to {told(self.figure, self.most)}"
            of = f"the median of {self.runs} runs, {spread}" if self.runs > 1 else "in one run"
            before = f"{told(self.figure, self.median)} before ({of})"
        broken = f"; {self.no_longer_holds} no longer holds" if self.no_longer_holds else ""
        return f"{now}, {before}{broken}"


class Comparison(Struct, frozen=True, kw_only=True):
    """A run against the last comparable ones before it."""

    runs: tuple[ComparedRun, ...]
    """The oldest first; none: nothing can be said."""
    worse: tuple[Worse, ...]
    why_none: str = ""
    """Why there is none to compare with; empty: there is."""

    def told(self) -> str:
        """Return with what it was compared, in words."""
        if not self.runs:
            return f"compared with no earlier run: {self.why_none}"
        found = ", ".join(f"{each.run} ({_code(each.code)})" for each in self.runs)
        return f"compared with {found}"


def was_carried_through(evidence: Evidence) -> bool:
    """Tell whether all of it was done: of what was broken off early, figures tell too little."""
    due = End.ABORTED if evidence.experiment.aborts_after_s else End.COMPLETED
    return evidence.end in {due, End.NOT_BACK}


def is_comparable(evidence: Evidence, earlier: Evidence) -> bool:
    """Tell whether an earlier run shows what is usual for this one.

    It is if it was carried through, by the same plan, and also in a lab or also on live sites: by
    whichever code and with whichever callers, since what these change is what is asked for. Not on
    other processors: that these are slower is no change for the worse.
    """
    return (
        earlier.experiment.name == evidence.experiment.name
        and earlier.plan_hash == evidence.plan_hash
        and earlier.is_live == evidence.is_live
        and ("" in {earlier.machine, evidence.machine} or earlier.machine == evidence.machine)
        and was_carried_through(earlier)
    )


def compare(evidence: Evidence, before: Sequence[Evidence]) -> Comparison:
    """Return what got worse. `before`: earlier runs, the oldest first, comparable or not."""
    if not evidence.was_begun:
        return Comparison(runs=(), worse=(), why_none="this one was not begun")
    if evidence.was_stopped:
        return Comparison(runs=(), worse=(), why_none="somebody stopped this one")
    known = [each for each in before if is_comparable(evidence, each)][-MOST_COMPARED:]
    if not known:
        where = "on live sites" if evidence.is_live else "in a lab"
        on = f" on {evidence.machine}" if evidence.machine else ""
        why = f"none is known that was carried through {where}{on}, by this plan"
        return Comparison(runs=(), worse=(), why_none=why)
    return Comparison(
        runs=tuple(ComparedRun(run=each.run, code=each.code) for each in known),
        worse=tuple(_worse(evidence, known)),
    )


def compared_figures(evidence: Evidence) -> tuple[str, ...]:
    """Return the figures of which it is known what is worse, in the order of the report.

    More is, of what is expected to be at most so much, of times to recover and of losses; less is,
    of shares that are expected to be at least so much. Of other things that are expected to be at
    least so much (how far a clock was wrong) neither is: they show that something was broken.
    """
    expected = (
        bound.figure
        for bound in evidence.experiment.expect
        if bound.at_most is not None or is_better_more(bound.figure)
    )
    return tuple(dict.fromkeys((*expected, *RECOVERIES, *LOSSES)))


def is_better_more(figure: str) -> bool:
    """Tell whether less of it is worse: it is a share, or a yes."""
    return _unit(figure) in _OF_WHICH_MORE_IS_BETTER


def is_markedly_worse(value: float, before: Sequence[float], amount: float) -> bool:
    """Tell whether a value is, by the rule, of a figure of which more is worse. Some were before.

    Of a median below zero (answers that came sooner) half of its size is what it may be over it.
    """
    middle = median(before)
    return value - middle > (TIMES - 1.0) * abs(middle) and value - max(before) > amount


def _worse(evidence: Evidence, known: Sequence[Evidence]) -> Iterator[Worse]:
    broken: dict[str, str] = {}
    for figure, expected in _no_longer_held(evidence, known[-1]):
        broken[figure] = f"{broken[figure]} and {expected}" if figure in broken else expected
    for figure in dict.fromkeys((*broken, *compared_figures(evidence))):
        value = evidence.figures.get(figure)
        values = [each.figures.get(figure) for each in known]
        before = [each for each in values if each is not None]
        is_gone = value is None and len(before) == len(known) and was_carried_through(evidence)
        is_markedly = figure in compared_figures(evidence) and (
            is_gone or _is_worse(figure, value, before)
        )
        if is_markedly or figure in broken:
            yield Worse(
                figure=figure,
                value=value,
                median=median(before) if before else None,
                least=min(before, default=None),
                most=max(before, default=None),
                runs=len(before),
                no_longer_holds=broken.get(figure, ""),
                is_markedly=is_markedly,
            )


def _no_longer_held(evidence: Evidence, last: Evidence) -> Iterator[tuple[str, str]]:
    """Yield the figure and the words of what held then and does not now."""
    held = {each.expected for each in last.judgements if each.held}
    for each in evidence.judgements:
        if not each.held and each.expected in held:
            yield each.figure, each.expected


def _is_worse(figure: str, value: float | None, before: Sequence[float]) -> bool:
    if value is None or not before:
        return False
    amount = AMOUNTS[_unit(figure)]
    if is_better_more(figure):
        # What is missing of all: of 99 %, 97 % is three times as bad.
        return is_markedly_worse(1.0 - value, [1.0 - each for each in before], amount)
    return is_markedly_worse(value, before, amount)


def _unit(figure: str) -> str:
    if figure.endswith("_bytes"):
        return "bytes"
    return FIGURES.get(figure, Figure("")).unit


def _code(code: str) -> str:
    return f"code {code}" if code else "code not noted"
