"""What a campaign has come to, and how it is kept between two runs of the command. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from drills.prove.history import Event
from drills.prove.violations import Violation


class Outcome(Struct, frozen=True, kw_only=True):
    """What a run came to."""

    operations: int
    seconds: float
    """Of traffic..."""
    ready_s: float
    """... before it..."""
    peace_s: float
    """... and after it, until all was at rest."""
    violations: tuple[Violation, ...]
    passed_over: int = 0
    """Decisions that passed over the callers of a silent edge."""
    events: Sequence[Event] = ()
    """The history, if anything was violated."""


class Catch(Struct, frozen=True, kw_only=True):
    """What became of one planted bug."""

    law: str
    """By which it was caught; empty: it was missed."""
    seed: int
    """Of the run in which it was, or of the last in which it was not."""
    operations: int
    """Of that run, until it was caught."""
    took_s: float
    """All tries, with what comes before and after the traffic."""


class Mutants(Struct, kw_only=True):
    """The planted bugs so far."""

    planted: int = 0
    caught: int = 0
    by: dict[str, str] = field(default_factory=dict)
    """Mutant -> the law by which it was caught; empty: it was missed."""
    each: dict[str, Catch] = field(default_factory=dict)

    def note(self, name: str, catch: Catch) -> None:
        """Take in what became of a mutant; one that was missed before may be caught now."""
        self.each[name] = catch
        self.by[name] = catch.law
        self.planted, self.caught = len(self.by), sum(map(bool, self.by.values()))


class Figures(Struct, kw_only=True):
    """What a campaign has come to. As JSON this is the file that `--json` names."""

    seed: int
    operations: int = 0
    violations: int = 0
    mutants: Mutants = field(default_factory=Mutants)
    operations_per_s: float = 0.0
    """While people call."""
    traffic_s: float = 0.0
    """Of the rounds; before it comes..."""
    ready_s: float = 0.0
    """... until edges with new lives serve, and after it..."""
    peace_s: float = 0.0
    """... until everything is at rest, and the checking."""
    passed_over: int = 0
    """Decisions that passed over the callers of a silent edge: what is judged of that."""
    faults: dict[str, int] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)
    """Of the rounds that are over."""
    codes: list[str] = field(default_factory=list)
    """Of which edges: a digest of their sources for each version of them that was run."""
    faults_only: list[str] = field(default_factory=list)
    """Which kinds of faults the rounds had; empty: all."""
    found: list[str] = field(default_factory=list)
    """What was violated, with the round's seed."""

    @property
    def held(self) -> bool:
        """Whether no law was broken and no planted bug was missed."""
        return not self.found and all(self.mutants.by.values())

    def note_round(self, seed: int, outcome: Outcome) -> None:
        """Take in a round that is over."""
        self.seeds.append(seed)
        self.operations += outcome.operations
        self.passed_over += outcome.passed_over
        self.traffic_s = round(self.traffic_s + outcome.seconds, 1)
        self.ready_s = round(self.ready_s + outcome.ready_s, 1)
        self.peace_s = round(self.peace_s + outcome.peace_s, 1)
        self.operations_per_s = round(self.operations / max(self.traffic_s, 0.1), 1)
        self.found += [f"seed {seed}: {each.law}: {each.text}" for each in outcome.violations]
        self.violations = len(self.found)
