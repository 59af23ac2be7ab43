"""Waiting in a queue with so many agents: Erlang's formulas. PURE.

Calls come at random, handling times are exponential, everybody waits as long as it takes. With A
erlangs (calls a second times handling time) for N agents:

- Erlang B, the share of calls that find all agents busy where nobody waits: B(0) = 1,
  B(N) = A B(N-1) / (N + A B(N-1)).
- Erlang C, the share of calls that wait: C = N B / (N - A (1 - B)), for A < N.
- Mean wait over all calls: C h / (N - A), h the handling time.
- Share answered within t: 1 - C exp(-(N - A) t / h).

The same B says how many lines a site needs: calls at once are its offered load, and who finds all
lines busy is turned away.

A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges" (1917); R. B. Cooper, "Introduction to Queueing Theory" (2nd ed., 1981), §3.5.

Half an agent, as when people are shared among queues, is reckoned between the whole numbers.
"""

from __future__ import annotations

from math import exp, floor, inf
from typing import Final

from msgspec import Struct

BLOCKED: Final = 0.01
"""Grade of service of lines: one call in a hundred may find them all busy."""

MOST: Final = 100_000
"""Nobody has more agents or lines: who needs more gets this number, and no long reckoning."""


class Service(Struct, frozen=True, kw_only=True):
    """How callers fare with so many agents."""

    waiting_share: float
    mean_wait_s: float
    """Infinite when the line grows for ever."""
    level: float
    """The share answered within the target."""


def erlang_c(erlangs: float, agents: float) -> float:
    """Return the share of calls that wait; 1 when there are not agents enough to keep up."""
    if erlangs <= 0.0:
        return 0.0
    if agents <= erlangs:
        return 1.0
    low = floor(agents)
    part = agents - low
    blocked = erlang_b(erlangs, low)
    if part:
        # Between two whole numbers: B falls about evenly there.
        blocked += part * (erlang_b(erlangs, low + 1) - blocked)
    return min(1.0, agents * blocked / (agents - erlangs * (1.0 - blocked)))


def service(calls_per_s: float, handling_s: float, agents: float, target_s: float) -> Service:
    """Return how callers fare."""
    erlangs = calls_per_s * handling_s
    if erlangs <= 0.0:
        return Service(waiting_share=0.0, mean_wait_s=0.0, level=1.0)
    waiting = erlang_c(erlangs, agents)
    spare = agents - erlangs
    if spare <= 0.0:
        return Service(waiting_share=1.0, mean_wait_s=inf, level=0.0)
    return Service(
        waiting_share=waiting,
        mean_wait_s=waiting * handling_s / spare,
        level=1.0 - waiting * exp(-spare * target_s / handling_s),
    )


def agents_needed(calls_per_s: float, handling_s: float, target_s: float, level: float) -> int:
    """Return with how many agents so large a share is answered within the target."""
    erlangs = calls_per_s * handling_s
    if erlangs <= 0.0:
        return 0
    blocked, agents = 1.0, 0
    # One round of the recursion an agent, so that a large center is no long reckoning.
    while agents < MOST:
        agents += 1
        blocked = erlangs * blocked / (agents + erlangs * blocked)
        if agents <= erlangs:
            continue
        waiting = agents * blocked / (agents - erlangs * (1.0 - blocked))
        if 1.0 - waiting * exp(-(agents - erlangs) * target_s / handling_s) >= level:
            return agents
    return MOST


def lines_needed(erlangs: float) -> int:
    """Return with how many lines no more than `BLOCKED` of all calls find them all busy."""
    if erlangs <= 0.0:
        return 0
    lines, found = 0, 1.0
    while found > BLOCKED and lines < MOST:
        lines += 1
        found = erlangs * found / (lines + erlangs * found)
    return lines


def erlang_b(erlangs: float, servers: int) -> float:
    """Return the share of calls that find all servers busy, where nobody waits."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = erlangs * blocked / (number + erlangs * blocked)
    return blocked
