"""What a call wants written, each by the plan of `edge.acd.reservation` that it names.

`at` is when it happened, however much later the store takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edge.acd.reservation import AgentPart
from state.model import Decision, Now, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTicket:
    """`created`: as GREETING, or, when there is nothing to greet with, at once as QUEUED."""

    greeting: bool
    at: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkQueued:
    """`queued`."""

    at: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkConnected:
    """`connected`."""

    at: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """`offer_failed`."""

    part: AgentPart
    tried: bool
    at: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeAgent:
    """`agent_freed`, if an agent is held."""

    part: AgentPart
    at: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """`ended`, if a ticket is held; `part` is of the agent, if one is."""

    outcome: Outcome
    cause: str
    part: AgentPart
    decision: Decision | None
    at: Now


Write: TypeAlias = CreateTicket | MarkQueued | MarkConnected | GiveBack | FreeAgent | Close
