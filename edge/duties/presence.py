"""Keeps the presence records of the agents that this edge is home edge of.

An agent is ready when registered at the home site's Kamailio and wishing to be. Registrations come
as events, which can be lost, so they are compared with the location table from time to time. Who is
registered here and has lost their home is moved here (`edge.steering.moves`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator

import structlog

from edge.acd.attendance import (
    NoRest,
    RestChange,
    attendance,
    presence_due,
    rest_asked,
    rest_changed,
    rest_told,
)
from edge.acd.token import store_epoch
from edge.errors import CommandError
from edge.proxy.gate import site_epoch
from edge.steering import MoveDue, home_edge, moves_due
from state import keys
from state.clock import Clock
from state.codec import decode, encode
from state.errors import CodecError, StoreError
from state.keys import Kind
from state.model import (
    FIRST_EPOCH,
    AgentId,
    CallId,
    EdgeId,
    Entry,
    Presence,
    Rested,
    SiteId,
    Work,
    WorkEnd,
)
from state.raw import KeyValue
from state.snapshot import Delta, Snapshot
from state.store import Absent, Compare, ModIs, Put, Store
from state.wake import Wake

log = structlog.get_logger()

_RETRY_S = 0.5
_OF_AGENTS = frozenset({Kind.AGENT, Kind.WISH, Kind.REST, Kind.PRESENCE, Kind.BARRED, Kind.MOVE})
AT_A_TIME = 64
"""Records that are written together: hundreds sign in at once when a shift begins, or a site dies.
"""


def due(  # noqa: PLR0913 - what it rests on
    snapshot: Snapshot,
    edge: EdgeId,
    registered: frozenset[AgentId],
    wall_ms: int,
    *,
    epoch: int = FIRST_EPOCH,
    among: Collection[AgentId] | None = None,
) -> Iterator[tuple[Presence, int]]:
    """Yield the presences that this edge has to write, each with the mod_revision it replaces.

    0: there is none yet. `among`: of these agents alone.
    """
    own = snapshot.edges.get(edge)
    if own is None:
        return
    for agent in snapshot.agents if among is None else among:
        entry = snapshot.agents.get(agent)
        # Cheap test first: `home_edge` hashes, and most agents live elsewhere.
        if entry is None or entry.value.site != own.value.site:
            continue
        if home_edge(snapshot, agent) != edge:
            continue
        held = snapshot.presences.get(agent)
        found = attendance(
            entry.value,
            registered=agent in registered and agent not in snapshot.barred,
            wish=snapshot.wishes.get(agent),
            work=snapshot.works.get(agent),
        )
        rest = rest_asked(held, snapshot.rests.get(agent), snapshot.works.get(agent))
        presence = presence_due(held, entry.value, found, wall_ms, epoch=epoch, rest=rest)
        if presence is not None:
            yield presence, held.mod_revision if held else 0


class PresenceKeeper:
    """Writes what is due whenever registrations, wishes or the edges of the site change."""

    def __init__(  # noqa: PLR0913 - what it writes to, and what it looks at
        self,
        *,
        store: Store,
        clock: Clock,
        edge: EdgeId,
        site: SiteId,
        snapshot: Callable[[], Snapshot],
        is_alone: Callable[[], bool],
    ) -> None:
        """`is_alone`: nobody is moved then, as nobody knows who else is dead."""
        self._store = store
        self._clock = clock
        self._edge = edge
        self._site = site
        self._snapshot = snapshot
        self._is_alone = is_alone
        self._registered: set[AgentId] | None = None
        self._come: set[AgentId] = set()
        self._gone: set[AgentId] = set()
        """Who has come and gone since the table was last being read."""
        self._epoch = FIRST_EPOCH
        """The least that the tokens of this site's agents may have."""
        self._site_epoch = FIRST_EPOCH
        """The highest that has been seen of one of them."""
        self._due: set[AgentId] | None = None
        """Whom to look at; None: everybody. Looking at ten thousand for each who signs in, or takes
        a break, would take more of an edge than their calls."""
        self._untold: dict[tuple[CallId, AgentId], tuple[Presence, Entry[Work]]] = {}
        """Rests that were changed while this site was alone: the ledger is told of them later. By
        call and agent; the last change counts."""
        self._wake = Wake()

    def set_registered(self, agents: frozenset[AgentId]) -> None:
        """Take the whole location table as it is now."""
        found = (set(agents) | self._come) - self._gone
        self.reading()
        if self._registered != found:
            self._look_at(found ^ (self._registered or set()))
            self._registered = found

    def reading(self) -> None:
        """Begin to read the location table: what is noted from now on is newer than that."""
        self._come.clear()
        self._gone.clear()

    def note(self, agent: AgentId, *, registered: bool) -> None:
        """Take one registration event."""
        (self._come if registered else self._gone).add(agent)
        (self._gone if registered else self._come).discard(agent)
        if self._registered is None:
            return  # the whole table is still to come
        if registered is not (agent in self._registered):
            self._registered ^= {agent}
            self._look_at((agent,))

    def note_epoch(self, seen: int) -> None:
        """Take in that a gate of this site has let a token of that epoch through."""
        epoch = store_epoch(seen)
        if epoch > self._epoch:
            self._epoch = epoch
            self.wake()

    def wake(self) -> None:
        """Look again at everybody."""
        self._due = None
        self._wake.set()

    def take(self, deltas: Iterable[Delta]) -> None:
        """Look again at those of whom something has changed, if it may be due to be written."""
        for delta in deltas:
            if delta.kind is Kind.EDGE:
                self.wake()
            elif delta.kind in _OF_AGENTS:
                self._see_epoch(delta)
                self._look_at((AgentId(delta.id),))
            elif delta.kind is Kind.WORK or delta.kind is Kind.OFFER:
                if _lets_it_ring(delta) or self.frees_guest(delta):
                    self._wake.set()
                # What else a call does to an agent can wait until something is due.
                if self._due is not None:
                    self._due.add(AgentId(delta.id))

    def _look_at(self, agents: Iterable[AgentId]) -> None:
        if self._due is not None:
            self._due.update(agents)
        self._wake.set()

    def _see_epoch(self, delta: Delta) -> None:
        """Look at everybody if one of this site's agents is ahead: all go in step."""
        said = None if delta.after is None else delta.after.value
        is_ours = isinstance(said, Presence) and said.site == self._site
        if isinstance(said, Presence) and is_ours and said.epoch > self._site_epoch:
            self._site_epoch = said.epoch
            self.wake()

    def frees_guest(self, delta: Delta) -> bool:
        """Whether an offer has ended of somebody who is registered here and at home elsewhere."""
        if delta.kind is not Kind.OFFER or delta.after is not None or not self._registered:
            return False
        agent = AgentId(delta.id)
        entry = self._snapshot().agents.get(agent) if agent in self._registered else None
        return entry is not None and entry.value.site != self._site

    async def change_rest(self, agent: AgentId, change: RestChange, by_s: float) -> float:
        """End or prolong an agent's rest; return how long it still is.

        Raises CommandError when there is none, or this is not the agent's home edge.
        """
        snapshot, now = self._snapshot(), self._clock.now()
        home = home_edge(snapshot, agent)
        if home != self._edge:
            whom = f"ask {home}" if home else "they are not configured, or their home site is dead"
            raise CommandError(f"{self._edge} is not the home edge of {agent!r}: {whom}")
        held, work = snapshot.presences.get(agent), snapshot.works.get(agent)
        presence = rest_changed(held, work, change, by_s, now)
        if agent in snapshot.offers:
            # Given to a call already, though the rest is not quite over: too late.
            presence = NoRest.NOT_RESTING
        if isinstance(presence, NoRest) or held is None or work is None:
            raise CommandError(f"no rest of {agent!r} to change: {presence}")
        compare = ModIs(key=keys.presence(agent), mod_revision=held.mod_revision)
        try:
            is_written, _ = await self._put(presence, compare)
        except StoreError as error:
            raise CommandError(f"the rest of {agent!r} was not changed: {error}") from error
        if not is_written:
            raise CommandError(f"the presence of {agent!r} has just changed: ask again")
        log.info("rest_changed", agent=agent, change=change, rest_s=presence.rest_s)
        return max(0.0, work.seen_s + presence.rest_s - now.mono_s)

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        while True:
            await self._wake.wait()
            if self._registered is None:
                continue
            registered, among = frozenset(self._registered), self._due
            self._due = set()
            try:
                await self._write_moves(registered if among is None else registered & among)
                await self._write_due(registered, among)
                await self._tell_untold()
            except StoreError as error:
                log.warning("presence_not_written", site=self._site, error=str(error))
                self.wake()
                await asyncio.sleep(_RETRY_S)

    async def _write_due(
        self, registered: frozenset[AgentId], among: Collection[AgentId] | None
    ) -> None:
        wall_ms, snapshot = self._clock.now().wall_ms, self._snapshot()
        # All of a site's agents go in step: a gate that was loaded anew has one floor for all.
        if among is None:
            self._site_epoch = site_epoch(snapshot, self._site)
        epoch = max(self._epoch, self._site_epoch)
        found = list(due(snapshot, self._edge, registered, wall_ms, epoch=epoch, among=among))
        for at in range(0, len(found), AT_A_TIME):
            some = found[at : at + AT_A_TIME]
            await asyncio.gather(*(self._write_presence(*each) for each in some))

    async def _write_presence(self, presence: Presence, replaces: int) -> None:
        key = keys.presence(presence.agent)
        is_written, is_told = await self._put(presence, standing(key, replaces))
        if is_written:
            log.info("presence", agent=presence.agent, state=presence.state, reason=presence.reason)
        elif is_told:
            # Another home edge has told of the same call: the presence may be as it was.
            self._look_at((presence.agent,))
        # A failed compare means else that the snapshot was old: the newer one will wake us.

    async def _put(self, presence: Presence, same: Compare) -> tuple[bool, bool]:
        """Write a presence; tell whether it is written, and whether the ledger was to be told."""
        rest = self._rest_changed(presence)
        is_later = rest is not None and self._is_alone()
        compares, puts = ((), ()) if rest is None or is_later else await self._told(presence, rest)
        put = Put(key=keys.presence(presence.agent), value=encode(presence))
        result = await self._store.txn((same, *compares), (put, *puts))
        if result.succeeded and rest is not None and rest.value.call is not None and is_later:
            self._untold[rest.value.call, presence.agent] = presence, rest
        return result.succeeded, bool(compares)

    def _rest_changed(self, presence: Presence) -> Entry[Work] | None:
        """Return from which talk the agent rests, if this presence changes for how long."""
        snapshot = self._snapshot()
        held, work = snapshot.presences.get(presence.agent), snapshot.works.get(presence.agent)
        said = None if held is None else (held.value.rest_of, held.value.rest_s)
        is_news = said != (presence.rest_of, presence.rest_s)
        return work if is_news and work is not None and work.value.call is not None else None

    async def _tell_untold(self) -> None:
        """Tell the ledger what was changed while this site was alone."""
        for which, (presence, work) in tuple(self._untold.items()):
            if self._is_alone():
                return
            compares, puts = await self._told(presence, work)
            if puts and not (await self._store.txn(compares, puts)).succeeded:
                self._wake.set()  # another home edge has told of the same call
            elif self._untold[which] == (presence, work):
                del self._untold[which]

    async def _told(
        self, presence: Presence, work: Entry[Work]
    ) -> tuple[tuple[Compare, ...], tuple[Put, ...]]:
        """Return what tells the ledger of a wrap-up that this presence changes, if it does."""
        if work.value.call is None:
            return (), ()
        key = keys.rested(work.value.call)
        found = next(iter((await self._store.range(key)).records), None)
        told = rest_told(_rested(found), presence, work, self._clock.now())
        if told is None:
            return (), ()
        same = standing(key, 0 if found is None else found.mod_revision)
        return (same,), (Put(key=key, value=encode(told)),)

    async def _write_moves(self, registered: frozenset[AgentId]) -> None:
        if self._is_alone():
            return
        wall_ms = self._clock.now().wall_ms
        found = list(moves_due(self._snapshot(), self._edge, registered, wall_ms))
        for at in range(0, len(found), AT_A_TIME):
            some = found[at : at + AT_A_TIME]
            await asyncio.gather(*(self._write_move(each) for each in some))

    async def _write_move(self, due: MoveDue) -> None:
        move = due.move
        key = keys.move(move.agent)
        compares = (
            standing(key, due.replaces),
            standing(keys.presence(move.agent), due.presence),
            Absent(key=keys.offer(move.agent)),
        )
        result = await self._store.txn(compares, (Put(key=key, value=encode(move)),))
        if result.succeeded:
            log.info("agent_moved", agent=move.agent, to=move.site, home=move.home)


def _lets_it_ring(delta: Delta) -> bool:
    """Tell whether an agent has just let a call ring, for which they may be paused."""
    work = None if delta.after is None else delta.after.value
    return isinstance(work, Work) and work.end is WorkEnd.NO_ANSWER


def _rested(record: KeyValue | None) -> Rested | None:
    """Return what stands there; None: nothing, or what nobody can read, and is written over."""
    try:
        return None if record is None else decode(Rested, record.value, record.key)
    except CodecError:
        return None


def standing(key: str, mod_revision: int) -> ModIs | Absent:
    """Return the condition that a record is as it was seen; 0: that there is none."""
    return ModIs(key=key, mod_revision=mod_revision) if mod_revision else Absent(key=key)
