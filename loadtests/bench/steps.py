"""The steps of a call from the caller's INVITE in to the agent's telephone ringing. PURE.

`loadtests.bench.stopwatch` notes the instants inside the edge; this page says what lies between.
There are two ways: the agent who was free when the call came is taken by one transaction with its
ticket (`Way.AT_ONCE`), or the call has its ticket, and is matched and reserved for then.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from loadtests.bench.stats import percentile


class At(StrEnum):
    """An instant of a call."""

    CAME = "came"
    """Its INVITE was in the socket."""
    READ = "read"
    ASKED = "asked"
    """Its ticket was asked for: the message is read, the caller admitted, the call begun."""
    ANSWERED = "answered"
    """The caller's 200 was sent."""
    TICKET = "ticket"
    """etcd has said that the ticket stands."""
    MATCHED = "matched"
    RESERVED = "reserved"
    """etcd has said that the agent is the call's."""
    OFFERED = "offered"
    """The session description for the agent is there, from the relay where there is one."""
    RUNG = "rung"
    """The agent's INVITE was sent."""
    RINGING = "ringing"
    """Their 180 was read."""


class Step(Struct, frozen=True):
    """What lies between two instants."""

    name: str
    begins: At
    ends: At


class Way(StrEnum):
    """How a call comes to its agent."""

    AT_ONCE = "ticket and agent at once"
    ONE_BY_ONE = "ticket, then agent"


_IN = Step("INVITE waits in the socket", At.CAME, At.READ)
_OUT: Final = (
    Step("the agent's INVITE is written and sent", At.OFFERED, At.RUNG),
    Step("their 180 comes back and is read", At.RUNG, At.RINGING),
)
STEPS: Final[Mapping[Way, tuple[Step, ...]]] = {
    Way.AT_ONCE: (
        _IN,
        Step("it is read, the caller admitted, an agent found", At.READ, At.ASKED),
        Step("ticket and agent: one transaction of etcd", At.ASKED, At.RESERVED),
        Step("until the caller is answered, too", At.RESERVED, At.ANSWERED),
        Step("a session description for the agent", At.ANSWERED, At.OFFERED),
        *_OUT,
    ),
    Way.ONE_BY_ONE: (
        _IN,
        Step("it is read, the caller admitted, the call begun", At.READ, At.ASKED),
        Step("ticket: one transaction of etcd", At.ASKED, At.TICKET),
        Step("until the call is matched", At.TICKET, At.MATCHED),
        Step("reservation: one transaction of etcd", At.MATCHED, At.RESERVED),
        Step("a session description for the agent", At.RESERVED, At.OFFERED),
        *_OUT,
    ),
}
"""One after the other."""
BESIDE: Final = (
    Step("INVITE in to the caller's 200", At.CAME, At.ANSWERED),
    Step("INVITE in to the agent's INVITE out", At.CAME, At.RUNG),
    Step("INVITE in to the agent's telephone ringing", At.CAME, At.RINGING),
)

Instants = Mapping[str, float]
"""Of one call, seconds by `At`."""


class Times(Struct, frozen=True, kw_only=True):
    """How long a step took, over the calls that made it."""

    step: str
    p50_ms: float
    p99_ms: float
    share: float
    """Of the time to the agent's telephone ringing, of all calls together."""


class Taken(Struct, frozen=True, kw_only=True):
    """What the calls of one way took."""

    way: Way
    calls: int
    steps: tuple[Times, ...]
    """One after the other."""
    beside: tuple[Times, ...]
    """From the beginning on."""


def taken(calls: Iterable[Instants]) -> tuple[Taken, ...]:
    """Return what each way took, of those calls that came as far as a ringing telephone."""
    whole = [call for call in calls if all(at in call for at in At)]
    gone = {way: [call for call in whole if way_of(call) is way] for way in Way}
    return tuple(_taken(way, those) for way, those in gone.items() if those)


def way_of(call: Instants) -> Way:
    """Return by which way a call came to its agent: by whether one was known when it was noted."""
    return Way.AT_ONCE if call[At.MATCHED] <= call[At.ASKED] else Way.ONE_BY_ONE


def _taken(way: Way, calls: Sequence[Instants]) -> Taken:
    ordered = [_in_order(STEPS[way], call) for call in calls]
    return Taken(
        way=way,
        calls=len(calls),
        steps=_times(STEPS[way], ordered),
        # Of what went on at the same time, as it was.
        beside=_times(BESIDE, calls),
    )


def _times(steps: Iterable[Step], calls: Sequence[Instants]) -> tuple[Times, ...]:
    total_s = sum(call[At.RINGING] - call[At.CAME] for call in calls)
    found = []
    for step in steps:
        taken_s = [call[step.ends] - call[step.begins] for call in calls]
        found.append(
            Times(
                step=step.name,
                p50_ms=1e3 * percentile(taken_s, 0.50),
                p99_ms=1e3 * percentile(taken_s, 0.99),
                share=sum(taken_s) / total_s if total_s else 0.0,
            )
        )
    return tuple(found)


def _in_order(steps: Sequence[Step], call: Instants) -> dict[str, float]:
    """Return the instants so that no step begins before the one before it has ended.

    The mirror may show a ticket, and the call be matched, before the store's answer is read; and
    the caller have their answer before the transaction is over.
    """
    ends = (step.ends for step in steps)
    instants = (call[At.CAME], *(call[at] for at in ends))
    reached = itertools.accumulate(instants, max)
    return dict(zip((At.CAME, *(step.ends for step in steps)), reached, strict=True))
