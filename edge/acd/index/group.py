"""The calls of one queue and one priority: which level each is lifted to. PURE.

Within a group calls stand by their places, and each has at least the level of any behind it
(`edge.acd.line`). So the levels along the group are a staircase that falls towards its end. It is
kept by its *edges*: the calls whose own level is above all those behind them. Calls that only wait
touch an edge or two when they come, age or go, however many they are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Protocol

from state.model import CallId

Standing = tuple[int, CallId]
"""Where a call stands in its group: its place, and for calls that share one, its id."""


class Onlooker(Protocol):
    """Who has to know at which levels calls stand."""

    def look_at_levels(self) -> None:
        """Take in that calls were lifted, or are lifted no longer."""
        ...


class Group:
    """All waiting calls of a queue and a priority, those included that are being given an agent."""

    __slots__ = ("_edges", "_heights", "_order", "_own", "onlookers")

    def __init__(self) -> None:
        self._order: list[Standing] = []
        self._own: dict[CallId, int] = {}
        self._edges: list[Standing] = []
        self._heights: list[int] = []
        self.onlookers: dict[Onlooker, None] = {}

    def __len__(self) -> int:
        return len(self._order)

    def level_at(self, standing: Standing) -> int:
        """Return the level to which a call of this group is lifted."""
        return self._heights[bisect_left(self._edges, standing)]

    def put(self, standing: Standing, level: int) -> None:
        """Let a call stand there with a level of its own; it may have had another one before."""
        if standing[1] in self._own:
            self.drop(standing)
        self._own[standing[1]] = level
        insort(self._order, standing)
        end = bisect_left(self._edges, standing)
        if end < len(self._edges) and self._heights[end] >= level:
            return
        # One that comes last, and no higher than those before it, lifts nobody.
        is_lifting = end < len(self._edges) or (end > 0 and self._heights[end - 1] < level)
        start = end
        while start > 0 and self._heights[start - 1] <= level:
            start -= 1
        self._edges[start:end] = [standing]
        self._heights[start:end] = [level]
        if is_lifting:
            self._tell()

    def drop(self, standing: Standing) -> None:
        """Let a call be gone."""
        place = bisect_left(self._order, standing)
        del self._order[place]
        level = self._own.pop(standing[1])
        edge = bisect_left(self._edges, standing)
        if edge < len(self._edges) and self._edges[edge] == standing:
            self._mend(edge, place, level)
            # If the last of those it lifted stands as high as before, they all do.
            if place > 0 and self.level_at(self._order[place - 1]) < level:
                self._tell()

    def _mend(self, edge: int, place: int, most: int) -> None:
        """Replace an edge of height `most` by those that it hid: they stand before `place`."""
        before = self._edges[edge - 1] if edge else None
        height = self._heights[edge + 1] if edge + 1 < len(self._edges) else None
        edges: list[Standing] = []
        heights: list[int] = []
        while place > 0 and self._order[place - 1] != before and (height is None or height < most):
            place -= 1
            own = self._own[self._order[place][1]]
            if height is None or own > height:
                height = own
                edges.append(self._order[place])
                heights.append(own)
        self._edges[edge : edge + 1] = reversed(edges)
        self._heights[edge : edge + 1] = reversed(heights)

    def _tell(self) -> None:
        for onlooker in self.onlookers:
            onlooker.look_at_levels()
