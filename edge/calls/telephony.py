"""The SIP commands that the edge uses: the stack's, with the time filled in, sent at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from edge.sip.dialog import Dialog
from edge.sip.endpoint import SipEndpoint
from edge.sip.errors import LocalError
from edge.sip.events import Address, LegId, TransactionId


class Telephony:
    """One SIP endpoint. Every command raises `LocalError` when the leg's state forbids it."""

    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint
        self._stack = endpoint.stack

    @property
    def legs(self) -> int:
        """How many legs are not over."""
        return self._stack.legs()

    @property
    def transactions(self) -> int:
        """How many transactions have not been forgotten yet."""
        return self._stack.transactions()

    def dialog(self, leg: LegId) -> Dialog:
        """Return the dialog of an established leg, to be written down."""
        return self._stack.dialog(leg)

    def told(self, leg: LegId) -> bytes | None:
        """Return the session description that its other side was told last; None: nobody knows."""
        return self._stack.told(leg)

    def adopt(self, dialog: Dialog, told: bytes | None = None) -> LegId:
        """Go on with a dialog that was written down; `told`: what its other side was told last."""
        leg = self._stack.adopt(dialog, self._endpoint.now(), sdp=told)
        self._endpoint.flush()
        return leg

    def answer(self, leg: LegId, sdp: bytes) -> None:
        """Answer an INVITE with 200."""
        self._stack.answer(leg, sdp, self._endpoint.now())
        self._endpoint.flush()

    def progress(self, leg: LegId, status: int) -> None:
        """Say that it rings."""
        self._stack.progress(leg, status, self._endpoint.now())
        self._endpoint.flush()

    def reject(
        self, leg: LegId, status: int, *, reason: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer an INVITE with a failure."""
        self._stack.reject(leg, status, self._endpoint.now(), reason=reason, headers=headers)
        self._endpoint.flush()

    def invite(  # noqa: PLR0913 - what an INVITE is made of
        self,
        *,
        request_uri: str,
        from_uri: str,
        to_uri: str,
        next_hop: Address,
        sdp: bytes,
        headers: Mapping[str, str],
        sip_call_id: str,
        timer_b_s: float,
    ) -> LegId:
        """Send an INVITE and return its leg."""
        leg = self._stack.invite(
            request_uri=request_uri,
            from_uri=from_uri,
            to_uri=to_uri,
            next_hop=next_hop,
            sdp=sdp,
            now=self._endpoint.now(),
            headers=headers,
            sip_call_id=sip_call_id,
            timer_b_s=timer_b_s,
        )
        self._endpoint.flush()
        return leg

    def cancel(self, leg: LegId, *, reason: str) -> None:
        """Give up an INVITE of ours."""
        self._stack.cancel(leg, self._endpoint.now(), reason=reason)
        self._endpoint.flush()

    def bye(self, leg: LegId, *, reason: str) -> None:
        """End an answered leg."""
        self._stack.bye(leg, self._endpoint.now(), reason=reason)
        self._endpoint.flush()

    def leave(self, leg: LegId, *, reason: str) -> None:
        """Forget a leg whose 200 was never acknowledged: the caller has another's.

        One that is acknowledged, of which the stack has not told yet, is hung up.
        """
        try:
            self._stack.leave(leg, self._endpoint.now())
        except LocalError:
            self.bye(leg, reason=reason)
        self._endpoint.flush()

    def answer_goodbye(self, goodbye: TransactionId) -> None:
        """Answer the BYE that has ended a leg; one that has been answered is left alone."""
        self._stack.answer_goodbye(goodbye, self._endpoint.now())
        self._endpoint.flush()

    def answer_goodbyes_of(self, sip_call_ids: Iterable[str]) -> None:
        """Answer also BYEs in dialogs of which nothing is left but that they have ended."""
        self._stack.answer_goodbyes_of(sip_call_ids)

    def let_go(self, leg: LegId, *, reason: str) -> None:
        """End a leg in whichever way its state allows; one that is over is left alone."""
        with contextlib.suppress(LocalError):
            self.bye(leg, reason=reason)
            return
        with contextlib.suppress(LocalError):
            self.cancel(leg, reason=reason)
            return
        with contextlib.suppress(LocalError):
            self.reject(leg, 500)

    def reinvite(self, leg: LegId, sdp: bytes) -> None:
        """Offer a changed session."""
        self._stack.reinvite(leg, sdp, self._endpoint.now())
        self._endpoint.flush()

    def answer_offer(self, leg: LegId, sdp: bytes) -> None:
        """Answer a re-INVITE or UPDATE."""
        self._stack.answer_offer(leg, sdp, self._endpoint.now())
        self._endpoint.flush()

    def refuse_offer(self, leg: LegId, status: int) -> None:
        """Refuse a re-INVITE or UPDATE."""
        self._stack.refuse_offer(leg, status, self._endpoint.now())
        self._endpoint.flush()

    def accept_refer(self, transaction: TransactionId) -> bool:
        """Accept a REFER; False: they want to hear no more of it."""
        wants_more = self._stack.accept_refer(transaction, self._endpoint.now())
        self._endpoint.flush()
        return wants_more

    def notify_refer(self, leg: LegId, status: int, *, final: bool) -> None:
        """Say how an accepted REFER gets on."""
        self._stack.notify_refer(leg, status, self._endpoint.now(), final=final)
        self._endpoint.flush()

    def refuse_refer(self, transaction: TransactionId, status: int, reason: str = "") -> None:
        """Refuse a REFER."""
        self._stack.refuse_refer(transaction, status, self._endpoint.now(), reason=reason)
        self._endpoint.flush()

    def ask(self, leg: LegId) -> None:
        """Ask whether they are still there; the leg ends if they say no."""
        self._stack.ask(leg, self._endpoint.now())
        self._endpoint.flush()

    def options(self, *, to: Address, from_user: str, timeout_s: float) -> TransactionId:
        """Ask whoever is at `to` whether it is there; a `ResponseReceived` follows."""
        transaction = self._stack.request(
            method="OPTIONS",
            request_uri=f"sip:{to}",
            from_uri=f"sip:{from_user}@everline",
            to_uri=f"sip:{to}",
            next_hop=to,
            now=self._endpoint.now(),
            timeout_s=timeout_s,
        )
        self._endpoint.flush()
        return transaction
