"""Whether all of a line can have had their turn before somebody was given an agent. PURE.

Each takes somebody left who can do what they ask for, and goes without only if nobody can. By which
scores an edge chooses is left open: all ways are tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from drills.prove.needs import Able, Asked, meets

_Left: TypeAlias = tuple[int, ...]
"""How many of each kind are left."""


class Asking(Struct, frozen=True):
    """What somebody asks for who waits."""

    stages: Sequence[Asked]
    """One of these: nobody can tell which. None: what they ask for is not known at all."""

    def must_take(self, kind: Able) -> bool:
        """Tell whether they could not be left without, while one of these agents was."""
        return bool(self.stages) and all(meets(kind, asked) for asked in self.stages)

    def may_take(self, kind: Able) -> bool:
        """Tell whether one of these agents may have been given to them."""
        return any(meets(kind, asked) for asked in self.stages)


_Kind: TypeAlias = tuple[tuple[bool, bool], ...]
"""For each of a line, whether they must take one of these agents, and whether they may."""


def _alike(line: Sequence[Asking], crew: Mapping[Able, int]) -> Counter[_Kind]:
    """Return how many agents are alike for everybody in a line; whom nobody may take is left out.

    All ways are tried: so the fewer kinds, the better.
    """
    alike: Counter[_Kind] = Counter()
    for able, count in crew.items():
        kind = tuple((asking.must_take(able), asking.may_take(able)) for asking in line)
        if count and any(may for _, may in kind):
            alike[kind] += count
    return alike


def overtaken(line: Sequence[Asking], crew: Mapping[Able, int], winner: Able) -> int | None:
    """Return the place in a line of the first who must have been passed over; None: nobody.

    `crew`: how many were free of each kind, without one of the `winner`'s who was given to somebody
    behind the line.
    """
    alike = _alike(line, crew)
    ways: set[_Left] = {tuple(alike.values())}
    for place, asking in enumerate(line):
        must = [kind[place][0] for kind in alike]
        may = [kind[place][1] for kind in alike]
        may_go_without = not asking.must_take(winner)
        following: set[_Left] = set()
        for left in ways:
            following.update(_each_taken(left, may))
            if may_go_without and not any(n and m for n, m in zip(left, must, strict=True)):
                following.add(left)
        if not following:
            return place
        ways = following
    return None


def is_overtaken(line: Sequence[Asking], crew: Mapping[Able, int], winner: Able) -> bool:
    """Tell whether somebody must have been passed over, in whatever order they stood in the line.

    Whoever goes without does so because nobody is left for them: then nobody is at the end either.
    """
    alike = _alike(line, crew)
    ways: set[tuple[_Left, frozenset[int]]] = {(tuple(alike.values()), frozenset())}
    """With the kinds of which nobody may be left."""
    for place, asking in enumerate(line):
        may = [kind[place][1] for kind in alike]
        theirs = frozenset(n for n, kind in enumerate(alike) if kind[place][0])
        may_go_without = not asking.must_take(winner)
        following: set[tuple[_Left, frozenset[int]]] = set()
        for left, spent in ways:
            following.update((each, spent) for each in _each_taken(left, may))
            if may_go_without:
                following.add((left, spent | theirs))
        ways = following
    return not any(all(left[n] == 0 for n in spent) for left, spent in ways)


def _each_taken(left: _Left, may: Sequence[bool]) -> Iterator[_Left]:
    for n, (count, is_theirs) in enumerate(zip(left, may, strict=True)):
        if count and is_theirs:
            yield (*left[:n], count - 1, *left[n + 1 :])
