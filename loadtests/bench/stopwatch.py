"""Notes, inside an edge that is profiled, the instants of `loadtests.bench.steps`.

It is laid over the public methods by which a call goes from part to part; the edge knows nothing of
it, and without `--profile` it is not there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from edge.acd.index.index import MatchIndex
from edge.calls.call import CallShell
from edge.calls.records import CallRecords
from edge.calls.ringing import Ringing
from edge.media.direct import DirectMedia
from edge.media.rtpengine.engine import MediaEngine
from edge.sip.events import IncomingInvite, Progress
from edge.sip.stack import SipStack
from loadtests.bench.steps import At
from state.keys import call_id_for

Plain: TypeAlias = Callable[..., Any]
"""A method as it is without us."""


class Stopwatch:
    """The instants of every call since it was last emptied, on the monotonic clock."""

    def __init__(self) -> None:
        self.calls: dict[str, dict[str, float]] = {}
        self._caller_legs: dict[str, str] = {}
        self._agent_legs: dict[str, str] = {}

    def empty(self) -> None:
        """Forget everything: what follows is to be measured."""
        self.calls.clear()
        self._caller_legs.clear()
        self._agent_legs.clear()

    def start(self) -> None:
        """Listen from now on to every edge of this process."""
        _over(SipStack, "receive", self._receive)
        _over(SipStack, "answer", self._answer)
        _over(CallRecords, "create", self._create)
        _over(MatchIndex, "offers", self._offers)
        _over(CallShell, "on_reserved", self._on_reserved)
        _over(Ringing, "ring", self._ring)
        for relay in (MediaEngine, DirectMedia):
            _over(relay, "offer_to_agent", self._offer)

    def _note(self, call: str, at: At) -> None:
        known = self.calls.get(call)
        if known is not None:
            known[at] = time.monotonic()

    def _receive(self, do: Plain, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it is
        read_s = time.monotonic()
        events = do(*args, **kwargs)
        for event in events:
            if isinstance(event, IncomingInvite):
                call = call_id_for(event.sip_call_id, event.from_tag)
                came_s = read_s - kwargs.get("age_s", 0.0)
                self.calls[call] = {At.CAME: came_s, At.READ: read_s}
                self._caller_legs[event.leg] = call
            elif isinstance(event, Progress):
                self._note(self._agent_legs.pop(event.leg, ""), At.RINGING)
        return events

    def _answer(self, do: Plain, stack: SipStack, leg: str, *args: Any) -> Any:  # noqa: ANN401
        done = do(stack, leg, *args)
        self._note(self._caller_legs.pop(leg, ""), At.ANSWERED)
        return done

    async def _create(self, do: Plain, records: Any, ticket: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        self._note(ticket.call, At.ASKED)
        done = await do(records, ticket, *args, **more)
        self._note(ticket.call, At.TICKET)
        return done

    def _offers(self, do: Plain, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        offers = do(*args, **kwargs)
        for offering in offers:
            self._note(offering.call, At.MATCHED)
        return offers

    def _on_reserved(self, do: Plain, call: CallShell, *args: Any) -> Any:  # noqa: ANN401
        self._note(call.id, At.RESERVED)
        return do(call, *args)

    async def _offer(self, do: Plain, relay: Any, call: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        told = await do(relay, call, *args, **more)
        self._note(call, At.OFFERED)
        return told

    def _ring(self, do: Plain, ringing: Any, ticket: Any, *args: Any) -> Any:  # noqa: ANN401
        rung = do(ringing, ticket, *args)
        if rung is not None:
            self._note(ticket.call, At.RUNG)
            self._agent_legs[rung.leg] = ticket.call
        return rung


def _over(owner: type, name: str, around: Callable[..., Any]) -> None:
    """Let a method go through `around`, which is given it before its own arguments."""
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes and returns
        return around(plain, *args, **kwargs)

    setattr(owner, name, timed)
