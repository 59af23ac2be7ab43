"""The steps of a call from the caller's INVITE in to the agent's telephone ringing. PURE.

`loadtests.bench.stopwatch` notes the instants inside the edge; this page says what lies between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    RUNG = "rung"
    """The agent's INVITE was sent."""
    RINGING = "ringing"
    """Their 180 was read."""


class Step(Struct, frozen=True):
    """What lies between two instants."""

    name: str
    begins: At
    ends: At


STEPS: Final = (
    Step("INVITE waits in the socket", At.CAME, At.READ),
    Step("it is read, the caller admitted, the call begun", At.READ, At.ASKED),
    Step("ticket: one transaction of etcd", At.ASKED, At.TICKET),
    Step("until the call is matched", At.TICKET, At.MATCHED),
    Step("reservation: one transaction of etcd", At.MATCHED, At.RESERVED),
    Step("the agent's INVITE is written and sent", At.RESERVED, At.RUNG),
    Step("their 180 comes back and is read", At.RUNG, At.RINGING),
)
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


def times(calls: Iterable[Instants]) -> tuple[Times, ...]:
    """Return the steps of those calls that came as far as a ringing telephone, then the sums."""
    whole = [_in_order(call) for call in calls if all(at in call for at in At)]
    total_s = sum(call[At.RINGING] - call[At.CAME] for call in whole)
    found = []
    for step in (*STEPS, *BESIDE):
        taken_s = [call[step.ends] - call[step.begins] for call in whole]
        found.append(
            Times(
                step=step.name,
                p50_ms=1e3 * percentile(taken_s, 0.50),
                p99_ms=1e3 * percentile(taken_s, 0.99),
                share=sum(taken_s) / total_s if total_s else 0.0,
            )
        )
    return tuple(found)


def _in_order(call: Instants) -> dict[str, float]:
    """Return the instants so that no step begins before the one before it has ended.

    The mirror may show a ticket, and the call be matched, before the store's answer is read.
    """
    found = dict(call)
    for step in STEPS:
        found[step.ends] = max(found[step.ends], found[step.begins])
    return found
