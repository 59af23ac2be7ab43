"""Whether an agent, or both people, have left a talk whose goodbyes cannot come through. PURE.

The dialog runs through Kamailios, the audio does not. Where the agent's way is out of reach, what
the relay has of the two tells who is there:

- An agent of whom it has had nothing for `SILENT_S` is gone: the caller is to be served anew.
- Unless the caller's way is out of reach as well and the caller is as silent: then the two have
  ended their talk, and whoever was given this call would find nobody.
- A caller who has just fallen silent may be hanging up, as people do who are left in silence: that
  is waited for, for `SILENT_S` at most, until they are gone or heard again.
- A caller whose way is whole is there, silent or not: their goodbye would have come.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from edge.acd.call_events import Attempt

SILENT_S: Final = 5.0
"""Telephones that send nothing while nobody speaks say so much more often."""


class Gone(Enum):
    """Who has left."""

    AGENT = auto()
    BOTH = auto()


class Heard(Struct, frozen=True):
    """How many packets the relay has had of somebody, and since when no more (monotonic)."""

    packets: int
    since_s: float


class Pair(Struct, frozen=True, kw_only=True):
    """What has been heard of an agent and a caller."""

    attempt: Attempt
    agent: Heard
    caller: Heard | None
    """None: the relay counts nothing of them."""


def listened(
    before: Pair | None, attempt: Attempt, agent: int, caller: int | None, now_s: float
) -> Pair:
    """Return what has been heard after one more look, at so many packets of each."""
    if before is None or before.attempt != attempt:
        before = None
    return Pair(
        attempt=attempt,
        agent=_heard(None if before is None else before.agent, agent, now_s),
        caller=None
        if caller is None
        else _heard(None if before is None else before.caller, caller, now_s),
    )


def _heard(before: Heard | None, packets: int, now_s: float) -> Heard:
    if before is not None and before.packets == packets:
        return before
    return Heard(packets, now_s)


def gone(pair: Pair, now_s: float, *, is_caller_cut_off: bool) -> Gone | None:
    """Return who is gone, right after a look; None: nobody, or it cannot be told yet.

    `is_caller_cut_off`: no goodbye of the caller's can come, and nothing lets them be silent.
    """
    if now_s - pair.agent.since_s < SILENT_S:
        return None
    if pair.caller is None or not is_caller_cut_off:
        return Gone.AGENT
    silent_s = now_s - pair.caller.since_s
    if silent_s >= SILENT_S:
        return Gone.BOTH
    return None if silent_s > 0 else Gone.AGENT
