"""What an agent's home edge says of them: there or not, paused or not, and how long they rest.

Owns what goes into a presence record, whose one writer is the home edge. Knows nothing of
registrations but whether there is one.

The laws:

- One writer a fact. The rest after an offer stands in the work record, written by the edge of that
  offer. When an agent ends it early, or wants more of it, the home edge says so in the presence
  record, of that very work record (`rest_of`, its mod_revision): so it never applies to a later
  one, and a reservation, which compares both revisions, is refused if either has changed.
- A wrap-up that was changed is told in the ledger, beside the call's record, with the change:
  handling time is of the real one.
- Over the API a rest is changed by a record of its own (`Rest`), since no control plane can reach
  every edge, and a wish written anew would end the pause of who let calls ring.
- An agent who lets `pause_after` offers in a row ring is paused, until they (or somebody for them)
  wish anew to be ready; after that it takes as many again. Offers that ended by a fault, or that
  the agent declined, are none of these.
- Whoever wrote the wish last is obeyed, an agent or a supervisor (`Wish.by`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.eligibility import rest_ends_s, rest_of_s
from state.model import (
    FIRST_EPOCH,
    MAIN,
    Agent,
    AgentId,
    Entry,
    Now,
    Presence,
    PresenceState,
    Readiness,
    Rest,
    Rested,
    RestTaken,
    Wish,
    Work,
    WorkEnd,
)
from state.snapshot import Snapshot

UNANSWERED: Final = "unanswered"
"""The reason of a pause that is not the agent's own."""
LONGEST_REST_S: Final = 3600.0


class Attendance(Struct, frozen=True):
    """Whether an agent is there, and why not at work if they are."""

    state: PresenceState
    reason: str = ""


def attendance(
    agent: Agent, *, registered: bool, wish: Entry[Wish] | None, work: Entry[Work] | None
) -> Attendance:
    """Return what the home site says of an agent. Who never said "ready" is paused."""
    if not registered:
        return Attendance(PresenceState.SIGNED_OUT)
    if wish is None:
        return Attendance(PresenceState.PAUSED)
    match wish.value.readiness:
        case Readiness.SIGNED_OUT:
            return Attendance(PresenceState.SIGNED_OUT, wish.value.reason)
        case Readiness.PAUSED:
            return Attendance(PresenceState.PAUSED, wish.value.reason)
        case Readiness.READY:
            if _lets_it_ring(agent, wish, work):
                return Attendance(PresenceState.PAUSED, UNANSWERED)
            return Attendance(PresenceState.READY)


def _lets_it_ring(agent: Agent, wish: Entry[Wish], work: Entry[Work] | None) -> bool:
    if work is None or agent.pause_after <= 0 or wish.mod_revision > work.mod_revision:
        return False
    done = work.value
    is_last_one = done.unanswered > 0 and done.unanswered % agent.pause_after == 0
    return done.end is WorkEnd.NO_ANSWER and is_last_one


def wanted(readiness: Readiness) -> PresenceState:
    """Return the presence that a wish asks for."""
    match readiness:
        case Readiness.READY:
            return PresenceState.READY
        case Readiness.SIGNED_OUT:
            return PresenceState.SIGNED_OUT
        case Readiness.PAUSED:
            return PresenceState.PAUSED


def pause_codes_instead(snapshot: Snapshot, agent: AgentId, reason: str) -> tuple[str, ...]:
    """Return the codes to choose from if an agent may not pause for that reason; else nothing.

    Where the agent's tenant has pause codes, the reason is one of them.
    """
    known = snapshot.agents.get(agent)
    tenant = MAIN if known is None else known.value.tenant
    codes = sorted(key for key, e in snapshot.pause_codes.items() if e.value.tenant == tenant)
    return () if reason in codes else tuple(codes)


