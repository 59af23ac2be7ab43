"""Who may be called back, when, and what is written of it. PURE.

A callback is a `Place` that is due: what a caller has left who was sent away to be called back, or
was cut off and did not call again in time. It is turned into a ticket at that very place, so that
the line serves it as if its caller waited; once an agent is reserved, the caller is dialled.

The laws:

- Nobody is dialled without a rule that says so: the queue's (`Queue.call_back`), and the trunk's,
  which names the tenants and with what numbers must begin.
- No number of ours is dialled, though it is shown as a caller's, as those do who want to be taken
  for neighbours: it would be answered by our own line, and an agent kept for that.
- Nobody is called back twice at once: the place is deleted by the transaction that writes the
  ticket, and each try has a call id of its own, made of the lost call's and of the place's
  revision, of which there is one ticket and one record.
- A caller has one callback, however often they were sent away: of several places that they have the
  first is taken, and the others go with it.
- Whoever calls by themselves takes the place, and there is nothing left to call back.
- Nobody is called back whom a site may be serving that is only cut off (`edge.acd.in_doubt`).
- Nobody is dialled of whom no control plane has looked whether they are a customer who said no to
  it (`Clearance`), unless the queue's rules say that nobody has to. While none can look, they wait.
- After the last try, or when the time is up, it is over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.hours import is_closed
from edge.acd.in_doubt import Doubts
from edge.acd.places import SAME_AGENT_S, place_number, taking
from edge.acd.plan import Held, Plan
from state import keys
from state.codec import encode
from state.model import (
    CallBack,
    CallId,
    Clearance,
    DidNumber,
    EdgeId,
    Entry,
    Now,
    Place,
    Queue,
    SiteId,
    Ticket,
    TicketState,
    Trunk,
)
from state.snapshot import Snapshot
from state.store import Absent, Delete, ModIs, Put

ASKED_S: Final = 1.0
"""So long, at least, nobody is dialled who needs no clearance: a control plane that is there all
the same may find meanwhile that they do not want it."""
NOT_REACHED: Final = "not_reached"
"""The caller did not answer, or their telephone could not be reached."""
DECLINED: Final = "declined"
"""The caller did not want to be called."""
_NUMBER = re.compile(r"\+?[0-9]{3,20}")


class Way(Struct, frozen=True, kw_only=True):
    """How a caller is reached."""

    number: str
    """Personal data."""
    trunk: Trunk


def way_to(snapshot: Snapshot, queue: Queue, caller: str) -> Way | None:
    """Return how a caller of this queue may be called back; None: they may not."""
    rules = queue.call_back
    trunk = None if rules is None else snapshot.trunks.get(rules.trunk)
    if trunk is None or queue.tenant not in trunk.value.tenants:
        return None
    if _NUMBER.fullmatch(caller) is None or not caller.startswith(trunk.value.dial_out):
        return None
    digits, dids = caller.removeprefix("+"), snapshot.dids
    if DidNumber(digits) in dids or DidNumber(f"+{digits}") in dids:
        return None
    return Way(number=caller, trunk=trunk.value) if trunk.value.dial_out else None


def rules_for(snapshot: Snapshot, queue: Queue, caller: str) -> CallBack | None:
    """Return by which rules a caller may be called back; None: they may not."""
    return None if way_to(snapshot, queue, caller) is None else queue.call_back


def is_due(snapshot: Snapshot, place: Entry[Place], now: Now, doubts: Doubts | None = None) -> bool:
    """Tell whether to call this caller back now.

    `doubts`: those of this snapshot, from one look at many places.
    """
    value, rules = place.value, place.value.call_back
    if value.due_s is None or rules is None or is_over(place, now):
        return False
    cleared = clearance_of(snapshot, place)
    if rules.needs_clearance if cleared is None else not cleared.value.may_call:
        return False
    least_s = ASKED_S if cleared is None else 0.0
    if now.mono_s - place.seen_s < max(value.due_s, least_s):
        return False
    did = snapshot.dids.get(value.did)
    if did is None or is_closed(snapshot, did.value, now):
        return False
    return not (doubts or Doubts(snapshot)).has(place, now)


def is_over(place: Entry[Place], now: Now) -> bool:
    """Tell whether nobody is to be called back for this place any more."""
    value = place.value
    if value.due_s is None or value.call_back is None:
        return True
    return value.tries >= value.call_back.tries or (
        value.until_ms is not None and now.wall_ms >= value.until_ms
    )


def clearance_of(snapshot: Snapshot, place: Entry[Place]) -> Entry[Clearance] | None:
    """Return what a control plane has said of this very version of the place; None: nothing yet."""
    found = snapshot.clearances.get(place.value.call)
    return found if found is not None and found.value.place == place.mod_revision else None


def is_unlooked(snapshot: Snapshot, place: Entry[Place], now: Now) -> bool:
    """Tell whether the caller of a place is to be called back, and nobody has looked if they may.

    Those who need no clearance are among them; see `waits_for_clearance`.
    """
    return not is_over(place, now) and clearance_of(snapshot, place) is None


def waits_for_clearance(snapshot: Snapshot, place: Entry[Place], now: Now) -> bool:
    """Tell whether a callback waits until somebody has looked whether they may be called."""
    rules = place.value.call_back
    return rules is not None and rules.needs_clearance and is_unlooked(snapshot, place, now)


def is_refused(snapshot: Snapshot, place: Entry[Place]) -> bool:
    """Tell whether the caller of a place is to be called back, and does not want it."""
    said = clearance_of(snapshot, place)
    return place.value.due_s is not None and said is not None and not said.value.may_call


def call_of(place: Entry[Place]) -> CallId:
    """Return the id of the call of the next try: the same at every edge, and never used before."""
    return keys.call_id_for(place.value.call, f"callback {place.mod_revision}")


def picked_up(  # noqa: PLR0913  what the ticket is made of
    place: Entry[Place],
    queue: Queue,
    *,
    others: Sequence[Entry[Place]] = (),
    clearance: Entry[Clearance] | None = None,
    edge: EdgeId,
    site: SiteId,
    sip_call_id: str,
    at: Now,
) -> Plan:
    """Plan to let a callback wait in the line, at the place that the caller had.

    `others`: more places of the same caller, who is called back once for all. `clearance`: by which
    they may be; it is used up.
    """
    value = place.value
    ticket = Ticket(
        call=call_of(place),
        did=DidNumber(value.did),
        queue=queue.id,
        tenant=queue.tenant,
        needs=queue.needs,
        any_of=queue.any_of,
        attributes=queue.attributes,
        priority=queue.priority,
        state=TicketState.QUEUED,
        holder=edge,
        site=site,
        via=site,
        caller=value.caller,
        sip_call_id=sip_call_id,
        arrived_ms=at.wall_ms,
        queued_ms=at.wall_ms,
        waited_s=value.waited_s,
        place=place_number(place),
        prefers=value.prefers,
        prefers_for_s=0.0 if value.prefers is None else value.waited_s + SAME_AGENT_S,
        call_back=value.call_back,
        callback_of=value.call,
        tries=value.tries + 1,
        until_ms=value.until_ms,
    )
    put = Put(key=keys.ticket(ticket.call), value=encode(ticket))
    compares, deletes = taking((place, *others))
    if clearance is not None:
        key = keys.clearance(value.call)
        compares = (*compares, ModIs(key=key, mod_revision=clearance.mod_revision))
        deletes = (*deletes, Delete(key=key))
    entry = Entry(value=ticket, create_revision=0, mod_revision=0, seen_s=at.mono_s)
    return Plan(
        compares=(
            *compares,
            Absent(key=put.key),
            Absent(key=keys.ended(ticket.call)),
        ),
        success=(put, *deletes),
        proof=put,
        after=Held(ticket=entry),
    )


def cancelled(place: Entry[Place]) -> Place:
    """Return the place of a caller who is not to be called back; they may still call themselves."""
    return replace(place.value, due_s=None)
