"""One SIP address of the phones: hands each event to the call or the question that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from edge.sip.endpoint import SipEndpoint
from edge.sip.events import (
    Address,
    Discarded,
    Event,
    IncomingInvite,
    LegId,
    ReferReceived,
    RequestReceived,
    ResponseReceived,
    TransactionId,
)
from edge.sip.stack import SipStack

T = TypeVar("T")

PRODUCT = "Everline phone"
_NOBODY_HERE = 480
_WE_DO_NOT = 603


class Line:
    """A UDP port that speaks SIP. Closing it cuts off whatever is still going on."""

    def __init__(self, host: str, *, user: str, port: int = 0) -> None:
        self.on_invite: Callable[[IncomingInvite], None] | None = None
        self._handlers: dict[LegId, Callable[[Event], None]] = {}
        self._questions: dict[TransactionId, asyncio.Future[ResponseReceived]] = {}
        self._endpoint = SipEndpoint.open(
            local=Address(host, port),
            product=PRODUCT,
            on_event=self._dispatch,
            contact_user=user,
        )
        self.user = user

    @property
    def host(self) -> str:
        """The local IP address."""
        return self._endpoint.local.host

    @property
    def contact(self) -> str:
        """Where this phone is reached."""
        return f"sip:{self.user}@{self._endpoint.local}"

    def do(self, command: Callable[[SipStack, float], T]) -> T:
        """Give the stack a command and send what comes of it; `LocalError` if it does not fit."""
        try:
            return command(self._endpoint.stack, self._endpoint.now())
        finally:
            self._endpoint.flush()

    async def ask(  # noqa: PLR0913 - a request has this many parts
        self,
        method: str,
        request_uri: str,
        aor: str,
        next_hop: Address,
        *,
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None,
        timeout_s: float,
    ) -> ResponseReceived:
        """Send a request outside any dialog and return its final response; 408 is our own too."""
        transaction = self.do(
            lambda stack, now: stack.request(
                method=method,
                request_uri=request_uri,
                from_uri=aor,
                to_uri=aor,
                next_hop=next_hop,
                now=now,
                headers=headers,
                credentials=credentials,
                timeout_s=timeout_s,
            )
        )
        future: asyncio.Future[ResponseReceived] = asyncio.get_running_loop().create_future()
        self._questions[transaction] = future
        try:
            return await future
        finally:
            del self._questions[transaction]

    def attach(self, leg: LegId, handler: Callable[[Event], None]) -> None:
        """Hand the events of `leg` to `handler`."""
        self._handlers[leg] = handler

    def detach(self, leg: LegId) -> None:
        """Hand them to nobody."""
        self._handlers.pop(leg, None)

    def legs(self) -> int:
        """Return how many legs the stack still has."""
        return self.do(lambda stack, _: stack.legs())

    def close(self) -> None:
        """Close the port."""
        self._endpoint.close()

    def _dispatch(self, event: Event) -> None:
        match event:
            case IncomingInvite():
                self._invited(event)
            case ResponseReceived():
                future = self._questions.get(event.transaction)
                if future is not None and not future.done():
                    future.set_result(event)
            case ReferReceived():
                transaction = event.transaction
                self.do(lambda stack, now: stack.refuse_refer(transaction, _WE_DO_NOT, now))
            case RequestReceived() | Discarded():
                pass
            case _:
                handler = self._handlers.get(event.leg)
                if handler is not None:
                    handler(event)

    def _invited(self, event: IncomingInvite) -> None:
        if self.on_invite is None:
            self.do(lambda stack, now: stack.reject(event.leg, _NOBODY_HERE, now))
        else:
            self.on_invite(event)
