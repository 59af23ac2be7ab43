"""Closes what dead edges leave in the shared state, and what this edge's own former life left.

An edge is dead when its lease has run out; its tickets are closed by one survivor, or, where that
one does not come to it, by any: by a transaction that compares, so that two who try do it once and
an edge that lives after all keeps its calls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from math import inf

import structlog
from msgspec import Struct

from edge.acd.callback import cancelled, clearance_of, is_over, is_refused
from edge.acd.heirs import is_had
from edge.acd.plan import Plan
from edge.acd.reservation import edge_is_dead, given_agent, orphan_closed, orphan_freed
from edge.acd.yielding import CLAIM_S
from edge.steering import janitor
from state import keys
from state.clock import Clock
from state.codec import encode
from state.errors import StoreError
from state.mirror import Mirror, MirrorState
from state.model import (
    CallId,
    Claim,
    Clearance,
    EdgeId,
    Entry,
    Now,
    Offer,
    RecordingStatus,
    RecordingWish,
    Ticket,
    TransferStatus,
    TransferWish,
)
from state.snapshot import Snapshot
from state.store import Delete, ModIs, Put, Store

log = structlog.get_logger()

PERIOD_S = 0.5
PLACE_KEPT_S = 600.0
"""How long a caller who was cut off may come again and have the old place."""
WISH_KEPT_S = 10.0
"""How long what was asked of a call's recording stays when the call is over."""
CLAIM_KEPT_S = CLAIM_S + WISH_KEPT_S
"""Its edge may take the call over as long as it waits for that."""
GRACE_S = 1.0
"""A lost lease may be a hiccup: an edge that lives writes its life anew within this time."""
LATE_S = 1.0
"""So long after that every survivor clears away: whose turn it is may serve alone, and that one's
merge may wait for the very agent whom nobody else would free."""


NAMED_KEPT_S = 30.0
"""So long after it served alone a site looks whether those who were named on its copy are dead: a
lease may take 20 s to run out when there is a leader again."""
OFTEN = 5
"""Refused so often on end, a close is said to be: what others have done shows long before."""
AT_ONCE = 64
"""Transactions under way together: a dead edge may have left a thousand tickets."""


class _Due(Struct, frozen=True):
    """Something to be cleared away, and what the log says once it is."""

    event: str
    plan: Plan
    call: CallId
    edge: EdgeId


