"""What an experiment is: a reviewed TOML file, typed. PURE.

Owns the words of the file and what makes one wrong. Knows nothing of how a fault is made.

An experiment says what is steady before and after (probes with tolerances), what is broken when and
for how long (every fault has a time to live), at which limits the runner stops, and what is
expected in numbers. Rolling back is not in the file: it always happens.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

import msgspec
from msgspec import Struct

from drills.fault import MOST_TTL_S, PRIMARY, Fault, FaultKind
from drills.wording import FIGURES
from state.codec import UNREADABLE

MOST_CALLS = 400
MOST_CALLS_PER_S = 20.0
MOST_BURST_PER_S = 50.0
MOST_SHORT_PER_S = 50.0
MOST_RECOVERY_S = 600.0
MOST_BEFORE_S = 60.0
MOST_REPEATS = 1000
MEASURED = frozenset(
    {
        "agents_ready",
        "calls_failed",
        "calls_late",
        "edges",
        "processes_down",
        "runnable_per_core",
        "sites_serving",
        "success_share",
        "waiting",
    }
)
"""What is measured every second: what may be steady, a limit, or needed before it begins."""
_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")


class ExperimentError(ValueError):
    """The file is no experiment; the text says which, where, and what to do."""


_PLACES, _MOST_PLACES = 2, 16
"""After the point: so many are enough for a reader, if the value is not within then."""


class Bound(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A figure and between what it has to be."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float | None) -> bool:
        """Tell whether a value is within; one that could not be measured is not."""
        if value is None or (self.at_least is not None and value < self.at_least):
            return False
        return self.at_most is None or value <= self.at_most

    def asks_as_much_as(self, other: Bound) -> bool:
        """Tell whether nothing is within this that is not within the other one."""
        least, most = _or(self.at_least, -math.inf), _or(self.at_most, math.inf)
        return (
            self.figure == other.figure
            and least >= _or(other.at_least, -math.inf)
            and most <= _or(other.at_most, math.inf)
        )

    def told(self) -> str:
        """Return it as people write it."""
        least = "" if self.at_least is None else f"{self.at_least:g} <= "
        most = "" if self.at_most is None else f" <= {self.at_most:g}"
        return f"{least}{self.figure}{most}"

    def missed_by(self, value: float | None) -> str:
        """Return a value that is not within as people write it: never rounded to one that is."""
        if value is None:
            return "unknown"
        exact = (f"{value:.{places}f}" for places in range(_PLACES, _MOST_PLACES))
        text = next((each for each in exact if not self.holds(float(each))), repr(value))
        return text.rstrip("0").rstrip(".") if "." in text else text

    def wrong_because(self, known: Collection[str] | None = None) -> str | None:
        """Return what is wrong with it, or None. `known`: the figures that it may be of."""
        if known is not None and self.figure not in known:
            near = get_close_matches(self.figure, known, n=3, cutoff=0.4) or sorted(known)
            return f"nothing measures {self.figure!r} here; there is {', '.join(near)}"
        if self.at_least is None and self.at_most is None:
            return f"{self.figure} has neither at_least nor at_most"
        least, most = _or(self.at_least, -math.inf), _or(self.at_most, math.inf)
        if not least <= most:
            return f"nothing is within {self.told()}"
        return None


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


CALLERS_COME: Final = Bound(figure="calls_late", at_most=0)
"""While callers' programs stand still, a fault shows nothing: nobody is there to notice it."""


