"""The way of a transfer to the shared state: what a target means, and its reservation.

Decides nothing that is not in `edge.acd.transfer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from edge.acd.plan import GivenAgent, Held, Plan
from edge.acd.token import Token, token_of
from edge.acd.transfer import BUSY, FORBIDDEN, No, ToAgent, ToQueue, decided, destination, offering
from edge.acd.transferring import consulted, target_reserved
from edge.calls.prompts import Prompts
from edge.calls.records import CallRecords, Landed, NotAsked, Refused, Written
from edge.settings import Settings
from edge.sip.errors import RemoteError
from edge.sip.subscriber import number_in
from edge.sip.uri import parse_uri
from edge.waiting import AloneTokens, HeldBack
from state.clock import Clock
from state.model import AgentId, Decision, EdgeId, Now, SiteId, Ticket
from state.snapshot import Snapshot

log = structlog.get_logger()

TRIES: Final = 3
"""A reservation that is refused rested on an old snapshot, and the next rests on a newer one."""
_LOOK_S: Final = 0.02
"""How often it is looked whether that has come."""
_STORE_AWAY: Final = 503


class Target(Struct, frozen=True, kw_only=True):
    """An agent who is reserved for a caller who is passed on."""

    decision: Decision
    token: Token


class Transfers:
    """What calls need to be passed on."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        unreachable: Callable[[], frozenset[SiteId]],
        alone: Callable[[], AloneTokens | None],
    ) -> None:
        self._settings = settings
        self._prompts = Prompts(settings.prompts)
        self._clock = clock
        self._snapshot = snapshot
        self._unreachable = unreachable
        self._alone = alone

    def destination(self, ticket: Ticket, by: AgentId, refer_to: str) -> ToAgent | ToQueue | No:
        """Return where a URI, or the bare name of an agent or a queue, would bring the caller."""
        target = refer_to
        try:
            if ":" in refer_to:
                uri = parse_uri(refer_to)
                target = number_in(refer_to)
                if "replaces" in uri.headers.lower():
                    # RFC 3891: that is for the agent's telephone to say, in a REFER.
                    return No(status=FORBIDDEN, reason="No attended transfers this way")
        except RemoteError as error:
            return No(status=error.status, reason="Refer-To makes no sense")
        return destination(
            self._snapshot(),
            ticket,
            by,
            target,
            self._clock.now(),
            unreachable=self._unreachable(),
        )

    def music(self, name: str) -> Path:
        """Return the file of a queue's music."""
        return self._prompts.path(name)

    async def reserve(
        self,
        records: CallRecords,
        ticket: Ticket,
        by: AgentId,
        agent: AgentId,
        *,
        consults: bool = False,
    ) -> Target | int:
        """Reserve the target with one transaction; or return SIP's word for why not.

        With `consults` they are to be asked, and the caller stays where they are.
        """
        for _ in range(TRIES):
            where = self.destination(ticket, by, agent)
            if not isinstance(where, ToAgent):
                return where.status if isinstance(where, No) else BUSY
            is_alone, alone, tokens = self._is_alone(), None, self._alone()
            if tokens is not None and is_alone:
                alone = await tokens.token(agent, self._snapshot())
                if alone is None:
                    return BUSY
            wish = _Wish(
                by,
                agent,
                self._snapshot(),
                edge=self._settings.edge,
                now=self._clock.now(),
                alone=alone,
                consults=consults,
            )
            written = await self._ask(records, wish, is_alone=is_alone)
            held = records.held
            match written:
                case Landed() if held is not None and (given := wish.given(held)) is not None:
                    return Target(decision=wish.decision, token=token_of(given.offer))
                case NotAsked():
                    return _STORE_AWAY
                case Refused(revision=revision):
                    await self._newer(revision)
                case _:
                    await self._newer(0)
        log.info("target_not_reserved", call=ticket.call, agent=agent)
        return BUSY

    async def _newer(self, revision: int) -> None:
        """Wait for a snapshot of that revision (0: of none in particular), as calls that wait do.

        Whom this very call has just freed has a work record that the mirror shows later than the
        store has it, and how much later the machine's load decides.
        """
        held_back = HeldBack.of(revision or None, self._clock.now())
        while not held_back.is_over(self._snapshot(), self._clock.now()):  # noqa: ASYNC110 - seldom
            await asyncio.sleep(_LOOK_S)

    async def _ask(self, records: CallRecords, wish: _Wish, *, is_alone: bool) -> Written:
        def make(held: Held | None, at: Now) -> Plan | None:
            return wish.plan(held, at) if self._is_alone() is is_alone else None

        return await records.write(make, wait=False)

    def _is_alone(self) -> bool:
        tokens = self._alone()
        return tokens is not None and tokens.is_alone


class _Wish:
    """One try to reserve a target."""

    def __init__(  # noqa: PLR0913  what it rests on
        self,
        by: AgentId,
        agent: AgentId,
        snapshot: Snapshot,
        *,
        edge: EdgeId,
        now: Now,
        alone: Token | None,
        consults: bool,
    ) -> None:
        self._consults = consults
        self._agent = agent
        self._snapshot = snapshot
        self._edge = edge
        self._now = now
        self._alone = alone
        self.decision = decided(snapshot, by, agent, now)

    def plan(self, held: Held | None, at: Now) -> Plan | None:
        """Return the transaction; None: the call is not to be passed on any more."""
        if held is None or held.given is None or held.transferor is not None:
            return None
        if self._consults and held.consulted is not None:
            return None
        wanted = offering(self._snapshot, held.ticket, self.decision)
        plan = consulted if self._consults else target_reserved
        return plan(wanted, held, self._snapshot, edge=self._edge, at=at, alone=self._alone)

    def given(self, held: Held) -> GivenAgent | None:
        """Return the target, once the transaction has landed."""
        return held.consulted if self._consults else held.given
