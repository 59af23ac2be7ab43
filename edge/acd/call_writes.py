"""What a call wants written, each by the plan of `edge.acd.reservation` that it names.

`at` is when it happened, however much later the store takes it.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from edge.acd.ending import AgentPart
from state.model import Decision, Now, Outcome


class CreateTicket(Struct, frozen=True, kw_only=True):
    """`created`: as GREETING, or, when there is nothing to greet with, at once as QUEUED."""

    greeting: bool
    at: Now


class MarkQueued(Struct, frozen=True, kw_only=True):
    """`queued`."""

    at: Now


class MarkConnected(Struct, frozen=True, kw_only=True):
    """`connected`."""

    at: Now


class MarkHold(Struct, frozen=True, kw_only=True):
    """`hold_turned`: the agent has put the caller on hold, or talks again."""

    on: bool
    at: Now


class GiveBack(Struct, frozen=True, kw_only=True):
    """`offer_failed`, or `agent_lost` of one who has talked with the caller."""

    part: AgentPart
    tried: bool
    at: Now
    has_talked: bool = False


class FreeAgent(Struct, frozen=True, kw_only=True):
    """`agent_freed`, if an agent is held."""

    part: AgentPart
    at: Now


class Close(Struct, frozen=True, kw_only=True):
    """`ended`, if a ticket is held; `part` is of the agent, if one is."""

    outcome: Outcome
    cause: str
    part: AgentPart
    decision: Decision | None
    at: Now
    holds: int = 0
    held_s: float = 0.0


Write: TypeAlias = (
    CreateTicket | MarkQueued | MarkConnected | MarkHold | GiveBack | FreeAgent | Close
)
