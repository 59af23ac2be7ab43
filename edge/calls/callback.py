"""One caller who is being called back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

from edge.acd.call_events import Event
from edge.acd.callback import Way
from edge.acd.token import Token
from edge.calls.records import CallRecords
from edge.sip.events import LegId
from state.model import CallBack, Decision, Entry, Place, Queue, Ticket
from state.snapshot import Snapshot


class Stage(StrEnum):
    """How far a callback is."""

    WAITING = "waiting"
    """In the line, for an agent."""
    DIALLING = "dialling"
    ANSWERED = "answered"
    OVER = "over"


class Callback:
    """One caller who is being called back, until they answer or do not."""

    def __init__(  # noqa: PLR0913  what it takes to dial
        self,
        *,
        ticket: Ticket,
        way: Way,
        rules: CallBack,
        queue: Queue,
        records: CallRecords,
        dial: Callable[[Callback], None],
    ) -> None:
        self.id = ticket.call
        self.ticket = ticket
        self.queue = queue
        self.records = records
        self.stage = Stage.WAITING
        self.leg: LegId | None = None
        """None: the caller is not dialled yet, or their leg is over."""
        self.way = way
        self.rules = rules
        self.decision: Decision | None = None
        self.token: Token | None = None
        self.offered = b""
        self.timer: asyncio.TimerHandle | None = None
        self._dial = dial

    @property
    def is_waiting(self) -> bool:
        """Whether it wants an agent."""
        return self.stage is Stage.WAITING and self.records.held is not None

    def expect_agent(self) -> None:
        """Do nothing: the caller is dialled first, and by nobody before there is an agent."""

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Dial: the agent is kept for this caller.

        Unless they have called by themselves while the store was asked: its end frees the agent.
        """
        if self.stage is not Stage.WAITING:
            return
        self.decision, self.token = decision, token
        self.stage = Stage.DIALLING
        self._dial(self)

    def deliver(self, _event: Event) -> None:
        """Take no notice: whoever is to be called back is sent away by nothing but their rules."""


def is_of(ticket: Ticket, caller: str, did: str) -> bool:
    """Tell whether it is that caller who calls, and not we them."""
    return ticket.callback_of is None and (ticket.caller, ticket.did) == (caller, did)


def is_on_the_line(snapshot: Snapshot, place: Entry[Place]) -> bool:
    """Tell whether the caller of a place calls by themselves, or is being called already."""
    them = (place.value.caller, place.value.did)
    return any((e.value.caller, e.value.did) == them for e in snapshot.tickets.values())
