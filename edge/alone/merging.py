"""Carries a merge out: reads what the shared store has, makes the plan, writes it, call by call.

The shell of `edge.acd.merge`. Callers who wait are written one after the other, in their order, so
that the store's order is theirs; everything else goes in parallel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable

import structlog
from msgspec import Struct

from edge.acd.merge import (
    Contested,
    Elsewhere,
    Found,
    LocalCall,
    Merge,
    Settled,
    keys_of,
    keys_of_work,
    local_calls,
    merge_call,
    merge_work,
    works_done,
)
from state import keys
from state.errors import StoreError, UnavailableError
from state.model import EdgeId, TicketState
from state.overlay import Overlay
from state.raw import KeyValue
from state.snapshot import Snapshot
from state.store import Get, Got, Store

log = structlog.get_logger()

AT_ONCE = 32
AGAIN_S = 0.1
_WAITING = frozenset({TicketState.GREETING, TicketState.QUEUED})


class Merged(Struct, kw_only=True):
    """What a merge has done, so far."""

    revision: int = 0
    """The last at which it wrote."""
    revisions: dict[tuple[str, int], int]
    """(key, mod_revision as this edge held it) -> as the store has it."""
    calls: int = 0
    written: int = 0
    elsewhere: int = 0


async def merge(store: Store, overlay: Overlay, now: Snapshot, edge: EdgeId) -> Merged:
    """Write what this edge did without a quorum. Raises StoreError: then merge again, all of it."""
    done = Merged(revisions={})
    work = _Merger(store, overlay, now, done)
    calls = local_calls(overlay, edge)
    waiting = [each for each in calls if _is_waiting(overlay, each)]
    rest = [each for each in calls if each not in waiting]
    await work.all(work.work(each) for each in works_done(overlay))
    await work.all(work.call(each) for each in rest)
    for each in waiting:
        await work.call(each)
    done.calls = len(calls)
    return done


def _is_waiting(overlay: Overlay, local: LocalCall) -> bool:
    ticket = overlay.snapshot.tickets.get(local.call)
    return local.ticket is not None and ticket is not None and ticket.value.state in _WAITING


class _Merger:
    def __init__(self, store: Store, overlay: Overlay, now: Snapshot, done: Merged) -> None:
        self._store = store
        self._overlay = overlay
        self._now = now
        self._done = done
        self._offers = {agent: entry.value for agent, entry in now.offers.items()}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def all(self, doing: Iterable[Coroutine[None, None, None]]) -> None:
        # No TaskGroup: in Python 3.11 one that fails leaves its task cancelled for good, and no
        # time limit works there any more. This task has to merge again.
        tasks = [asyncio.create_task(self._in_turn(each)) for each in doing]
        try:
            await asyncio.gather(*tasks)
        except StoreError as error:
            raise UnavailableError("a part of the merge was not written") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_turn(self, doing: Coroutine[None, None, None]) -> None:
        async with self._turns:
            await doing

    async def work(self, work: KeyValue) -> None:
        while True:
            plan = merge_work(work, await self._find(keys_of_work(work)))
            if isinstance(plan, Settled) or await self._carry_out(plan):
                break
        await self._note((work.key,), (work.key,))

    async def call(self, local: LocalCall) -> None:
        names = keys_of(local, self._offers)
        known = set(local.written)
        while True:
            plan = merge_call(local, await self._find(names), self._now.revision)
            match plan:
                case Settled():
                    break
                case Elsewhere():
                    self._done.elsewhere += 1
                    log.warning("call_served_elsewhere", call=local.call)
                    return
                case Contested(agent=agent):
                    log.warning("merge_waits_for_agent", call=local.call, agent=agent)
                case Merge():
                    if await self._carry_out(plan):
                        known |= {each.key for each in plan.success}
                        break
            await asyncio.sleep(AGAIN_S)
        await self._note(names, known)

    async def _find(self, names: tuple[str, ...]) -> Found:
        result = await self._store.txn((), tuple(Get(key=name) for name in names))
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

    async def _note(self, names: tuple[str, ...], known: Collection[str]) -> None:
        """Note as what revision the store has each record that a call may still hold.

        But those that were not written: what else has become of them a call has still to learn.
        """
        for name, record in (await self._find(names)).items():
            if name not in known:
                continue
            held = self._overlay.record(name)
            was = 0 if held is None else held.mod_revision
            is_held = held is not None or name.startswith(keys.WORK)
            if record is None or not is_held or name.startswith(keys.ENDED):
                continue
            if was != record.mod_revision:
                self._done.revisions[name, was] = record.mod_revision
