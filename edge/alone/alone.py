"""One edge's part in serving without a quorum: when it begins and ends, and by what tokens.

The shell of `edge.alone.mode` and of the merge. Between the two edges of a site the agents' gates
arbitrate: a token is made from what the gate has seen last, so of two that are made at once one is
refused, and its call decided anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from edge.acd.abandoned import Holds, abandoned, holds_all
from edge.acd.merged_rests import with_rests_so_far
from edge.acd.plan import Held
from edge.acd.token import Token, alone_token
from edge.alone.closed import SETTLED_S, closed
from edge.alone.guests import guests, own_calls, rest_after
from edge.alone.kept import Kept
from edge.alone.merging import ContestedError, Merged, is_shown, merge
from edge.alone.mode import Because, Mode, Seen, Standing, merged, next_standing
from edge.alone.moments import revision_at
from edge.alone.past import Past
from edge.alone.sister import Holding, contested, is_acceptable, over, telling
from edge.alone.store import SiteStore
from edge.proxy.errors import ProxyError
from edge.proxy.gate import GateEntry, GateState
from state import keys
from state.clock import Clock
from state.codec import encode
from state.errors import StoreError
from state.mirror import Mirror
from state.model import FIRST_EPOCH, AgentId, CallId, Claim, EdgeId, OfferState, SiteId
from state.raw import Change
from state.snapshot import Snapshot
from state.store import Store

log = structlog.get_logger()

LOOK_S = 0.1
MERGE_S = 8.0
"""A merge that takes longer is begun anew."""
PAUSE_S = 2.0
"""After a try to merge that had to wait for somebody: so long at most a call takes to write again
what was refused while that went on (`edge.calls.records`), and callers are served meanwhile."""
SHOWN_S = 1.0
"""A mirror that does not show by then what was merged has lost the news of it."""
OVER_S = 2.0
"""So long a sister has not to have what stands in her name here: another life of hers is still
taking up what the one before had."""
PUT_AWAY_S = 10.0
"""How often what came and went is taken out of the copy."""
GateOf = Callable[[AgentId], Awaitable[GateEntry | None]]


class Alone:
    """Looks ten times a second."""

    def __init__(  # noqa: PLR0913 - what it looks at, and what it switches
        self,
        *,
        edge: EdgeId,
        site: SiteId,
        clock: Clock,
        mirror: Mirror,
        shared: Store,
        store: SiteStore,
        gate_of: GateOf,
        on_change: Callable[[Mode], None],
        on_again: Callable[[], None] = lambda: None,
        kept: Kept | None = None,
        past: Past | None = None,
        held: Callable[[], Iterable[Held]] = tuple,
        holds: Holds = holds_all,
        has_ack: Callable[[CallId], bool] = lambda _: False,
        full_s: Callable[[], float | None] = lambda: None,
        postponed: Callable[[], Iterable[CallId]] = tuple,
    ) -> None:
        """`on_again`: a former life of this edge was alone; what it knew of the gate is lost.

        `past` takes the records of calls that came and went long ago; None: the merge writes them.
        `held`: what the calls of this edge hold in the store. `holds` tells of the calls that it
        has, or owes the records of; `has_ack` of those whose callers have acknowledged its answer;
        `full_s` for how long the store has had no room; `postponed` of those that are not to go on
        without a quorum, since others will see to them.
        """
        self._full_s = full_s
        self._postponed = postponed
        self._has_ack = has_ack
        self._holds = holds
        self._held = held
        self._kept = kept or Kept(None)
        self._past = past
        self.is_settled = False
        """Whether it is known if a former life of this edge has left something to merge."""
        self._edge = edge
        self._site = site
        self._clock = clock
        self._mirror = mirror
        self._shared = shared
        self._store = store
        self._gate_of = gate_of
        self._on_change = on_change
        self._on_again = on_again
        now = clock.now()
        self._standing = Standing(since_s=now.mono_s, looked_s=now.mono_s)
        self._since_ms = now.wall_ms
        self._over_since: dict[EdgeId, dict[str, float]] = {}
        """By sister: what stands in her name here and she has not, and since when."""
        self._talking: set[CallId] = set()
        """The calls of other sites in which an agent of ours was seen to talk, alone."""
        self._done = Merged()
        """What the merge that is under way has done so far."""
        self._again_s = now.mono_s
        """Not to merge before."""
        self._put_away_s = now.mono_s
        """Not to take anything out of the copy before."""
        self.merges = 0
        self.last_merge_s: float | None = None
        """How long the last one took."""

    # -- what others ask

    @property
    def mode(self) -> Mode:
        """By what this edge serves."""
        return self._standing.mode

    @property
    def is_alone(self) -> bool:
        """Whether agents are reserved here and not in the shared store."""
        return self._store.is_alone

    @property
    def is_unmerged(self) -> bool | None:
        """Whether this edge has served without a quorum, and others cannot know what it did.

        None: nobody knows yet; or the store is full, which closes nothing of anybody.
        """
        if not self.is_settled or self._standing.because is Because.STORE_FULL:
            return None
        return self.mode is not Mode.QUORUM

    @property
    def others(self) -> frozenset[SiteId]:
        """The sites whose agents are not to be had: while alone, all but this one."""
        if not self.is_alone:
            return frozenset()
        return frozenset(self._store.snapshot.sites) - {self._site}

    def status(self) -> Mapping[str, object]:
        """Return what the wallboard shows."""
        return {
            "mode": self.mode,
            "because": self._standing.because,
            "since_ms": self._since_ms,
            "merges": self.merges,
            "last_merge_s": self.last_merge_s,
        }

    def telling(self, since: int = 0, again: Iterable[str] = ()) -> Mapping[str, object]:
        """Return what a sister is to know who was told all up to a revision of the copy.

        `again`: keys of what she could not take in then.
        """
        overlay, store = self._store.overlay, self._store
        if overlay is None:
            return {"mode": self.mode}
        return telling(overlay, self._edge, store.own_since(since), again=store.own_of(again))

    async def token(self, agent: AgentId, snapshot: Snapshot) -> Token | None:
        """Return the token that would ring the agent; None: they are taken, or nobody knows."""
        try:
            entry = await self._gate_of(agent)
        except ProxyError as error:
            log.warning("gate_not_asked", agent=agent, error=str(error))
            return None
        if entry is not None and entry.state is not GateState.IDLE:
            return None
        presence = snapshot.presences.get(agent)
        epoch = FIRST_EPOCH if presence is None else presence.value.epoch
        return alone_token(None if entry is None else entry.token, epoch)

    # -- changing over

    def take_from_sister(self, edge: EdgeId, changes: Sequence[Change]) -> frozenset[str]:
        """Take in what another edge of this site has written; return the keys taken."""
        overlay = self._store.overlay
        if overlay is None or self.mode is Mode.MERGING:
            return frozenset()
        taken = [each for each in changes if is_acceptable(overlay, self._edge, each)]
        self._store.note(taken, is_ours=False)
        log.debug("sister_told", sister=edge, records=len(changes), taken=len(taken))
        return frozenset(each.key for each in taken)

    def hear_what_is_had(self, sister: EdgeId, holding: Holding) -> None:
        """Take in what another edge of this site has, all of it."""
        self.drop_what_is_over(sister, holding)
        self._claim(holding)

    def _claim(self, holding: Holding) -> None:
        """Claim the calls that both have, where it is our answer that the caller has.

        Without a quorum nobody is refused a ticket: each edge has written its own.
        """
        overlay = self._store.overlay
        if overlay is None or self.mode is Mode.MERGING:
            return
        for call in contested(overlay, self._edge, holding):
            if call in overlay.snapshot.claims or not self._has_ack(call):
                continue
            log.warning("call_claimed", call=call, is_ours=True)
            claim = Change(
                key=keys.claim(call),
                value=encode(Claim(call=call, edge=self._edge)),
                create_revision=overlay.snapshot.revision,
                mod_revision=0,
            )
            self._store.note([claim], is_ours=True)

    def drop_what_is_over(self, sister: EdgeId, holding: Holding) -> None:
        """Let go of what stands in a sister's name here, and of which she says that it is over.

        The end of it was lost before both were alone: it would keep agents from callers.
        """
        overlay = self._store.overlay
        if overlay is None or self.mode is Mode.MERGING:
            return
        now_s, before = self._clock.now().mono_s, self._over_since.get(sister, {})
        since = {key: before.get(key, now_s) for key in over(overlay, sister, holding)}
        self._over_since[sister] = since
        gone = [key for key, since_s in since.items() if now_s - since_s >= OVER_S]
        if gone:
            log.warning("sister_has_not", sister=sister, keys=len(gone))
            self._store.note([deletion(key) for key in gone], is_ours=False)

    async def run(self) -> None:
        """Look until cancelled."""
        await self._go_on()
        while True:
            await asyncio.sleep(LOOK_S)
            self._look()
            if self.mode is Mode.MERGING and self._clock.now().mono_s >= self._again_s:
                await self._merge()
            elif self.is_alone:
                self._put_away()
                await self._free_abandoned()

    async def _go_on(self) -> None:
        """Go on serving alone if a former life of this edge did and has not merged it."""
        written = self._kept.load()
        while written and not self._mirror.snapshot.sites:  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(LOOK_S)
        if written:
            now = self._clock.now()
            self._standing = Standing(
                mode=Mode.ALONE,
                since_s=now.mono_s,
                looked_s=now.mono_s,
                because=Because.NO_QUORUM,
            )
            self._since_ms = now.wall_ms
            keys_written = {each.key for each in written}
            drop = [key for key in self._abandoned() if key not in keys_written]
            self._store.begin(drop=drop, written_before=written)
            log.warning("alone_again", site=self._site, records=len(written))
            self._on_again()
            self._on_change(self.mode)
        self.is_settled = True

    def _abandoned(self) -> list[str]:
        """Return what the mirror shows of calls that were ours and are over."""
        return list(abandoned(self._mirror.snapshot, self._edge, self._holds))

    def _left_to_others(self) -> list[str]:
        """Return what stands of calls that a majority elsewhere will see to, if there is one."""
        if self._standing.because is not Because.NO_QUORUM:
            return []
        return [keys.ticket(call) for call in self._postponed()]

    def _look(self) -> None:
        now, snapshot = self._clock.now(), self._mirror.snapshot
        seen = Seen(
            age_s=self._mirror.age_s,
            is_configured=bool(snapshot.sites and snapshot.agents),
            has_lease=self._edge in snapshot.edges,
            full_s=self._full_s(),
        )
        before, self._standing = self._standing, next_standing(self._standing, seen, now.mono_s)
        if before.mode is Mode.QUORUM and self.mode is Mode.ALONE:
            self._since_ms = now.wall_ms
            self._over_since.clear()
            self._talking.clear()
            drop = self._abandoned()
            if drop:
                log.warning("copy_is_old", edge=self._edge, keys=len(drop))
            self._store.begin(drop=[*drop, *self._left_to_others()], held=self._held())
            log.warning(
                "alone",
                site=self._site,
                because=self._standing.because,
                revision=snapshot.revision,
            )
            self._on_change(self.mode)
        elif before.mode is Mode.MERGING and self.mode is Mode.ALONE:
            self._store.hold(merging=False)

    def _put_away(self) -> None:
        """Take out of the copy what came and went, so that it does not grow with the time alone."""
        overlay, now_s = self._store.overlay, self._clock.now().mono_s
        if overlay is None or self._past is None or now_s < self._put_away_s:
            return
        self._put_away_s = now_s + PUT_AWAY_S
        over = closed(overlay, self._mirror.snapshot, revision_at(now_s - SETTLED_S))
        # First where they are kept: if this process dies in between, they are in both files.
        self._past.take(over.records)
        self._store.forget(over.calls)

    async def _merge(self) -> None:
        overlay, began_s = self._store.overlay, self._clock.now().mono_s
        if overlay is None:
            return
        self._store.hold(merging=True)
        try:
            async with asyncio.timeout(MERGE_S):
                now_there = self._mirror.snapshot
                await merge(
                    self._shared,
                    with_rests_so_far(overlay, began_s),
                    now_there,
                    self._edge,
                    self._done,
                    holds=self._holds,
                )
                await self._until_shown(self._done)
        except (StoreError, TimeoutError) as error:
            log.warning("merge_waits", error=str(error) or "it took too long")
            self._store.hold(merging=False)
            if isinstance(error, ContestedError | TimeoutError):
                self._again_s = self._clock.now().mono_s + PAUSE_S
            return
        done, self._done = self._done, Merged()
        now = self._clock.now()
        self.merges += 1
        self.last_merge_s = round(now.mono_s - began_s, 3)
        self._standing = merged(self._standing, now.mono_s)
        self._since_ms = now.wall_ms
        self._store.end(done.revisions, done.ranks)
        log.warning(
            "merged",
            site=self._site,
            calls=done.calls,
            written=done.written,
            elsewhere=done.elsewhere,
            took_s=self.last_merge_s,
        )
        self._on_change(self.mode)

    async def _until_shown(self, done: Merged) -> None:
        """Wait for the mirror: a call whose place it does not show would take it for lost."""
        try:
            await self._mirror.wait_until(lambda now: is_shown(now, done), SHOWN_S)
        except TimeoutError:
            log.warning("merge_not_shown", revision=done.newest)
            await self._mirror.list_anew(done.newest)

    async def _free_abandoned(self) -> None:
        """Drop offers of other sites for agents of ours whom the gate knows to be free.

        Their edges can tell neither us nor, perhaps, the store. Whoever has talked wraps up. So
        with calls of our agents' own that other sites hold: nobody would tell us when they are
        over.
        """
        snapshot = self._store.snapshot
        gone = [deletion(keys.ticket(call)) for call in own_calls(snapshot, self._site)]
        self._store.note(gone, is_ours=False)
        for agent, offer in list(guests(snapshot, self._site)):
            try:
                entry = await self._gate_of(agent)
            except ProxyError:
                return
            if entry is not None and entry.state is GateState.TALKING:
                self._talking.add(offer.value.call)
            if entry is None or entry.state is GateState.IDLE:
                self._store.note((deletion(keys.offer(agent)),), is_ours=False)
                if offer.value.state is OfferState.TALKING or offer.value.call in self._talking:
                    self._store.suppose(rest_after(snapshot, offer, self._clock.now()))


def deletion(key: str) -> Change:
    """Return that there is nothing at a key, for the copy to number."""
    return Change(key=key, value=None, create_revision=0, mod_revision=0)
