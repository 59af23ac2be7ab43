"""Carries a merge out: reads what the shared store has, makes the plan, writes it, call by call.

The shell of `edge.acd.merge`. Callers who wait are written one after the other, in their order, so
that the store's order is theirs; everything else goes in parallel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial

import structlog
from msgspec import Struct, field

from edge.acd.abandoned import Holds, holds_all, stands_abandoned
from edge.acd.merge import (
    Contested,
    Elsewhere,
    Found,
    LocalCall,
    Merge,
    Settled,
    agents_in,
    held_revisions,
    keys_of,
    keys_of_work,
    local_calls,
    merge_call,
    merge_work,
    works_done,
)
from edge.acd.merged_places import Rank, rank_of
from state import keys
from state.errors import StoreError, UnavailableError
from state.model import AgentId, CallId, EdgeId
from state.overlay import Overlay
from state.raw import KeyValue
from state.snapshot import Snapshot
from state.store import Delete, Get, Got, ModIs, Store

log = structlog.get_logger()

Doing = Callable[[], Coroutine[None, None, None]]

AT_ONCE = 32
AGAIN_S = 0.1
CONTESTED_S = 1.5
"""So long a try waits for an agent who was given to another call: longer than a gate takes to
refuse that, and its edge to give them back. Whose talk has ended meanwhile is the other's for good,
and that end is written only once this try is over."""


class ContestedError(UnavailableError):
    """An agent of a call is another's; what the others did may be merged another time."""


class Merged(Struct, kw_only=True):
    """What a merge has done, in all its tries so far."""

    revision: int = 0
    """The last at which it wrote."""
    revisions: dict[tuple[str, int], int] = field(default_factory=dict)
    """(key, mod_revision as this edge held it) -> as the store has it."""
    stands: dict[str, int] = field(default_factory=dict)
    """The mod_revisions of what stood in the store of the calls once they were merged."""
    gone: dict[str, int] = field(default_factory=dict)
    """The keys of theirs at which nothing stood, and at which revision that was so."""
    ranks: dict[CallId, Rank] = field(default_factory=dict)
    """Where the callers of this edge stand in the store's line."""
    agents: dict[CallId, frozenset[AgentId]] = field(default_factory=dict)
    """Whose offers were asked after for a call."""
    calls: int = 0
    written: int = 0
    elsewhere: int = 0

    @property
    def newest(self) -> int:
        """From which revision on a listing shows all of it."""
        return max(self.revision, 0, *self.stands.values(), *self.gone.values())


def is_shown(snapshot: Snapshot, done: Merged) -> bool:
    """Tell whether a snapshot shows what a merge has left in the store, or what came after it."""
    raw = snapshot.raw
    return (
        snapshot.revision >= done.revision
        and all(key in raw and raw[key].mod_revision >= at for key, at in done.stands.items())
        and all(key not in raw or raw[key].mod_revision > at for key, at in done.gone.items())
    )


async def merge(  # noqa: PLR0913 - what is written where, and for whom
    store: Store,
    overlay: Overlay,
    now: Snapshot,
    edge: EdgeId,
    done: Merged | None = None,
    *,
    holds: Holds = holds_all,
) -> Merged:
    """Write what this edge did without a quorum.

    `holds` tells of the calls that it has. Raises StoreError: then merge again, all of it, with
    what the first try has `done`.
    """
    done = Merged() if done is None else done
    calls = local_calls(overlay, edge, holds)
    merged = {each.call for each in calls}
    work = _Merger(store, overlay, now, done, edge, lambda call: call in merged or holds(call))
    done.calls, done.elsewhere = len(calls), 0
    waiting = [each for each in calls if _is_waiting(overlay, each)]
    rest = [each for each in calls if not _is_waiting(overlay, each)]
    await work.all(partial(work.work, each) for each in works_done(overlay))
    # Those who wait have no agents, so they wait for nobody; but others may wait for one of theirs.
    for each in waiting:
        await work.call(each)
    await work.all(partial(work.call, each) for each in rest)
    return done


def _is_waiting(overlay: Overlay, local: LocalCall) -> bool:
    ticket = overlay.snapshot.tickets.get(local.call)
    return local.ticket is not None and ticket is not None and ticket.value.state.is_waiting


