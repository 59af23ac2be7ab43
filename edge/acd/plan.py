"""One transaction of a call, as a value: what it compares, what it writes, what is held after it.

Owns the shape of a plan and the reading of its outcome. Which plans there are is
`edge.acd.reservation`.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from state import keys
from state.codec import decode, encode
from state.model import (
    AgentId,
    Entry,
    Now,
    Offer,
    Ticket,
    Work,
)
from state.store import Absent, Compare, Delete, Get, Got, ModIs, Nested, Put, TxnResult

OWN = 0
"""A revision in `Plan.after` that is this plan's own, not known before it has landed."""


class GivenAgent(Struct, frozen=True, kw_only=True):
    """The agent given to a call: their offer, and what their work record will be reckoned from."""

    offer: Entry[Offer]
    work: Entry[Work] | None
    """As it stood when the agent was given; None: they have none that can be read."""
    work_revision: int
    """Of the work record, also of one that cannot be read; 0: there is none."""
    idle_s: float
    """For how long the agent had been free."""
    since_s: float
    """When the agent was given to the call, on this process's monotonic clock."""
    rest_over_s: float = 0.0
    """By how much longer they rested before than `work` says."""


class Held(Struct, frozen=True, kw_only=True):
    """The records of one call that its holder answers for, as the store has them."""

    ticket: Entry[Ticket]
    given: GivenAgent | None = None
    transferor: GivenAgent | None = None
    """The agent who has passed the caller on to `given`, until they are out."""
    consulted: GivenAgent | None = None
    """The agent whom `given` has called, to ask them or to hand the caller over."""

    @property
    def agents(self) -> tuple[GivenAgent, ...]:
        """Everybody who is held for this call."""
        held = (self.given, self.transferor, self.consulted)
        return tuple(each for each in held if each is not None)


class Plan(Struct, frozen=True, kw_only=True):
    """A transaction, what is held once it has landed, and how to recognise that it has.

    Send it as `store.txn(plan.compares, plan.success, plan.failure)`.
    """

    compares: tuple[Compare, ...]
    success: tuple[Put | Delete, ...]
    proof: Put
    """One of `success`: what stands at its key shows whether the plan was carried out."""
    after: Held | None
    """None: the call is over. Read it through `held_after`, which fills the revisions in."""
    otherwise: Plan | None = None
    """What is done in its place, in the same transaction, when a compare fails; of the same key."""

    @property
    def failure(self) -> tuple[Get | Nested, ...]:
        """What to do, in the same round trip, when a compare fails: read, or the other plan."""
        other = self.otherwise
        if other is None:
            return (Get(key=self.proof.key),)
        read = Get(key=other.proof.key)
        return (Nested(compares=other.compares, success=other.success, failure=(read,)),)


def landed_at(plan: Plan, result: TxnResult) -> int | None:
    """Return the revision at which the plan's writes stand, or None if it was refused.

    A refusal of a plan that an earlier, unanswered attempt had carried out counts as landed.
    """
    if result.succeeded:
        return result.revision
    return found_at(plan, result)


def found_at(plan: Plan, result: TxnResult) -> int | None:
    """Return the revision of the plan's writes, if they are what a refused one has read."""
    for response in result.responses:
        if isinstance(response, TxnResult):
            return found_at(plan, response)
        if isinstance(response, Got) and response.record is not None:
            found = response.record
            if (found.key, found.value) == (plan.proof.key, plan.proof.value):
                return found.mod_revision
    return None


def carried_out(plan: Plan, result: TxnResult) -> tuple[Plan, int] | None:
    """Return which was done, this plan or the one in its place, and where; None: neither."""
    revision = landed_at(plan, result)
    if revision is not None:
        return plan, revision
    for response in result.responses:
        if plan.otherwise is not None and isinstance(response, TxnResult):
            revision = landed_at(plan.otherwise, response)
            return None if revision is None else (plan.otherwise, revision)
    return None


def held_after(plan: Plan, revision: int) -> Held | None:
    """Return what is held once the plan has landed at `revision`; None: nothing any more."""
    after = plan.after
    if after is None:
        return None
    ticket = after.ticket
    if ticket.mod_revision == OWN:
        created = ticket.create_revision or revision
        ticket = replace(ticket, mod_revision=revision, create_revision=created)
    given, consulted = _filled(after.given, revision), _filled(after.consulted, revision)
    return Held(ticket=ticket, given=given, transferor=after.transferor, consulted=consulted)


def _filled(agent: GivenAgent | None, revision: int) -> GivenAgent | None:
    if agent is None or agent.offer.mod_revision != OWN:
        return agent
    created = agent.offer.create_revision or revision
    offer = replace(agent.offer, mod_revision=revision, create_revision=created)
    return replace(agent, offer=offer)


def waited(plan: Plan, seconds: float, *, may_be_done: bool = True) -> Plan:
    """Return a plan that is written so late: the rests that it begins have run meanwhile.

    `may_be_done`: an earlier attempt may have been carried out, and is known by the same proof.
    """
    if may_be_done:
        success = tuple(e if e is plan.proof else _waited(e, seconds) for e in plan.success)
        return replace(plan, success=success)
    success = tuple(_waited(each, seconds) for each in plan.success)
    return replace(plan, success=success, proof=_waited(plan.proof, seconds))


_W = TypeVar("_W", bound=Put | Delete)


def _waited(operation: _W, seconds: float) -> _W:
    if not isinstance(operation, Put) or not operation.key.startswith(keys.WORK):
        return operation
    work = decode(Work, operation.value, operation.key)
    rested_s = round(work.rested_s + max(0.0, seconds), 3)
    return replace(operation, value=encode(replace(work, rested_s=rested_s)))


def put_ticket(ticket: Ticket) -> Put:
    """Return the write of a ticket."""
    return Put(key=keys.ticket(ticket.call), value=encode(ticket))


def put_offer(offer: Offer) -> Put:
    """Return the write of an offer."""
    return Put(key=keys.offer(offer.agent), value=encode(offer))


def same_ticket(ticket: Entry[Ticket]) -> Compare:
    """Return the condition that the ticket is as it was."""
    return ModIs(key=keys.ticket(ticket.value.call), mod_revision=ticket.mod_revision)


def same_offer(offer: Entry[Offer]) -> Compare:
    """Return the condition that the offer is as it was."""
    return ModIs(key=keys.offer(offer.value.agent), mod_revision=offer.mod_revision)


def same_work(agent: AgentId, revision: int) -> Compare:
    """Return the condition that the work record is as it was; 0: there is none."""
    key = keys.work(agent)
    return Absent(key=key) if revision == 0 else ModIs(key=key, mod_revision=revision)


_R = TypeVar("_R", Ticket, Offer)


def rewritten(entry: Entry[_R], value: _R, at: Now) -> Entry[_R]:
    """Return the entry with a value that the plan itself writes at `at`, and so knows its age."""
    return replace(entry, value=value, mod_revision=OWN, seen_s=at.mono_s, is_found=False)
