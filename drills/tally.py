"""Sums over many runs of many drills: what `./everline drill all --json` writes. PURE.

Owns the names in that file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from drills import endless
from drills.begun import Begun
from drills.course import NOT_BEGUN, End
from drills.evidence import Evidence, lacked
from drills.experiment import Bound, Experiment

_RTOS = ("rto_s", "rto_capture_s")
_OTHER_ERRORS = ("media_error_ms", "recording_error_ms", "sign_in_error_ms")


class Done(Struct, frozen=True, kw_only=True):
    """One run."""

    drill: str
    plan_hash: str
    seed: int
    run: str
    end: End
    held: bool
    code: str = ""
    """Of which code; empty: nobody has noted it."""
    why: str = ""
    """Why it shows nothing: it was not begun, somebody stopped it, or nobody lived to tell of its
    end; empty: it shows something."""
    lacked: tuple[Bound, ...] = ()
    """What of `ready` was not there, for which it was not begun."""
    broken: tuple[str, ...]
    """Expectations that did not hold."""
    worse: tuple[str, ...] = ()
    """What was worse than in the comparable runs before it, in words (`drills.comparison`)."""
    figures: Mapping[str, float | None]
    endless: tuple[str, ...] = ()
    """Which of them never came to an end: in the file these are null, too."""

    @property
    def due(self) -> tuple[str, str, int]:
        """Of which drill, by which plan, and with which seed it is a run."""
        return self.drill, self.plan_hash, self.seed

    @property
    def was_begun(self) -> bool:
        """Whether anything was done at all."""
        return self.end not in NOT_BEGUN

    @property
    def stays(self) -> bool:
        """Whether it is in the file for ever, though it shows nothing: something was broken."""
        return self.was_begun and not self.counts

    @property
    def counts(self) -> bool:
        """Whether it shows anything, and is not due again: it was begun, and nobody stopped it."""
        return self.was_begun and not self.why


class Most(Struct, frozen=True, kw_only=True):
    """The largest of all runs; None: some run could not measure it."""

    max: float | None


class Scenario(Struct, frozen=True, kw_only=True):
    """All runs of one drill."""

    runs: int
    not_begun: int = 0
    """That a guard forbade, somebody stopped before, or for which there was no steady state: they
    show nothing, are in no other figure, and are due again the next time."""
    stopped: int = 0
    """That somebody stopped half-way, by the lever or an abort: likewise; each of them, also where
    the same was done again since."""
    interrupted: int = 0
    """That were begun, and nobody lived to tell of their end: likewise."""
    failed: int
    """Runs that did not end as they should, or in which an expectation did not hold."""
    rto_s: Most
    lost_elsewhere: int | None
    double_offers: int | None
    untrue_agent_s: Most
    ledger_exact: bool
    broken: Mapping[str, int]
    """Expectation -> in how many runs it did not hold."""


class OfEvidence(Struct, frozen=True, kw_only=True):
    """How far the evidence can be relied on."""

    tamper_found: bool
    """Every byte that was changed on trial was found."""
    tampered: int
    """How many were."""
    rto_error_ms: Most
    fallen: Mapping[str, str] = {}
    """Runs of this file whose evidence is not there any more, or not as it was kept, and why."""
    head_run: str = ""
    """The newest run on the shelf when all was done; empty: it was not known yet."""
    head_hash: str = ""
    """Of its evidence: kept elsewhere, it shows that nothing was taken away."""


class Total(Struct, frozen=True, kw_only=True):
    """How much of what was asked for there is."""

    due: int = 0
    """Runs that were asked for."""
    done: int = 0
    """Of these, those that were carried through. Whether the evidence of each still stands, the end
    of the command says: `OfEvidence.fallen`."""
    held: int = 0
    labs_lost: int = 0
    """Labs that did not come up, or brought no evidence."""
    took_s: float = 0.0
    """Labs included, over all times that the command was called with this file."""
    since: str = ""
    """The newest run on the shelf when the file was begun."""
    key: str = ""
    """By which key their evidence is signed, as a fingerprint; empty: nobody has noted it."""
    codes: Mapping[str, int] = {}
    """Of which code, as far as it was noted, how many of the runs done are."""

    @property
    def left_s(self) -> float | None:
        """Return how long the rest will take at this pace; None: nothing is done yet."""
        return self.took_s / self.done * (self.due - self.done) if self.done else None


NOTHING = Total()


class Tally(Struct, frozen=True, kw_only=True):
    """The whole file."""

    scenarios: Mapping[str, Scenario]
    evidence: OfEvidence
    runs: tuple[Done, ...]
    total: Total = NOTHING


def done(evidence: Evidence, worse: Iterable[str] = ()) -> Done:
    """Return what counts of a run. `worse`: than before, in words."""
    return Done(
        drill=evidence.experiment.name,
        plan_hash=evidence.plan_hash,
        seed=evidence.seed,
        run=evidence.run,
        end=evidence.end,
        held=evidence.held,
        code=evidence.code,
        why="" if evidence.was_begun and not evidence.was_stopped else evidence.why,
        lacked=lacked(evidence),
        broken=tuple(each.expected for each in evidence.judgements if not each.held),
        worse=tuple(worse),
        figures=evidence.figures,
        endless=endless.names(evidence.figures),
    )


def interrupted(begun: Begun) -> Done:
    """Return what there is of a drill that was begun and has no end."""
    return Done(
        drill=begun.experiment.name,
        plan_hash=begun.plan_hash,
        seed=begun.seed,
        run=begun.run,
        end=End.INTERRUPTED,
        held=False,
        code=begun.code,
        why="it was begun, and nobody lived to tell of its end",
        broken=(),
        figures={},
    )


def read_back(runs: Iterable[Done]) -> tuple[Done, ...]:
    """Return runs that were read from a file as they were when they were written."""
    return tuple(
        replace(each, figures=endless.restored(each.figures, each.endless)) for each in runs
    )


def total_of(
    wanted: Iterable[Experiment], runs: Iterable[Done], repeats: int | None, before: Total
) -> Total:
    """Return how much of what is wanted is done; what `before` says is gone on from."""
    due = _due(wanted, repeats)
    done_ = [each for each in runs if each.counts and each.due in due]
    return Total(
        due=len(due),
        done=len(done_),
        held=sum(each.held for each in done_),
        labs_lost=before.labs_lost,
        took_s=before.took_s,
        since=before.since,
        key=before.key,
        codes=dict(sorted(Counter(each.code for each in done_ if each.code).items())),
    )


def summed(
    wanted: Iterable[Experiment], runs: Iterable[Done], repeats: int | None
) -> frozenset[str]:
    """Return the runs that are in the total of what is wanted."""
    due = _due(wanted, repeats)
    return frozenset(each.run for each in runs if each.counts and each.due in due)


def _due(wanted: Iterable[Experiment], repeats: int | None) -> frozenset[tuple[str, str, int]]:
    return frozenset(
        (each.name, each.plan_hash, seed)
        for each in wanted
        for seed in range(1, (repeats or each.repeats) + 1)
    )


def tally(  # noqa: PLR0913 - what the file has
    runs: Iterable[Done],
    tampered: int,
    found: int,
    plans: Mapping[str, str] = {},
    *,
    total: Total = NOTHING,
    fallen: Mapping[str, str] = {},
) -> Tally:
    """Return the sums. `found` of `tampered` changes were noticed.

    `plans`: which drills are wanted, and the hash of each one's plan. They are named in any case,
    and runs by an earlier plan are kept and not summed.
    Of a drill that has not been run nothing is known: no run, and no exact ledger.
    """
    kept = tuple(runs)
    known = tuple(
        each
        for each in kept
        if each.counts and plans.get(each.drill, each.plan_hash) == each.plan_hash
    )
    names = sorted({each.drill for each in kept} | set(plans))
    return Tally(
        scenarios={
            name: _scenario(
                [each for each in known if each.drill == name],
                [each for each in kept if each.drill == name and not each.counts],
            )
            for name in names
        },
        evidence=OfEvidence(
            tamper_found=tampered > 0 and found == tampered,
            tampered=tampered,
            rto_error_ms=Most(max=_rto_error(known)),
            fallen=dict(fallen),
        ),
        runs=kept,
        total=total,
    )


def _scenario(runs: list[Done], in_vain: list[Done]) -> Scenario:
    broken: dict[str, int] = {}
    for each in runs:
        for expected in each.broken:
            broken[expected] = broken.get(expected, 0) + 1
    return Scenario(
        runs=len(runs),
        not_begun=sum(not each.was_begun for each in in_vain),
        stopped=sum(each.was_begun and each.end is not End.INTERRUPTED for each in in_vain),
        interrupted=sum(each.end is End.INTERRUPTED for each in in_vain),
        failed=sum(not each.held for each in runs),
        rto_s=Most(max=_largest(runs, "rto_s")),
        lost_elsewhere=_sum(runs, "lost_elsewhere"),
        double_offers=_sum(runs, "double_offers"),
        untrue_agent_s=Most(max=_largest(runs, "untrue_agent_s")),
        ledger_exact=bool(runs) and all(each.figures.get("ledger_exact") == 1.0 for each in runs),
        broken=broken,
    )


def _rto_error(runs: Sequence[Done]) -> float | None:
    """Return by how much telephones and capture differ at most; None: somewhere one is silent.

    That is of calls set up again. Of other services what both tell counts: not every drill takes
    them away, and those that expect it of them do not hold where one is silent.
    """
    both = [
        each.figures.get("rto_error_ms")
        for each in runs
        if any(each.figures.get(name) is not None for name in _RTOS)
    ]
    known = [value for value in both if value is not None]
    if not known or len(known) < len(both):
        return None
    others = (each.figures.get(name) for each in runs for name in _OTHER_ERRORS)
    return max([*known, *(value for value in others if value is not None)])


def _largest(runs: Iterable[Done], figure: str) -> float | None:
    values = [each.figures.get(figure) for each in runs]
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _sum(runs: Iterable[Done], figure: str) -> int | None:
    values = [each.figures.get(figure) for each in runs]
    known = [value for value in values if value is not None]
    return round(sum(known)) if known and len(known) == len(values) else None
