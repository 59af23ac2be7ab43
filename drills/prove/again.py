"""At which places those stand who have come again while their old edge could not act. PURE.

Worked out from the history, with nothing of the edge's: of a number and a DID, who came first to an
edge that could act has the best place that was left at one that could not. A place that somebody
has had with an agent (`Heir`) is left to nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from drills.prove.world import World
from state.model import CallId, DidNumber, EdgeId, Ticket, TicketState

_WAITS = {TicketState.GREETING, TicketState.QUEUED}
_HAD_A_PLACE = {*_WAITS, TicketState.OFFERED}
_Number = tuple[str, DidNumber]
_Placed = tuple[Ticket, int]
"""A ticket and its create revision."""


def places_of_heirs(world: World, silent: frozenset[EdgeId]) -> Mapping[CallId, int]:
    """Return the place of each caller who has come again. `silent`: by the decision's word."""
    left: dict[_Number, list[_Placed]] = defaultdict(list)
    come: dict[_Number, list[_Placed]] = defaultdict(list)
    for placed in world.tickets.values():
        ticket = placed[0]
        if ticket.caller in {"", "anonymous"} or ticket.callback_of is not None:
            continue
        number = (ticket.caller, ticket.did)
        can_act = ticket.holder in world.edges and ticket.holder not in silent
        if can_act and ticket.state in _WAITS and ticket.place is None:
            come[number].append(placed)
        elif not can_act and ticket.state in _HAD_A_PLACE and ticket.call not in world.heirs:
            left[number].append(placed)
    found: dict[CallId, int] = {}
    for number, old in left.items():
        old.sort(key=lambda each: (place_of(*each), each[0].call))
        for heir, created in sorted(come[number], key=lambda each: (each[1], each[0].call)):
            best = next((each for each in old if each[1] < created), None)
            if best is not None:
                old.remove(best)
                found[heir.call] = place_of(*best)
    return found


def place_of(ticket: Ticket, created: int) -> int:
    """Return the revision that says when a caller came."""
    return created if ticket.place is None else ticket.place