class Load(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How many callers come; synthetic ones, from phones of ours and SIPp."""

    calls: int = 60
    calls_per_s: float = 2.5
    agents_per_site: int = 10
    """A multiple of five: there are five roles."""
    burst_per_s: float = 0.0
    """From the beginning of the method on calls come so fast; 0: as before."""
    burst_s: float = 0.0
    """For so long; 0: until the last one. A burst that ends is what the drill breaks, and mends."""
    redial: bool = False
    """Callers who are cut off, as they wait or as they talk, dial again, at another site."""
    carrier_sends_again: bool = False
    """Every second one of these is sent in again by their carrier, as soon as it has taken the site
    out by which they came: nobody dials. With `redial`."""
    call_back: bool = False
    """Queues call back who was cut off, and nobody dials again."""
    may_queue: bool = False
    """More callers than agents, since the drill is about those who wait."""
    short_calls_per_s: float = 0.0
    """Test calls beside these, answered and over at once: so many that a 99th percentile of the
    time to the answer can be told. 0: none."""
    before_s: float = 5.0
    """How long calls come before the method begins."""


class Experiment(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One experiment, as it was reviewed."""

    name: str
    title: str
    hypothesis: str
    steady: tuple[Bound, ...]
    expect: tuple[Bound, ...]
    method: tuple[Fault, ...] = ()
    abort: tuple[Bound, ...] = ()
    load: Load = Load()
    recover_within_s: float = 30.0
    """How long the steady state may take to come back after the last fault."""
    ready: tuple[Bound, ...] = ()
    """What is needed beside the steady state before it begins, and not for it to be over: a
    machine that has time. Where it is not there the drill is not begun."""
    repeats: int = 5
    loses_quorum: bool = False
    """The drill is about sites without a quorum of etcd, and its guard knows."""
    controller_dies: bool = False
    """The process that carries the method out gets SIGKILL a second after its first fault."""

    needs_calm: bool = False
    """It is the first of its lab: a site that fell or came back stays so for a minute, whatever is
    wrong with it (`edge.steering.standing`)."""

    aborts_after_s: float = 0.0
    """An operator aborts it so long after its first fault: the drill is about that. 0: nobody."""

    @property
    def lasts_s(self) -> float:
        """How long the method takes, by its times to live; a burst is part of it."""
        ends_s = (fault.at_s + fault.ttl_s for fault in self.method)
        return max((self.load.burst_s, *ends_s))

    @property
    def needed(self) -> tuple[Bound, ...]:
        """Return what a lab's drill needs beside the steady state before it begins."""
        return (*self.ready, CALLERS_COME)

    @property
    def moves_clocks(self) -> bool:
        """Whether the lab has to be one whose clocks can be set."""
        return any(fault.kind is FaultKind.WRONG_CLOCK for fault in self.method)

    @property
    def slows_disks(self) -> bool:
        """Whether the lab has to be one whose disks can be made slow."""
        return any(fault.kind is FaultKind.SLOW_SYNC for fault in self.method)

    @property
    def needs_database(self) -> bool:
        """Whether the lab has to be one whose database outlives a site."""
        return any(PRIMARY in fault.target for fault in self.method)

    @property
    def calls_back(self) -> bool:
        """Whether the lab has to be one whose queues call back who was cut off."""
        return self.load.call_back

    @property
    def plan_hash(self) -> str:
        """SHA-256 of all that was reviewed, however the file was laid out.

        Defaults are left out, so that it stays the same when there is more that a file may say.
        """
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def read_experiment(text: str, source: str) -> Experiment:
    """Return the experiment that a file holds. ExperimentError names the file and the fault."""
    try:
        found = msgspec.toml.decode(text, type=Experiment)
    except (*UNREADABLE, ValueError) as error:
        raise ExperimentError(f"{source}: no experiment: {error}") from error
    wrong = _wrong_because(found)
    if wrong is not None:
        raise ExperimentError(f"{source}: {wrong}")
    return found


def _wrong_because(experiment: Experiment) -> str | None:
    load = experiment.load
    rules = (
        (
            _NAME.fullmatch(experiment.name) is not None,
            f"name should be a word such as site_killed, not {experiment.name!r}",
        ),
        (
            bool(experiment.method or load.burst_per_s),
            "an experiment without a fault shows nothing: write at least one [[method]]",
        ),
        (
            0.0 <= load.burst_per_s <= MOST_BURST_PER_S,
            f"load.burst_per_s should be 0 to {MOST_BURST_PER_S:g}",
        ),
        (
            0.0 <= load.burst_s <= MOST_TTL_S and (load.burst_per_s > 0 or not load.burst_s),
            f"load.burst_s should be 0 to {MOST_TTL_S:g}, and of a burst: load.burst_per_s",
        ),
        (
            0.0 <= load.short_calls_per_s <= MOST_SHORT_PER_S,
            f"load.short_calls_per_s should be 0 to {MOST_SHORT_PER_S:g}",
        ),
        (
            bool(experiment.steady and experiment.expect),
            "say what is steady, and what is expected: [[steady]] and [[expect]]",
        ),
        (
            0 < load.calls <= MOST_CALLS,
            f"load.calls should be 1 to {MOST_CALLS}, not {load.calls}",
        ),
        (
            0.0 < load.calls_per_s <= MOST_CALLS_PER_S,
            f"load.calls_per_s should be above 0 and at most {MOST_CALLS_PER_S:g}",
        ),
        (
            not (load.redial and load.call_back),
            "load.redial and load.call_back: who dials again is not called back; choose one",
        ),
        (
            load.redial or not load.carrier_sends_again,
            "load.carrier_sends_again: the others have to dial by themselves; say load.redial too",
        ),
        (load.agents_per_site in {5, 10, 15}, "load.agents_per_site should be 5, 10 or 15"),
        (
            0.0 <= load.before_s <= MOST_BEFORE_S,
            f"load.before_s should be 0 to {MOST_BEFORE_S:g}",
        ),
        (
            0.0 < experiment.recover_within_s <= MOST_RECOVERY_S,
            f"recover_within_s should be above 0 and at most {MOST_RECOVERY_S:g}",
        ),
        (1 <= experiment.repeats <= MOST_REPEATS, f"repeats should be 1 to {MOST_REPEATS}"),
        (
            0.0 <= experiment.aborts_after_s < max(experiment.lasts_s, 0.1),
            "aborts_after_s should be before the last fault ends by itself",
        ),
    )
    wrong = next((told for is_right, told in rules if not is_right), None)
    return wrong or _wrong_fault(experiment.method) or _wrong_bound(experiment)


def _wrong_bound(experiment: Experiment) -> str | None:
    kinds: tuple[tuple[str, tuple[Bound, ...], Collection[str]], ...] = (
        ("steady", experiment.steady, MEASURED),
        ("ready", experiment.ready, MEASURED),
        ("abort", experiment.abort, MEASURED),
        ("expect", experiment.expect, FIGURES),
    )
    for kind, bounds, known in kinds:
        for bound in bounds:
            wrong = bound.wrong_because(known)
            if wrong is not None:
                return f"[[{kind}]]: {wrong}"
    return None


def _wrong_fault(method: Iterable[Fault]) -> str | None:
    for number, fault in enumerate(method, start=1):
        wrong = fault.wrong_because()
        if wrong is not None:
            return f"fault {number}: {wrong}"
    return None