class _Merger:
    def __init__(  # noqa: PLR0913, PLR0917 - as `merge`
        self,
        store: Store,
        overlay: Overlay,
        now: Snapshot,
        done: Merged,
        edge: EdgeId,
        holds: Holds,
    ) -> None:
        self._store = store
        self._overlay = overlay
        self._now = now
        self._done = done
        self._edge = edge
        self._holds = holds
        self._offers = {agent: entry.value for agent, entry in now.offers.items()}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._until_s = asyncio.get_running_loop().time() + CONTESTED_S
        self._seen = 0
        """At which revision the store was last asked."""

    async def all(self, doing: Iterable[Doing]) -> None:
        # No TaskGroup: in Python 3.11 one that fails leaves its task cancelled for good, and no
        # time limit works there any more. This task has to merge again.
        tasks = [asyncio.create_task(self._in_turn(each)) for each in doing]
        try:
            await asyncio.gather(*tasks)
        except ContestedError:
            raise
        except StoreError as error:
            raise UnavailableError("a part of the merge was not written") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_turn(self, doing: Doing) -> None:
        async with self._turns:
            await doing()

    async def work(self, work: KeyValue) -> None:
        while True:
            found = await self._find(keys_of_work(work))
            plan = merge_work(work, found, self._overlay.base.get(work.key))
            if isinstance(plan, Settled):
                break
            await self._carry_out(plan)
        record, held = found[work.key], self._overlay.record(work.key)
        if record is not None and held is not None:
            self._done.revisions[work.key, held.mod_revision] = record.mod_revision

    async def call(self, local: LocalCall) -> None:
        names = keys_of(local, self._offers, self._done.agents.get(local.call, ()))
        self._done.agents[local.call] = agents_in(names)
        while True:
            found = await self._find(names)
            plan = merge_call(local, found, self._now.revision)
            match plan:
                case Settled():
                    held = {name: self._overlay.record(name) for name in names}
                    self._done.revisions |= held_revisions(local, found, held)
                    ticket = found[keys.ticket(local.call)]
                    if ticket is not None and local.ticket is not None:
                        self._done.ranks[local.call] = rank_of(ticket)
                    self._note(found)
                    return
                case Elsewhere():
                    self._done.elsewhere += 1
                    self._note(found)
                    log.warning("call_served_elsewhere", call=local.call)
                    return
                case Contested(agent=agent):
                    if not await self._free_abandoned(found[keys.offer(agent)]):
                        await self._wait_for(agent, local.call)
                case Merge():
                    if not await self._carry_out(plan):
                        await asyncio.sleep(AGAIN_S)

    async def _wait_for(self, agent: AgentId, call: CallId) -> None:
        log.warning("merge_waits_for_agent", call=call, agent=agent)
        if asyncio.get_running_loop().time() >= self._until_s:
            raise ContestedError(f"agent {agent} was given to another call")
        await asyncio.sleep(AGAIN_S)

    async def _free_abandoned(self, offer: KeyValue | None) -> bool:
        """Delete an offer that is ours, and of none of our calls: nobody else would meanwhile."""
        if offer is None or not stands_abandoned(offer, self._edge, self._holds):
            return False
        same = ModIs(key=offer.key, mod_revision=offer.mod_revision)
        await self._carry_out(Merge(compares=(same,), success=(Delete(key=offer.key),)))
        return True

    def _note(self, found: Found) -> None:
        """Note what the mirror has to show before the calls go on."""
        for name, record in found.items():
            if name.startswith(keys.STATE):
                self._done.stands.pop(name, None)
                self._done.gone.pop(name, None)
                if record is None:
                    self._done.gone[name] = self._seen
                else:
                    self._done.stands[name] = record.mod_revision

    async def _find(self, names: tuple[str, ...]) -> Found:
        result = await self._store.txn((), tuple(Get(key=name) for name in names))
        self._seen = max(self._seen, result.revision)
        found = [each.record for each in result.responses if isinstance(each, Got)]
        if len(found) != len(names):
            raise UnavailableError("the store did not answer every question of a merge")
        return dict(zip(names, found, strict=True))

    async def _carry_out(self, plan: Merge) -> bool:
        result = await self._store.txn(plan.compares, plan.success)
        if result.succeeded:
            if any(each.key.startswith(keys.STATE) for each in plan.success):
                # Else no mirror would ever show that revision.
                self._done.revision = max(self._done.revision, result.revision)
            self._done.written += 1
        return result.succeeded
