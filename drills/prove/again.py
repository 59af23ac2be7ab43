"""At which places those stand who have come again while their old edge could not act. PURE.

Worked out from the history, with nothing of the edge's: of those who came later from the same
number to the same DID, and say so in their tickets, who came first has the best place that was left
at an edge which could not act. One that somebody has had with an agent (`Heir`) is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping

from drills.prove.world import World
from state.model import CallId, EdgeId, Ticket, TicketState

_WAITS = {TicketState.GREETING, TicketState.QUEUED}
_HAD_A_PLACE = {*_WAITS, TicketState.OFFERED}


def places_of_heirs(world: World, silent: frozenset[EdgeId]) -> Mapping[CallId, int]:
    """Return the place of each caller who has come again. `silent`: by the decision's word."""
    found: dict[CallId, int] = {}
    had = set(world.heirs)
    for heir, created in sorted(world.tickets.values(), key=lambda each: (each[1], each[0].call)):
        if not _acts(world, heir, silent) or heir.state not in _WAITS or heir.place is not None:
            continue
        left = [
            placed
            for call in heir.again_of
            if call not in had
            and (placed := world.tickets.get(call)) is not None
            and _is_left(world, heir, placed[0], silent)
            and placed[1] < created
        ]
        if left:
            best = min(left, key=lambda each: (place_of(*each), each[0].call))
            had.add(best[0].call)
            found[heir.call] = place_of(*best)
    return found


def _acts(world: World, ticket: Ticket, silent: frozenset[EdgeId]) -> bool:
    return ticket.holder in world.edges and ticket.holder not in silent


def _is_left(world: World, heir: Ticket, left: Ticket, silent: frozenset[EdgeId]) -> bool:
    return (
        not _acts(world, left, silent)
        and left.state in _HAD_A_PLACE
        and (left.caller, left.did) == (heir.caller, heir.did)
    )


def place_of(ticket: Ticket, created: int) -> int:
    """Return the revision that says when a caller came."""
    return created if ticket.place is None else ticket.place
