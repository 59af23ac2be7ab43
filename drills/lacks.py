"""What drills have asked a machine for in vain, so that no others wait as long for it. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from drills.due import Due
from drills.evidence import Evidence, lacked
from drills.experiment import Bound, Experiment

MOST_TRIES = 3


class _Lack(Struct, frozen=True, kw_only=True):
    tries: int
    why: str


class Lacks:
    """What did not come within a minute, and what there was instead.

    One that asks for the same or more is put back behind all that may come before it, and given up
    after so many tries in a row.
    """

    def __init__(self) -> None:
        self._of: dict[Bound, _Lack] = {}

    def take(self, evidence: Evidence) -> None:
        """Note what did not come for a drill, or that it is there again, as it was begun."""
        if evidence.was_begun:
            for bound in self._asked(evidence.experiment):
                del self._of[bound]
        for bound in lacked(evidence):
            before = self._of.get(bound)
            tries = 1 + (before.tries if before else 0)
            self._of[bound] = _Lack(tries=tries, why=evidence.why)

    def puts_back(self, experiment: Experiment) -> bool:
        """Tell whether a drill asks for what did not come, or for more."""
        return bool(self._asked(experiment))

    def in_order(self, due: Iterable[Due]) -> list[Due]:
        """Return what is to be done in this order, without what is given up."""
        known = tuple(due)
        first = [each for each in known if not self.puts_back(each.experiment)]
        back = [each for each in known if self.puts_back(each.experiment)]
        return first + [each for each in back if not self._is_given_up(each.experiment)]

    def told(self, experiment: Experiment) -> str:
        """Return what a drill asks for, and what there was; empty: it asks for nothing in vain."""
        asked = self._asked(experiment)
        in_vain = (each for each in experiment.needed if any(map(each.asks_as_much_as, asked)))
        asks = "; ".join(bound.told() for bound in in_vain)
        why = "; ".join(dict.fromkeys(self._of[bound].why for bound in asked))
        return f"it asks for {asks}; {why}" if why else ""

    def _is_given_up(self, experiment: Experiment) -> bool:
        return any(self._of[bound].tries >= MOST_TRIES for bound in self._asked(experiment))

    def _asked(self, experiment: Experiment) -> list[Bound]:
        """Return what did not come of what a drill asks for."""
        return [
            bound
            for bound in self._of
            if any(each.asks_as_much_as(bound) for each in experiment.needed)
        ]
