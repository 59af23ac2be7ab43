"""Who comes again after a fault has cut them off in talk, and whom they wait for. PURE.

The site that anchors their call has died. Their telephone falls silent at once and they dial again
within seconds; the old call is closed when its edge's lease has run out, some nine seconds after
it died, and leaves its place only then. Until then its ticket stands, its agent is held by it, and
the site is known to be out of reach by the probes of whoever takes the caller.

The laws:

- A call is taken for *cut off* if it talks, and no edge of its holder's name lives or the site that
  anchors it is out of reach for the edge that takes the caller. Of several of one number the one
  with the best place; one that somebody else comes, or has come, again for is theirs.
- Who has been cut off waits for the same agent alone, for as long as whoever gets an old place back
  (`SAME_AGENT_S`), if that agent suits the queue, can be reached and has nothing but that call: so
  they are free as soon as it is closed. A site that serves alone closes nothing: there nobody is
  waited for.
- Their ticket names that call (`cut_off_of`). If they talk with somebody else by the time it leaves
  its place, the place goes: it was theirs, and they need not be called back. If they have talked
  and gone, the end of their call says so (`edge.acd.ending.come_again`), with an `Heir` of that
  one: then what it has left, or leaves when it is closed, is nobody's.

Numbers can be spoofed and shared: all that is to be had by that is to wait for one agent alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.eligibility import (
    Reason,
    facts_of,
    live_sites,
    unavailable_because,
    unsuited_because,
)
from edge.acd.ending import place_name
from edge.acd.line import standing_of
from edge.acd.needs import Needs
from edge.acd.places import SAME_AGENT_S
from state.model import AgentId, CallId, Entry, Now, QueueId, SiteId, Ticket, TicketState
from state.snapshot import Snapshot


class CutOff(Struct, frozen=True, kw_only=True):
    """A call in which somebody was cut off, and the agent whom they wait for; None: for nobody."""

    call: CallId
    """The one under whose name their place is kept, if that one called them back."""
    agent: AgentId | None = None


def cut_off(
    snapshot: Snapshot,
    calls: Iterable[CallId],
    now: Now,
    *,
    unreachable: frozenset[SiteId],
    is_alone: bool = False,
) -> CutOff | None:
    """Return in which of these calls whoever comes now was cut off; None: in none.

    `calls`: those of their number and DID that talk at other edges.
    """
    entries = [snapshot.tickets.get(call) for call in calls]
    gone = [each for each in entries if each is not None and _is_gone(snapshot, each, unreachable)]
    if not gone:
        return None
    named = {each.value.cut_off_of for each in snapshot.tickets.values()}
    left = [e for e in gone if (p := place_name(e.value)) not in named and p not in snapshot.heirs]
    if not left:
        return None
    ticket = min(left, key=standing_of).value
    lost = place_name(ticket)
    if is_alone:
        return CutOff(call=lost)
    did = snapshot.dids.get(ticket.did)
    queue = None if did is None else did.value.queue
    agent = same_agent(
        snapshot, ticket.agent, queue, now, over=ticket.call, unreachable=unreachable
    )
    return CutOff(call=lost, agent=agent)


def coming_again(ticket: Ticket, lost: CutOff | None) -> Ticket:
    """Return the ticket of somebody who comes, by what they were cut off in."""
    if lost is None:
        return ticket
    told = replace(ticket, cut_off_of=lost.call)
    if lost.agent is None:
        return told
    return replace(told, prefers=lost.agent, prefers_for_s=SAME_AGENT_S)


def _is_gone(snapshot: Snapshot, entry: Entry[Ticket], unreachable: frozenset[SiteId]) -> bool:
    ticket = entry.value
    if ticket.state is not TicketState.CONNECTED:
        return False
    return ticket.site in unreachable or ticket.holder not in snapshot.edges


def same_agent(  # noqa: PLR0913  who, for what, and by what is known
    snapshot: Snapshot,
    agent: AgentId | None,
    queue: QueueId | None,
    now: Now,
    *,
    over: CallId | None = None,
    unreachable: frozenset[SiteId] = frozenset(),
) -> AgentId | None:
    """Return the agent with whom somebody was talking, if it is worth to wait for them.

    They are free now or soon, and suit what the queue asks for: a transfer, or a step, may have
    brought the two together. `over`: a call that holds them and will be closed.
    """
    asking = None if queue is None else snapshot.queues.get(queue)
    if agent is None or agent not in snapshot.agents or asking is None:
        return None
    facts, offer = facts_of(snapshot, agent, live_sites(snapshot)), snapshot.offers.get(agent)
    if offer is not None and offer.value.call == over and agent not in snapshot.calling:
        facts = replace(facts, has_offer=False)
    if unavailable_because(facts, now, unreachable=unreachable) not in {None, Reason.WRAP_UP}:
        return None
    unsuited = unsuited_because(facts.agent, Needs.of_queue(asking.value))
    return agent if unsuited is None else None
