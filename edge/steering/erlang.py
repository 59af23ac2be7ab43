"""Waiting in a queue with so many agents: Erlang's formulas. PURE.

Calls come at random, handling times are exponential, everybody waits as long as it takes. With A
erlangs (calls a second times handling time) for N agents:

- Erlang B, the share of calls that find all agents busy where nobody waits: B(0) = 1,
  B(N) = A B(N-1) / (N + A B(N-1)).
- Erlang C, the share of calls that wait: C = N B / (N - A (1 - B)), for A < N.
- Mean wait over all calls: C h / (N - A), h the handling time.
- Share answered within t: 1 - C exp(-(N - A) t / h).

A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges" (1917); R. B. Cooper, "Introduction to Queueing Theory" (2nd ed., 1981), §3.5.

Half an agent, as when people are shared among queues, is reckoned between the whole numbers.
"""

from __future__ import annotations

from math import exp, floor, inf

from msgspec import Struct


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
    blocked = _erlang_b(erlangs, low)
    if part:
        # Between two whole numbers: B falls about evenly there.
        blocked += part * (_erlang_b(erlangs, low + 1) - blocked)
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
    agents = floor(calls_per_s * handling_s) + 1
    while service(calls_per_s, handling_s, agents, target_s).level < level:
        agents += 1
    return agents


def _erlang_b(erlangs: float, agents: int) -> float:
    blocked = 1.0
    for number in range(1, agents + 1):
        blocked = erlangs * blocked / (number + erlangs * blocked)
    return blocked
