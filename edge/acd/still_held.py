"""What the store still has of a call whose end it would not take. PURE.

A close rests on what its edge holds. If that is not what stands there, somebody else has ended the
call, or has it; or else it is this edge that was told wrongly, and the call is still its own to
end. Only the store can say which.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from msgspec.structs import replace

from edge.acd.plan import GivenAgent, Held
from state import keys
from state.codec import decode
from state.errors import CodecError
from state.model import AgentId, CallId, EdgeId, Entry, Now, Offer, Ticket, Work
from state.overlay import ALONE_FROM
from state.raw import KeyValue

_R = TypeVar("_R", Ticket, Offer, Work)

Found = Mapping[str, KeyValue | None]
"""What the store has at the keys that were asked for."""


def is_closed(held: int, shown_last: int, snapshot: int) -> bool:
    """Tell whether a ticket that a snapshot does not show any more was closed after it was `held`.

    All three are revisions: `shown_last` of the ticket as the snapshot before showed it. The watch
    may have lost what came between the two: then the snapshot's own tells. Of what was written
    alone it shows nothing older, once that has been merged.
    """
    is_merged = held >= ALONE_FROM > snapshot
    return is_merged or max(shown_last, snapshot) >= held


def keys_of(call: CallId, agents: Collection[AgentId]) -> tuple[str, ...]:
    """Return what to read of a call and of agents who may be given to it."""
    of_agents = (make(agent) for agent in sorted(agents) for make in (keys.offer, keys.work))
    return (keys.ticket(call), keys.ended(call), *of_agents)


def agent_named(call: CallId, found: Found) -> AgentId | None:
    """Return the agent whom the ticket names, if one stands."""
    ticket = _ticket(call, found)
    return None if ticket is None else ticket.agent


def still_held(
    call: CallId, holder: EdgeId, found: Found, before: Held | None, at: Now
) -> Held | None:
    """Return what `holder` holds of the call, by the store; None: it is not theirs to end.

    What they knew `before` of the call itself stands: the store may not have heard of all of it.
    """
    record, ticket = found[keys.ticket(call)], _ticket(call, found)
    if record is None or ticket is None or ticket.holder != holder:
        return None
    if found[keys.ended(call)] is not None:
        return None
    entry = Entry(
        value=ticket if before is None else before.ticket.value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        seen_s=at.mono_s if before is None else before.ticket.seen_s,
    )
    known = {} if before is None else {each.offer.value.agent: each for each in before.agents}
    agents = (AgentId(key.removeprefix(keys.OFFER)) for key in found if key.startswith(keys.OFFER))
    offers = (_offer(agent, found, at) for agent in agents)
    own = (o for o in offers if o is not None and (o.value.call, o.value.edge) == (call, holder))
    of_call = [_given(offer, found, known.get(offer.value.agent), at) for offer in own]
    # Beside one there may be the agent who has passed the caller on to them, or whom they consult.
    asked = None if before is None or before.consulted is None else _agent(before.consulted)
    consulted = next((each for each in of_call if _agent(each) == asked), None)
    given, transferor = (*(each for each in of_call if each is not consulted), None, None)[:2]
    return Held(ticket=entry, given=given, transferor=transferor, consulted=consulted)


# ---- parts ---------------------------------------------------------------------------------------


def _agent(given: GivenAgent) -> AgentId:
    return given.offer.value.agent


def _given(offer: Entry[Offer], found: Found, known: GivenAgent | None, at: Now) -> GivenAgent:
    agent = offer.value.agent
    work = found[keys.work(agent)]
    revision = 0 if work is None else work.mod_revision
    if known is None or known.offer.value.agent != agent:
        return GivenAgent(
            offer=offer,
            work=_work(work, at),
            work_revision=revision,
            idle_s=0.0,
            since_s=offer.seen_s,
        )
    same = known.work_revision == revision
    return replace(
        known,
        offer=replace(
            known.offer, create_revision=offer.create_revision, mod_revision=offer.mod_revision
        ),
        work=known.work if same else _work(work, at),
        work_revision=revision,
        rest_over_s=known.rest_over_s if same else 0.0,
    )


def _ticket(call: CallId, found: Found) -> Ticket | None:
    return _read(Ticket, found[keys.ticket(call)])


def _offer(agent: AgentId, found: Found, at: Now) -> Entry[Offer] | None:
    record = found[keys.offer(agent)]
    return _entry(_read(Offer, record), record, at)


def _work(record: KeyValue | None, at: Now) -> Entry[Work] | None:
    return _entry(_read(Work, record), record, at)


def _read(kind: type[_R], record: KeyValue | None) -> _R | None:
    try:
        return None if record is None else decode(kind, record.value, record.key)
    except CodecError:
        return None


def _entry(value: _R | None, record: KeyValue | None, at: Now) -> Entry[_R] | None:
    if value is None or record is None:
        return None
    return Entry(
        value=value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        seen_s=at.mono_s,
    )
