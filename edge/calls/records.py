"""Writes the records of one call, in order, whatever the store does meanwhile.

A call goes on without etcd; its writes wait here. Each is a plan (`edge.acd.reservation`) made from
what is held when its turn comes, and repeated until the store has said what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN
from edge.acd.plan import Held, Plan, carried_out, held_after, waited
from edge.acd.reservation import created, created_after_another, offer_failed
from edge.acd.still_held import agent_named, keys_of, still_held
from edge.calls.claims import Caller, Claims
from state.clock import Clock
from state.errors import OutcomeUnknownError, RejectedError, StoreError, UnavailableError
from state.model import AgentId, CallId, EdgeId, Now, Ticket
from state.raw import KeyValue
from state.store import Get, Got, Store

log = structlog.get_logger()

_RETRY_MIN_S = 0.1
_RETRY_MAX_S = 2.0
_AGAIN_S = 0.3
_TRIES = 5
"""How often an end is planned anew from what the store has. Nobody else writes there meanwhile."""


class Landed(Struct, frozen=True, kw_only=True):
    """The plan was carried out."""

    revision: int


class Refused(Struct, frozen=True, kw_only=True):
    """Something on which the plan rested has changed: decide again, at `revision` or later."""

    revision: int


class NotAsked(Struct, frozen=True, kw_only=True):
    """The store is away and nothing was done."""


Written = Landed | Refused | NotAsked
PlanMaker = Callable[[Held | None, Now], Plan | None]
"""Returns what to write, given what is held; None: it is no longer needed."""


class CallRecords:
    """What one call holds in the shared state."""

    def __init__(self, *, store: Store, clock: Clock, call: CallId, is_known: bool = True) -> None:
        self._store = store
        self._clock = clock
        self._call = call
        self._turn = asyncio.Lock()
        self._known = asyncio.Event()
        self._is_old = False
        """Whether the store may have what the former life of this edge wrote last, unseen here."""
        if is_known:
            self._known.set()
        self.held: Held | None = None
        """As the store has it, once the writes that are under way have landed."""
        self.is_acknowledged = False
        """Whether the caller has acknowledged our answer."""
        self.has_left = False
        """Whether the caller's leg is over."""

    def restore(self, held: Held | None, *, is_old: bool = False) -> None:
        """Say what a call that was taken up holds; its writes have waited for that.

        `is_old`: by a copy of the state that the former life may have outlived.
        """
        self.held = held
        self._is_old = is_old
        self._known.set()

    async def recreate(self, ticket: Ticket, at: Now) -> Held | None:
        """Create the ticket of a call that was taken up, if there neither is one nor was.

        The former life had answered the caller, and may have died before it could write; or as it
        had claimed the call, which the other edge has given up to it since. Return what is held
        now, for `restore`: until then all other writes wait.
        """
        written = await self._carry_out(created(ticket, at), wait=True)
        if isinstance(written, Refused):
            await self._take_over(ticket, at, waits=False)
        return self.held

    async def catch_up(self, held: Held, plan: Plan) -> Held | None:
        """Write what the former life could not; return what is held now, for `restore`.

        As with `recreate` all other writes wait until then.
        """
        self.held = held
        await self._carry_out(plan, wait=True)
        return self.held

    async def write(
        self, make: PlanMaker, *, wait: bool = True, patience_s: float = 0.0
    ) -> Written:
        """Carry out what `make` returns, after all that was asked for before.

        With `wait`, go on asking while the store is away; else return NotAsked, unless an earlier
        attempt may have been carried out: then what became of it has to be known. With
        `patience_s`, it may be held back for so long, to go with other calls' writes.
        """
        async with self._turn:
            await self._known.wait()
            plan = make(self.held, self._clock.now())
            if plan is None:
                return Refused(revision=0)
            return await self._carry_out(plan, wait=wait, patience_s=patience_s)

    async def end(self, make: PlanMaker, holder: EdgeId) -> Written:
        """Carry out an end, even if what is held is not what stands in the store.

        Refused only if the store says that the call is not `holder`'s to end any more: it has its
        record, or is another's.
        """
        async with self._turn:
            await self._known.wait()
            held = self.held
            if held is None or self._is_old:
                held = await self._look(held, holder)
            for _ in range(_TRIES):
                plan = make(held, self._clock.now())
                if plan is None:
                    break
                written = await self._carry_out(plan, wait=True)
                if isinstance(written, Landed):
                    return written
                found = await self._look(held, holder)
                if found is None or found == held:
                    return written
                log.warning("end_planned_anew", call=self._call)
                held = found
            return Refused(revision=0)

    async def look_again(self, holder: EdgeId, is_waiting: Callable[[], bool]) -> None:
        """Hold what the store has, of a call that was taken up by an old copy.

        Whom the former life had reserved in its last moment is given back if the call waits: nobody
        rings them.
        """
        async with self._turn:
            self._is_old = False
            held = self.held
            if held is None or held.given is not None:
                return
            found = await self._look(held if is_waiting() else None, holder)
            if found is None or found.given is None:
                return
            agent = found.given.offer.value.agent
            log.warning("agent_of_old", call=self._call, agent=agent, is_waiting=is_waiting())
            if not is_waiting():
                self.held = found
                return
            at = self._clock.now()
            plan = offer_failed(found, found.given, WITHDRAWN, at, tried=False)
            await self._carry_out(plan, wait=True)

    async def _look(self, held: Held | None, holder: EdgeId) -> Held | None:
        """Return what the store has of the call; None: it is not `holder`'s to end."""
        agents: frozenset[AgentId] = frozenset()
        if held is not None:
            agents = frozenset(each.offer.value.agent for each in held.agents)
        while True:
            try:
                found = await self._find(keys_of(self._call, agents))
            except RejectedError:
                return None
            except StoreError:
                await asyncio.sleep(_AGAIN_S)
                continue
            named = agent_named(self._call, found)
            if named is None or named in agents:
                return still_held(self._call, holder, found, held, self._clock.now())
            agents |= {named}

    async def _find(self, names: tuple[str, ...]) -> Mapping[str, KeyValue | None]:
        result = await self._store.txn((), tuple(Get(key=name) for name in names))
        got = (each.record for each in result.responses if isinstance(each, Got))
        return dict(zip(names, got, strict=True))

    @property
    def may_have_agent(self) -> bool:
        """Whether an agent may be given to the call of whom its old copy knew nothing."""
        return self._is_old and self.held is not None and self.held.given is None

    def forget_given(self) -> None:
        """Hold no agent any more: somebody else has freed them."""
        if self.held is not None:
            self.held = replace(self.held, given=None, transferor=None, consulted=None)

    async def create(
        self,
        ticket: Ticket,
        at: Now,
        *,
        with_agent: Plan | None = None,
        on_refused: Callable[[], None] = lambda: None,
    ) -> Written:
        """Create the ticket, in one turn with taking the call over from an edge that gave it up.

        The proxy sends a call on that an edge has just refused, and that one's record stands; or it
        has given the call to two, and one of them has been told that it is over, or is told by us
        that the caller has acknowledged our answer (`edge.acd.yielding`).
        `with_agent`: the plan that gives it an agent too, or creates the ticket otherwise.
        `on_refused` hears that neither has been done, before a wait for the other edge of seconds.
        """
        async with self._turn:
            plan = created(ticket, at)
            written = await self._carry_out(with_agent or plan, wait=True)
            if isinstance(written, Refused) and with_agent is not None:
                # The store may not have liked that plan, and say nothing against this one.
                written = await self._carry_out(plan, wait=True)
            if isinstance(written, Refused):
                on_refused()
                return await self._take_over(ticket, at) or written
            return written

    async def _take_over(self, ticket: Ticket, at: Now, *, waits: bool = True) -> Written | None:
        """Create the ticket over the record of another edge; None: that makes no room.

        A third may have written its own over that meanwhile: a proxy, and a carrier, go on asking.
        """
        claims = Claims(store=self._store, clock=self._clock, call=self._call)
        written: Written | None = None
        for _ in range(_TRIES):
            room = await claims.room(ticket.holder, self._caller, waits=waits)
            if room is None:
                return written
            revision, is_claimed = room.record_revision, room.is_claimed
            plan = created_after_another(ticket, revision, at, is_claimed=is_claimed)
            written = await self._carry_out(plan, wait=True)
            if not isinstance(written, Refused):
                return written
        await claims.withdraw()
        return written

    def _caller(self) -> Caller:
        return Caller(is_acknowledged=self.is_acknowledged, has_left=self.has_left)

    async def _carry_out(self, plan: Plan, *, wait: bool, patience_s: float = 0.0) -> Written:
        retry_s, asked, began_s = _RETRY_MIN_S, plan, self._clock.now().mono_s
        is_open = False
        unsure: Plan | None = None
        while True:
            try:
                result = await self._store.txn(
                    plan.compares, plan.success, plan.failure, patience_s=patience_s
                )
            except UnavailableError as error:
                if not wait and not is_open:
                    return NotAsked()
                problem: StoreError = error
            except OutcomeUnknownError as error:
                is_open = True
                problem = error
            except RejectedError as error:
                # Asking again cannot help. It should not happen, so it has to be seen.
                log.error("write_rejected", call=self._call, error=str(error))  # noqa: TRY400 - one line
                return Refused(revision=0)
            else:
                done = carried_out(plan, result)
                if done is None and unsure is not None:
                    done = carried_out(unsure, result)
                if done is None:
                    return Refused(revision=result.revision)
                self.held = held_after(*done)
                return Landed(revision=done[1])
            if plan.otherwise is not None:
                # By the next time nobody knows who is free. If it had been done, that will show.
                unsure, asked = plan, plan.otherwise
            log.warning("write_waits", call=self._call, error=str(problem), retry_s=retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _RETRY_MAX_S)
            late_s = self._clock.now().mono_s - began_s
            plan = waited(asked, late_s, may_be_done=is_open)
