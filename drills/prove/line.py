"""Who stands before whom in the line, as far as that is certain. PURE.

A call's level is its priority, with what steps have raised it by and what waiting has. The higher
goes first, and of one level whoever came first. Of one queue and priority nobody overtakes: each is
lifted to the level of any that came after it. How long a caller has waited is not known to the
moment (`waits`), and so neither is their level.

An edge sees its own callers before the store does, and for a moment they lift others too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

from msgspec import Struct
from msgspec.structs import replace

from drills.prove.again import place_of
from drills.prove.decisions import Due
from drills.prove.needs import level_of, queue_of
from drills.prove.waits import Waits
from drills.prove.world import World
from state.model import CallId, QueueId, Ticket, TicketState

_Group = tuple[QueueId, int]


class Standing(Struct, frozen=True, kw_only=True):
    """Where a call stands in the line, in the eyes of whoever decided."""

    ticket: Ticket
    place: int
    """The lower came first."""
    least: int
    """Its level, at least..."""
    most: int
    """... and at most."""

    @property
    def group(self) -> _Group:
        """Within which nobody overtakes."""
        return self.ticket.queue, self.ticket.priority

    @property
    def order_key(self) -> tuple[int, int, int, str]:
        """By which a line is sorted, as far as it is certain."""
        return (-self.least, -self.most, self.place, self.ticket.call)

    def is_before(self, other: Standing) -> bool:
        """Tell whether it certainly goes first."""
        came_first = self.place < other.place
        if self.group == other.group:
            return came_first
        return self.least > other.most or (self.least == other.most and came_first)


def standing(world: World, ticket: Ticket, created: int, waits_s: tuple[float, float]) -> Standing:
    """Return where a call stood by itself that had waited for so long, at least and at most."""
    queue = queue_of(world, ticket)
    least_s, most_s = waits_s
    return Standing(
        ticket=ticket,
        place=place_of(ticket, created),
        least=level_of(queue, ticket.priority, least_s),
        most=level_of(queue, ticket.priority, max(least_s, most_s)),
    )


def line(world: World, waits: Waits, due: Due, places: Mapping[CallId, int]) -> list[Standing]:
    """Return all who stood in the line on which a decision was made, in no order.

    `places`: of those who stand where another call did.
    """
    alone = [
        standing(
            world,
            ticket,
            created,
            (waits.least_s(world, ticket, due), waits.most_s(ticket, due.by, due.given_s)),
        )
        for ticket, created in world.tickets.values()
        if ticket.state is TicketState.QUEUED and ticket.holder in world.edges
    ]
    found = [replace(each, place=places.get(each.ticket.call, each.place)) for each in alone]
    unseen: dict[_Group, int] = {}
    for did, most_s in waits.unseen(due):
        dialled, _ = world.dids.get(did, (None, 0))
        queue, _ = world.queues.get(dialled.queue if dialled else "", (None, 0))
        if queue is not None:
            group = (queue.id, queue.priority)
            level = level_of(queue, queue.priority, most_s)
            unseen[group] = max(level, unseen.get(group, level))
    return _lifted(found, unseen)


def _lifted(found: Iterable[Standing], unseen: Mapping[_Group, int]) -> list[Standing]:
    """Lift each call to the level of those behind it in its group; `unseen` are behind all.

    Where calls share a place it is open who stands behind whom: a call that was left behind, and
    who has come again.
    """
    best: dict[_Group, tuple[int, int]] = {}
    lifted = []
    for _, together in groupby(sorted(found, key=_behind_first), key=_behind_first):
        sharing = list(together)
        group = sharing[0].group
        lowest, highest = min(each.least for each in sharing), max(each.most for each in sharing)
        least, most = best.get(group, (lowest, unseen.get(group, highest)))
        most = max(most, highest)
        lifted += [replace(each, least=max(each.least, least), most=most) for each in sharing]
        best[group] = max(least, *(each.least for each in sharing)), most
    return lifted


def _behind_first(standing: Standing) -> tuple[_Group, int]:
    return standing.group, -standing.place


def is_certain(ahead: Sequence[Standing]) -> bool:
    """Tell whether each certainly goes before the next."""
    return all(one.is_before(other) for one, other in pairwise(ahead))
