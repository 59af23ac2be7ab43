"""The transactions by which callers get back the places of calls that they lost. PURE.

What leaves a place is `edge.acd.ending`'s; the laws of all plans are `edge.acd.reservation`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from edge.acd.plan import Held, Plan, put_ticket, rewritten, same_ticket
from edge.acd.relaxation import waited_s
from state import keys
from state.model import AgentId, Entry, Now, Place, TicketState
from state.store import Absent, Compare, Delete, ModIs

SAME_AGENT_S: Final = 20.0
"""How long a caller who was cut off in talk waits for the same agent alone."""


def place_number(place: Entry[Place]) -> int:
    """Return the revision that says when its caller came."""
    return place.value.place or place.create_revision


def taking(places: Iterable[Entry[Place]]) -> tuple[tuple[Compare, ...], tuple[Delete, ...]]:
    """Return what a plan that takes places away compares, and deletes: no heir has had them."""
    compares: list[Compare] = []
    deletes: list[Delete] = []
    for each in places:
        key = keys.place(each.value.call)
        compares.append(ModIs(key=key, mod_revision=each.mod_revision))
        if not each.value.was_sent_away:
            compares.append(Absent(key=keys.heir(each.value.call)))
        deletes.append(Delete(key=key))
    return tuple(compares), tuple(deletes)


def place_given_back(
    held: Held,
    lost: Entry[Place],
    at: Now,
    *,
    prefers: AgentId | None = None,
    others: Sequence[Entry[Place]] = (),
) -> Plan:
    """Plan to let a caller who came again have the place of the call that they lost, once.

    `prefers`: the agent with whom they were talking, if that one can be waited for. `others`: more
    places of the same caller, who has come now and need not be called back for them.
    """
    before, place = held.ticket.value, lost.value
    waits_s = waited_s(held.ticket, at) if before.state is TicketState.QUEUED else before.waited_s
    waits_s += 0.0 if place.was_sent_away else place.waited_s
    value = replace(before, place=place_number(lost), waited_s=waits_s)
    if prefers is not None:
        value = replace(value, prefers=prefers, prefers_for_s=waits_s + SAME_AGENT_S)
    put = put_ticket(value)
    compares, deletes = taking((lost, *others))
    return Plan(
        compares=(same_ticket(held.ticket), *compares),
        success=(put, *deletes),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, value, at)),
    )


def places_settled(held: Held, lost: Sequence[Entry[Place]], at: Now) -> Plan:
    """Plan to take away places of somebody who came again before they were left, and has talked."""
    value = held.ticket.value
    if any(each.value.call == value.cut_off_of for each in lost):
        value = replace(value, cut_off_of=None)
    put = put_ticket(value)
    compares, deletes = taking(lost)
    return Plan(
        compares=(same_ticket(held.ticket), *compares),
        success=(put, *deletes),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, value, at)),
    )
