"""Whose time has come: what is due is given to the part that waits for it.

As `receiver` does with what comes off the wire.
"""

from __future__ import annotations

from edge.sip.asking import Asking
from edge.sip.core import Core
from edge.sip.goodbye import Goodbyes, Held
from edge.sip.leg import Leg, LegTimer
from edge.sip.overtaking import Early, Overtaking
from edge.sip.own_offers import OwnOffers
from edge.sip.transaction import Transaction
from edge.sip.uac import Uac
from edge.sip.uas import Uas


class Alarms:
    """One stack's."""

    def __init__(  # noqa: PLR0913 - it hands on to every part that waits
        self,
        core: Core,
        *,
        uas: Uas,
        uac: Uac,
        own_offers: OwnOffers,
        asking: Asking,
        goodbyes: Goodbyes,
        overtaking: Overtaking,
    ) -> None:
        self._core = core
        self._goodbyes = goodbyes
        self._overtaking = overtaking
        self._on_timer = dict.fromkeys(LegTimer, uas.fire) | {
            LegTimer.TRYING: uas.say_trying,
            LegTimer.LEFT: uas.left,
            LegTimer.CANCEL_LOST: uac.fire,
            LegTimer.SESSION: own_offers.fire,
            LegTimer.RETRY_OFFER: own_offers.fire,
            LegTimer.TERMINATED: own_offers.fire,
            LegTimer.ASK_AGAIN: asking.fire,
            LegTimer.GONE: asking.fire,
        }

    def fire(self) -> None:
        """Give whatever is due by the core's `now` its turn."""
        core = self._core
        while (owner := core.timers.pop_due(core.now)) is not None:
            if isinstance(owner, Transaction):
                core.transactions.fire(owner, core.now)
            elif isinstance(owner, Leg):
                self._fire_leg(owner)
            elif isinstance(owner, Held):
                self._goodbyes.fire(owner)
            elif isinstance(owner, Early):
                self._overtaking.fire(owner)

    def _fire_leg(self, leg: Leg) -> None:
        core = self._core
        for timer in [timer for timer, when in leg.timers.items() if when <= core.now]:
            if timer in leg.timers:
                core.clear_timer(leg, timer)
                self._on_timer[timer](leg, timer)
        core.timers.schedule(leg)