def presence_due(  # noqa: PLR0913 - each is one fact of a presence
    held: Entry[Presence] | None,
    agent: Agent,
    found: Attendance,
    wall_ms: int,
    *,
    epoch: int = FIRST_EPOCH,
    rest: Rest | None = None,
) -> Presence | None:
    """Return the presence to be written, or None if the one that is held says it already.

    What it says of the rest stays: a pause does not give a changed rest back. `epoch` is the least
    that the tokens of the agent may have: the presence is written anew if its own is lower.
    `rest`: see `rest_asked`.
    """
    if held is None and found.state is PresenceState.SIGNED_OUT:
        return None
    if held is None or held.value.site != agent.site:
        return Presence(
            agent=agent.id,
            site=agent.site,
            state=found.state,
            since_ms=wall_ms,
            reason=found.reason,
            epoch=epoch if held is None else max(epoch, held.value.epoch),
        )
    before = held.value
    epoch = max(epoch, before.epoch)
    if rest is not None and (rest.work, rest.rest_s) != (before.rest_of, before.rest_s):
        asked_s = min(max(0.0, rest.rest_s), LONGEST_REST_S)
        before = replace(before, rest_of=rest.work, rest_s=asked_s)
    elif (before.state, before.reason, before.epoch) == (found.state, found.reason, epoch):
        return None
    since_ms = before.since_ms if before.state is found.state else wall_ms
    return replace(before, state=found.state, reason=found.reason, since_ms=since_ms, epoch=epoch)


# ---- the rest ------------------------------------------------------------------------------------


def rest_asked(
    held: Entry[Presence] | None, asked: Entry[Rest] | None, work: Entry[Work] | None
) -> Rest | None:
    """Return how long the agent asked to rest, if that is news to their home.

    It is of the last work, and newer than what the home has said since: a rest that was changed at
    the home edge itself stays.
    """
    if asked is None or work is None or held is None:
        return None
    is_news = asked.mod_revision > held.mod_revision
    return asked.value if is_news and asked.value.work == work.mod_revision else None


def rest_told(
    before: Rested | None, presence: Presence, work: Entry[Work] | None, at: Now
) -> Rested | None:
    """Return what the ledger is to say of a wrap-up that `presence` has ended early, or prolonged.

    `before`: what it says of that call's. None: nothing new, or what is rested from is no talk.
    """
    if work is None or work.value.call is None or presence.rest_of != work.mod_revision:
        return None
    if work.value.end is not WorkEnd.TALKED:
        return None
    call, since_ms = work.value.call, work.value.ended_ms
    taken = RestTaken(
        agent=presence.agent, since_ms=since_ms, rest_s=round(max(0.0, presence.rest_s), 3)
    )
    told = () if before is None else before.rests
    if taken in told:
        return None
    others = (each for each in told if (each.agent, each.since_ms) != (taken.agent, since_ms))
    return Rested(call=call, rests=(*others, taken), at_ms=at.wall_ms)


class RestChange(StrEnum):
    """What may be done to a rest that runs."""

    FINISH = "finish"
    EXTEND = "extend"


class NoRest(StrEnum):
    """Why there is nothing to change."""

    NOT_SIGNED_IN = "not_signed_in"
    NOT_RESTING = "not_resting"


def rest_changed(
    presence: Entry[Presence] | None,
    work: Entry[Work] | None,
    change: RestChange,
    by_s: float,
    now: Now,
) -> Presence | NoRest:
    """Return the presence with the agent's rest ended now, or prolonged by `by_s`.

    None is prolonged beyond LONGEST_REST_S.
    """
    if presence is None or presence.value.state is PresenceState.SIGNED_OUT:
        return NoRest.NOT_SIGNED_IN
    if work is None or now.mono_s >= rest_ends_s(work, presence):
        return NoRest.NOT_RESTING
    match change:
        case RestChange.FINISH:
            rest_s = now.mono_s - work.seen_s
        case RestChange.EXTEND:
            before_s = rest_of_s(work, presence)
            rest_s = max(before_s, min(before_s + by_s, LONGEST_REST_S))
        case _:
            assert_never(change)
    return replace(presence.value, rest_of=work.mod_revision, rest_s=max(0.0, rest_s))
