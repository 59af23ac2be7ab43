"""What moving traffic would come to, and who would fare worse for it. PURE.

Owns what counts as worse. What would become of callers is `prediction`'s.

The laws:

- A queue that would fit is never worse off, and neither is one of which the move changes nothing.
- Nobody is worse off who fares as they would without the move if their queue had a little more to
  do (`coming.heavier`): how much comes is never known so exactly. Close to what the people can do,
  a hundredth more load costs some hundredths of the service level.
- Where more come than there are people for, the level has nothing left to lose. There it is how
  many can be answered at all, and how long they wait.
- The formula's word is no chance. Of the imagined callers one may find another agent, and all
  after them, too, though nothing has got worse: of ninety, one who is late is a hundredth. So their
  word counts when callers of other seeds say the same, each of `ROUNDS` times: what chance says
  every third time it says so in one move of seven hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from edge.steering.capacity import LEVEL, TARGET_S, QueueForecast
from edge.steering.coming import Coming, heavier
from edge.steering.imagined import Horizon
from edge.steering.prediction import (
    FORMULA,
    Prediction,
    QueuePrediction,
    SitePrediction,
    horizon_of,
    predict,
)
from state.configuration import Configuration
from state.model import Now, QueueId
from state.snapshot import Snapshot

ROUNDS: Final = 6
"""So many times imagined callers are asked before their word alone keeps anybody from moving."""
_NOTICED: Final = 0.01
"""A share of all callers, as the service level is, that falls by less is the same."""
_NOTICED_S: Final = 1.0
"""A wait that grows by less is."""
_UNSERVED: Final = 1e-9
"""Calls a second: sums of the same calls in another order differ by less."""

_Queues: TypeAlias = Mapping[QueueId, QueuePrediction]


class Move(Struct, frozen=True, kw_only=True):
    """What moving traffic would come to."""

    seed: int
    from_ms: int
    now_ms: int
    target_s: float
    level: float
    formula: str
    before: Prediction
    after: Prediction
    worse: frozenset[QueueId] = frozenset()
    """Queues that would not fit because of it."""

    @property
    def queues(self) -> tuple[QueuePrediction, ...]:
        """Those that would not fit because of it."""
        return tuple(each for each in self.after.queues if each.queue in self.worse)

    @property
    def sites(self) -> tuple[SitePrediction, ...]:
        """Those that would not fit because of it."""
        # The rules may bring a site, whose edges may live already.
        was = {each.site: each.calls_per_s for each in self.before.sites}
        return tuple(
            each
            for each in self.after.sites
            if not each.fits and each.calls_per_s > was.get(each.site, 0.0) + 1e-9
        )

    @property
    def is_unserved(self) -> bool:
        """Whether calls that a site would take now would be taken by none."""
        return self.after.unserved_per_s > self.before.unserved_per_s + _UNSERVED

    @property
    def fits(self) -> bool:
        """Whether nothing gets worse than it may be."""
        return not (self.is_unserved or self.queues or self.sites)


def move(  # noqa: PLR0913 - what is supposed, and what it is compared with
    snapshot: Snapshot,
    rules: Configuration,
    what: Coming,
    now: Now,
    horizon: Horizon | None = None,
    *,
    present: Configuration | None = None,
) -> Move:
    """Return what it would come to if these rules were in force.

    `present`: those that are now, where the snapshot may not show them yet.
    """
    horizon = horizon or horizon_of(snapshot)
    left = partial(predict, snapshot, now=now, rules=present)
    moved = partial(predict, snapshot, what, now, rules=rules)
    before, after = left(what, horizon=horizon), moved(horizon=horizon)

    def rounds() -> Iterator[tuple[Prediction, Prediction]]:
        """Yield how they would fare left alone with a little more to do, and moved."""
        more = heavier(what, snapshot)
        yield left(more, horizon=horizon), after
        for number in range(1, ROUNDS):
            other = replace(horizon, seed=horizon.seed + number)
            yield left(more, horizon=other), moved(horizon=other)

    return Move(
        seed=horizon.seed,
        from_ms=what.from_ms,
        now_ms=what.to_ms,
        target_s=TARGET_S,
        level=LEVEL,
        formula=FORMULA,
        before=before,
        after=after,
        worse=worse_off(before, after, rounds()),
    )


def worse_off(
    before: Prediction, after: Prediction, rounds: Iterable[tuple[Prediction, Prediction]]
) -> frozenset[QueueId]:
    """Return the queues that are worse off; where none can be, no round is asked for."""
    surely: frozenset[QueueId] = frozenset()
    maybe = _those(_is_seen_worse, before, after)
    doubted = maybe | _those(_is_reckoned_worse, before, after)
    if not doubted:
        return doubted
    for number, (left, moved) in enumerate(rounds):
        if not number:
            surely = doubted & _those(_is_reckoned_worse, left, moved)
        maybe = (maybe - surely) & _those(_is_seen_worse, left, moved)
        if not maybe:
            break
    return surely | maybe


def _those(
    is_worse: Callable[[QueuePrediction, QueuePrediction | None], bool],
    left: Prediction,
    moved: Prediction,
) -> frozenset[QueueId]:
    was: _Queues = {each.queue: each for each in left.queues}
    return frozenset(each.queue for each in moved.queues if is_worse(each, was.get(each.queue)))


def _is_reckoned_worse(now: QueuePrediction, was: QueuePrediction | None) -> bool:
    """Tell whether it fares worse by the formula, and does not fit. `was`, None: nobody came."""
    if now.forecast.fits:
        return False
    if was is None:
        return True
    fell = max(
        was.forecast.level - now.forecast.level,
        _answerable(was.forecast) - _answerable(now.forecast),
    )
    return fell > _NOTICED


def _answerable(forecast: QueueForecast) -> float:
    """Return which share of the callers there are people for, if none ever gives up."""
    return min(1.0, forecast.agents / forecast.erlangs) if forecast.erlangs > 0.0 else 1.0


def _is_seen_worse(now: QueuePrediction, was: QueuePrediction | None) -> bool:
    """Tell whether it fares worse by the imagined callers, and does not fit."""
    if now.suffices or not now.calls:
        return False
    if was is None or not was.calls:
        return True
    answered = was.answered - now.answered
    if max((was.level or 0.0) - (now.level or 0.0), answered) > _NOTICED:
        return True
    # Where more are answered than were they may wait longer: those were not answered before.
    return abs(answered) <= _NOTICED and (now.wait_s or 0.0) - (was.wait_s or 0.0) > _NOTICED_S
