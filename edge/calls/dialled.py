"""The legs of those who are being called back, until they answer or it is over.

Owns the INVITE; what becomes of the callback is `edge.calls.callbacks`' business.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from edge.acd.callback import DECLINED, NOT_REACHED
from edge.calls.beside import answer_early
from edge.calls.callback import Callback, Stage
from edge.calls.telephony import Telephony
from edge.media.errors import MediaError
from edge.media.relay import Relay
from edge.settings import Settings, address
from edge.sip import events as sip
from edge.sip.errors import LocalError
from edge.sip.events import Address, LegId
from state.snapshot import Snapshot

log = structlog.get_logger()

DIAL = "X-Everline-Dial"
_TIMER_B_S = 4.0
"""A trunk that says nothing for so long takes no call."""
_DECLINES = frozenset({603, 607})
_PENDING = 491


class DialledLegs:
    """Those of one edge."""

    def __init__(  # noqa: PLR0913  both sides of what it joins
        self,
        *,
        settings: Settings,
        sip: Telephony,
        media: Relay,
        snapshot: Callable[[], Snapshot],
        on_answer: Callable[[Callback, LegId, bytes], None],
        on_over: Callable[[Callback, str], None],
    ) -> None:
        self._settings = settings
        self._sip = sip
        self._media = media
        self._snapshot = snapshot
        self._on_answer = on_answer
        self._on_over = on_over
        self._of_leg: dict[LegId, Callback] = {}

    def __len__(self) -> int:
        """Count them, also those that are let go and whom nobody waits for."""
        return len(self._of_leg)

    def hand_over(self, leg: LegId) -> None:
        """Leave a leg to whoever holds the call from now on."""
        self._of_leg.pop(leg, None)

    async def dial(self, back: Callback) -> bool:
        """Call somebody back; False: they cannot be called."""
        site = self._snapshot().sites.get(self._settings.site)
        if site is None:
            return False
        try:
            back.offered = await self._media.offer_caller(back.id)
            if back.stage is not Stage.DIALLING:
                # Closed by another meanwhile: nobody would be there if the caller answered.
                await self._media.release(back.id)
                return True
            leg = self._sip.invite(
                request_uri=f"sip:{back.way.number}@{back.way.trunk.sip}",
                from_uri=f"sip:{back.ticket.did}@everline",
                to_uri=f"sip:{back.way.number}@{back.way.trunk.sip}",
                next_hop=Address(*address(site.value.sip)),
                sdp=back.offered,
                headers={DIAL: back.way.trunk.id, "X-Everline-Call": back.id},
                sip_call_id=back.ticket.sip_call_id,
                timer_b_s=_TIMER_B_S,
            )
        except (MediaError, LocalError, ValueError) as error:
            log.warning("callback_not_dialled", call=back.id, error=str(error))
            return False
        back.leg = leg
        self._of_leg[leg] = back
        loop = asyncio.get_running_loop()
        back.timer = loop.call_later(back.rules.ring_s, self._let_ring_no_longer, back)
        log.info("callback_dialled", call=back.id, trunk=back.way.trunk.id)
        return True

    def _let_ring_no_longer(self, back: Callback) -> None:
        if back.stage is Stage.DIALLING and back.leg is not None:
            self._sip.let_go(back.leg, reason='Q.850;cause=19;text="no_answer"')

    def take(self, event: sip.Event) -> bool:
        """Take what happens on a leg that is being dialled; tell whether it was one."""
        leg = getattr(event, "leg", None)
        back = self._of_leg.get(leg) if leg is not None else None
        if back is None or leg is None:
            return False
        match event:
            case sip.Answered(sdp=sdp) if back.stage is Stage.DIALLING:
                back.stage = Stage.ANSWERED
                self._on_answer(back, leg, sdp)
            case sip.Rejected(status=status):
                self._over(back, leg, DECLINED if status in _DECLINES else NOT_REACHED)
            case sip.Ended():
                self._over(back, leg, NOT_REACHED)
            case sip.OfferReceived(is_early=True):
                answer_early(self._sip, event)
            case sip.OfferReceived():
                # Before the relay has taken in their answer. They ask again (RFC 3261 §14.1).
                with contextlib.suppress(LocalError):
                    self._sip.refuse_offer(leg, _PENDING)
            case sip.ReferReceived(transaction=transaction):
                with contextlib.suppress(LocalError):
                    self._sip.refuse_refer(transaction, 403)
            case _:
                pass
        return True

    def _over(self, back: Callback, leg: LegId, cause: str) -> None:
        del self._of_leg[leg]
        back.leg = None
        if back.stage is not Stage.OVER:
            self._on_over(back, cause)
