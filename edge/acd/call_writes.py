"""What a call wants written, each by the plan of `edge.acd.reservation` that it names.

`at` is when it happened, however much later the store takes it.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from edge.acd.ending import AgentPart, Holds
from state.model import AgentId, Decision, Now, Outcome, Queue


class CreateTicket(Struct, frozen=True, kw_only=True):
    """`created`: as GREETING, or, when there is nothing to greet with, at once as QUEUED."""

    greeting: bool
    at: Now


class MarkQueued(Struct, frozen=True, kw_only=True):
    """`queued`."""

    at: Now


class TakeCallback(Struct, frozen=True, kw_only=True):
    """`callback_taken`: the caller wants to be called back, and waits no longer."""

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
    talk: Holds | None = None
    """Of the talk that is over with this."""


class PassOn(Struct, frozen=True, kw_only=True):
    """`passed_on`: the agent still is held, and does not talk with the caller any more."""

    talk: Holds
    at: Now


class MoveToQueue(Struct, frozen=True, kw_only=True):
    """`moved`: the caller waits in another queue, the agent is free."""

    queue: Queue
    part: AgentPart
    talk: Holds
    at: Now


class HandBack(Struct, frozen=True, kw_only=True):
    """`handed_back`: the target of the transfer is free, the agent of before has the caller."""

    part: AgentPart
    """The target's."""
    agent: AgentId
    """Who has the caller."""
    at: Now


class FreeTransferor(Struct, frozen=True, kw_only=True):
    """`transferor_freed`: they are out."""

    part: AgentPart
    at: Now


class Leaving(Struct, frozen=True, kw_only=True):
    """Of a call that ends in a transfer: the part of the agent who has passed the caller on."""

    agent: AgentId
    part: AgentPart


class FreeAgent(Struct, frozen=True, kw_only=True):
    """`agent_freed`, if an agent is held."""

    part: AgentPart
    at: Now
    leaving: Leaving | None = None


class Close(Struct, frozen=True, kw_only=True):
    """`ended`, if a ticket is held; `part` is of the agent, if one is."""

    outcome: Outcome
    cause: str
    part: AgentPart
    decision: Decision | None
    at: Now
    holds: int = 0
    held_s: float = 0.0
    leaving: Leaving | None = None
    talk: Holds | None = None
    """Of the talk that is over with this; None: nobody talked."""


Write: TypeAlias = (
    CreateTicket
    | MarkQueued
    | TakeCallback
    | MarkConnected
    | MarkHold
    | GiveBack
    | PassOn
    | MoveToQueue
    | HandBack
    | FreeTransferor
    | FreeAgent
    | Close
)