class Janitor:
    """Looks twice a second for what nobody holds any more."""

    def __init__(  # noqa: PLR0913 - what it looks at, and whom it tells
        self,
        *,
        store: Store,
        clock: Clock,
        mirror: Mirror,
        edge: EdgeId,
        holds: Callable[[CallId], bool],
        on_dead: Callable[[EdgeId], Awaitable[None]],
        is_alone: Callable[[], bool] = lambda: False,
        lives: Callable[[EdgeId], bool] = lambda _: False,
        copy: Callable[[], Snapshot] | None = None,
    ) -> None:
        """`lives` tells of edges that were heard of lately, whatever their lease says.

        `copy`: the state as it is seen while the site serves alone.
        """
        self._store = store
        self._clock = clock
        self._mirror = mirror
        self._edge = edge
        self._holds = holds
        self._on_dead = on_dead
        self._is_alone = is_alone
        self._lives = lives
        self._copy = copy
        self._named_alone: frozenset[EdgeId] = frozenset()
        """Who had something on the copy, when the site served alone last."""
        self._alone_s = -inf
        self._absent_since: dict[EdgeId, float] = {}
        self._refused: Counter[CallId] = Counter()
        """How often on end what a call has left could not be cleared away."""

    async def run(self) -> None:
        """Clear away until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self._note_alone()
            if self._mirror.state is not MirrorState.LIVE or self._is_alone():
                continue
            snapshot, now = self._mirror.snapshot, self._clock.now()
            dead = self._dead(snapshot, now)
            mine = frozenset(edge for edge in dead if self._is_my_turn(snapshot, edge, now))
            await self._carry_out_all(list(self._due(snapshot, mine, now)))
            self._see_who_is_left()
            for edge in dead:
                await self._on_dead(edge)
            await self._call_off_refused(snapshot)
            await self._forget_old_places(snapshot, now)
            await self._forget_old_wishes(snapshot, now)

    def _note_alone(self) -> None:
        """Note whose calls this site knows of alone.

        Who dies meanwhile has left nothing in the store, and media and gates here all the same.
        """
        if self._copy is not None and self._is_alone():
            self._named_alone |= _named(self._copy())
            self._alone_s = self._clock.now().mono_s

    def _dead(self, snapshot: Snapshot, now: Now) -> frozenset[EdgeId]:
        """Return the edges that have left something and have been away long enough."""
        if now.mono_s - self._alone_s >= NAMED_KEPT_S:
            self._named_alone = frozenset()
        named = _named(snapshot) | self._named_alone
        # Once noticed, an edge is absent until it comes back: somebody else may have closed all
        # that named it, and its media and gates are at some site all the same.
        named |= self._absent_since.keys()
        known = snapshot.edges
        absent = {e for e in named if e not in known and e != self._edge and not self._lives(e)}
        for edge in self._absent_since.keys() - absent:
            del self._absent_since[edge]
        for edge in absent - self._absent_since.keys():
            self._absent_since[edge] = now.mono_s
            log.warning("edge_away", edge=edge)
        dead = {e for e, since in self._absent_since.items() if now.mono_s - since >= GRACE_S}
        return frozenset(dead)

    def _is_my_turn(self, snapshot: Snapshot, dead: EdgeId, now: Now) -> bool:
        is_late = now.mono_s - self._absent_since[dead] >= GRACE_S + LATE_S
        return is_late or janitor(snapshot, dead) == self._edge

    def _due(self, snapshot: Snapshot, dead: frozenset[EdgeId], now: Now) -> Iterator[_Due]:
        for ticket in snapshot.tickets.values():
            holder = ticket.value.holder
            if holder in dead:
                yield self._closing(snapshot, ticket, now, is_mine=False)
            elif holder == self._edge and self._is_left_over(ticket, now):
                yield self._closing(snapshot, ticket, now, is_mine=True)
        for offer in snapshot.offers.values():
            if offer.value.call in snapshot.tickets:
                continue
            edge = offer.value.edge
            if edge in dead:
                given = given_agent(snapshot, offer)
                plan = orphan_freed(given, now, guard=edge_is_dead(edge))
                yield _Due("agent_freed_for", plan, offer.value.call, edge)
            elif edge == self._edge and self._is_left_over(offer, now):
                plan = orphan_freed(given_agent(snapshot, offer), now, guard=None)
                yield _Due("agent_freed_for", plan, offer.value.call, edge)

    def _is_left_over(self, entry: Entry[Ticket] | Entry[Offer], now: Now) -> bool:
        """Tell whether a record in this edge's name is none of its calls: a former life's.

        A record just seen may be of a call that is ending this moment.
        """
        return not self._holds(entry.value.call) and now.mono_s - entry.seen_s >= GRACE_S

    def _closing(
        self, snapshot: Snapshot, ticket: Entry[Ticket], now: Now, *, is_mine: bool
    ) -> _Due:
        agent = ticket.value.agent
        offer = None if agent is None else snapshot.offers.get(agent)
        is_its = offer is not None and offer.value.call == ticket.value.call
        given = given_agent(snapshot, offer) if offer is not None and is_its else None
        guard = None if is_mine else edge_is_dead(ticket.value.holder)
        stands = None if agent is None else snapshot.raw.get(keys.offer(agent))
        seen = 0 if stands is None else stands.mod_revision
        plan = orphan_closed(ticket, given, now, guard=guard, seen_offer=seen)
        return _Due("ticket_closed_for", plan, ticket.value.call, ticket.value.holder)

    def _see_who_is_left(self) -> None:
        """Forget how often it was tried for calls of which nothing is seen any more."""
        snapshot = self._mirror.snapshot
        named = {offer.value.call for offer in snapshot.offers.values()} if self._refused else ()
        for call in list(self._refused):
            if call not in snapshot.tickets and call not in named:
                del self._refused[call]

    async def _call_off_refused(self, snapshot: Snapshot) -> None:
        """Call nobody back who does not want it; if they call themselves, they have their place."""
        if min(snapshot.edges, default=None) != self._edge:
            return
        for call in snapshot.clearances:
            place = snapshot.places.get(call)
            if place is None or not is_refused(snapshot, place):
                continue
            key = keys.place(call)
            same = ModIs(key=key, mod_revision=place.mod_revision)
            put = Put(key=key, value=encode(cancelled(place)))
            try:
                written = await self._store.txn((same,), (put, Delete(key=keys.clearance(call))))
            except StoreError as error:
                log.warning("janitor_waits", error=str(error))
                return
            if written.succeeded:
                log.info("callback_refused", call=call)

    async def _forget_old_places(self, snapshot: Snapshot, now: Now) -> None:
        """Delete places that nobody may have any more, and who has had those of calls long over."""
        if min(snapshot.edges, default=None) != self._edge:
            return
        old = [
            (keys.place(call), place.mod_revision)
            for call, place in snapshot.places.items()
            if is_had(snapshot, place)
            or (now.mono_s - place.seen_s >= PLACE_KEPT_S and is_over(place, now))
        ]
        old += [
            (keys.heir(call), heir.mod_revision)
            for call, heir in snapshot.heirs.items()
            if now.mono_s - heir.seen_s >= PLACE_KEPT_S
            and call not in snapshot.tickets
            and call not in snapshot.places
        ]
        for key, revision in old:
            same = ModIs(key=key, mod_revision=revision)
            try:
                await self._store.txn((same,), (Delete(key=key),))
            except StoreError as error:
                log.warning("janitor_waits", error=str(error))
                return

    async def _forget_old_wishes(self, snapshot: Snapshot, now: Now) -> None:
        """Delete what was asked of calls that are over, what was said of it, and claims to them.

        So, too, clearances of places that are gone.
        """
        if min(snapshot.edges, default=None) != self._edge:
            return
        old = [
            *snapshot.recording_wishes.values(),
            *snapshot.recordings.values(),
            *snapshot.transfer_wishes.values(),
            *snapshot.transfers.values(),
            *snapshot.claims.values(),
            *(each for each in snapshot.clearances.values() if _is_of_none(snapshot, each)),
        ]
        for each in old:
            value = each.value
            kept_s = CLAIM_KEPT_S if isinstance(value, Claim) else WISH_KEPT_S
            if value.call in snapshot.tickets or now.mono_s - each.seen_s < kept_s:
                continue
            key = _WISHED[type(value)](value.call)
            same = ModIs(key=key, mod_revision=each.mod_revision)
            try:
                await self._store.txn((same,), (Delete(key=key),))
            except StoreError as error:
                log.warning("janitor_waits", error=str(error))
                return

    async def _carry_out_all(self, dues: Sequence[_Due]) -> None:
        """Carry them out, some at a time: the store joins what waits together."""
        for first in range(0, len(dues), AT_ONCE):
            await asyncio.gather(*map(self._carry_out, dues[first : first + AT_ONCE]))

    async def _carry_out(self, due: _Due) -> None:
        plan = due.plan
        try:
            result = await self._store.txn(plan.compares, plan.success, plan.failure)
        except StoreError as error:
            # Looked at again half a second later, from what is there then.
            log.warning("janitor_waits", error=str(error))
            return
        if result.succeeded:
            log.warning(due.event, call=due.call, edge=due.edge)
            return
        # It was done already, by its own edge or by another survivor, and is seen to be soon. Or
        # else the mirror has missed something, and shows it when it is next compared.
        self._refused[due.call] += 1
        if self._refused[due.call] == OFTEN:
            log.warning("not_cleared_away", call=due.call, edge=due.edge)


_WISHED: Mapping[type, Callable[[CallId], str]] = {
    RecordingWish: keys.recording_wish,
    RecordingStatus: keys.recording,
    TransferWish: keys.transfer_wish,
    TransferStatus: keys.transfer,
    Claim: keys.claim,
    Clearance: keys.clearance,
}


def _named(snapshot: Snapshot) -> frozenset[EdgeId]:
    """Return the edges in whose name tickets or offers stand."""
    holders = {ticket.value.holder for ticket in snapshot.tickets.values()}
    return frozenset(holders | {offer.value.edge for offer in snapshot.offers.values()})


def _is_of_none(snapshot: Snapshot, clearance: Entry[Clearance]) -> bool:
    """Tell whether the place is gone, or another by now, that a clearance is of."""
    place = snapshot.places.get(clearance.value.call)
    return place is None or clearance_of(snapshot, place) is None
