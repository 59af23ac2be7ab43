"""Which SIP leg belongs to which call, and the way of what happens on it.

Decides nothing about a call; how one begins is `edge.calls.switchboard`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from edge.acd import call_events as ev
from edge.acd.call_events import Attempt, By, Side
from edge.call_recorder import CallRecorder
from edge.calls.beside import answer_beside, answer_early
from edge.calls.call import CallShell
from edge.calls.leg_news import of_agent, of_caller
from edge.calls.telephony import Telephony
from edge.media.plan import AGENT, CALLER
from edge.sip import events as sip
from edge.sip.errors import LocalError
from edge.sip.events import LegId
from edge.sip.keys import key_of
from state.model import CallId, SiteId

Listener = Callable[[sip.Event], None]


class Lines(Protocol):
    """What watches the lines of those who talk; attempt None: the caller's."""

    def take(self, call: CallId, attempt: Attempt | None, *, is_there: bool) -> None:
        """Take in whether a telephone has answered when it was asked if it is there."""
        ...

    def is_missing(self, call: CallId, attempt: Attempt | None) -> bool:
        """Tell whether somebody is silent who should be heard, and does not answer."""
        ...


class Role(Struct, frozen=True):
    """Whose leg it is."""

    call: CallId
    attempt: Attempt | None
    """None: the caller's."""


class Roles:
    """Those of all legs."""

    def __init__(
        self,
        *,
        sip: Telephony,
        recorder: CallRecorder,
        call: Callable[[CallId], CallShell | None],
        is_claimed: Callable[[CallId], bool],
        unsettled: Callable[[], frozenset[SiteId]],
    ) -> None:
        """`call` returns one that is held here; `is_claimed` tells if another edge claims it.

        `unsettled` returns the sites that cannot be reached from this one, or could not lately.
        """
        self._is_claimed = is_claimed
        self._unsettled = unsettled
        self._sip = sip
        self._recorder = recorder
        self._call = call
        self._roles: dict[LegId, Role] = {}
        self._legs_of: dict[CallId, list[LegId]] = {}
        self._listeners: dict[LegId, Listener] = {}
        """Who hears of legs that are no part of a call."""
        self.lines: Lines | None = None
        """Who watches lines, if anybody does."""

    def own(self, leg: LegId, call: CallId, attempt: Attempt | None) -> None:
        """Take in whose leg it is; attempt None: the caller's."""
        self._roles[leg] = Role(call, attempt)
        self._legs_of.setdefault(call, []).append(leg)

    def forget(self, call: CallId) -> None:
        """Forget the legs of a call that is over."""
        for leg in self._legs_of.pop(call, ()):
            self._roles.pop(leg, None)

    def listen(self, leg: LegId, told: Listener | None) -> None:
        """Have somebody told what happens on a leg that is no part of a call; None: nobody."""
        if told is None:
            self._listeners.pop(leg, None)
        else:
            self._listeners[leg] = told

    def by_way_of(self, site: SiteId) -> Sequence[LegId]:
        """Return the legs of calls that go by a site's Kamailio."""
        return [
            leg
            for leg, role in self._roles.items()
            if (call := self._call(role.call)) is not None and call.way_of(role.attempt) == site
        ]

    def hand_on(self, event: sip.Event) -> None:
        """Give an event to the call whose leg it is of, or to who listens; else to nobody."""
        leg = getattr(event, "leg", None)
        if leg is not None and (listener := self._listeners.get(leg)) is not None:
            if isinstance(event, sip.Ended | sip.Rejected | sip.Cancelled):
                self._listeners.pop(leg)
            listener(event)
            self._see_off(event, None)
            return
        role = self._roles.get(leg) if leg is not None else None
        if leg is None or role is None:
            return
        call = self._call(role.call)
        if isinstance(event, sip.Ended | sip.Rejected | sip.Cancelled):
            self._roles.pop(leg)
        if call is None:
            self._see_off(event, None)
            return
        if isinstance(event, sip.OfferReceived) and self._answers_beside(event, role, call):
            return
        if isinstance(event, sip.OfferWithdrawn):
            call.sound.withdraw_offer(_side(role))
            return
        told = self._told(event, role, call)
        if told is not None:
            call.deliver(told)
            self._see_off(event, call)
        else:
            self._hand_on_beside(event, role, call)

    def _told(self, event: sip.Event, role: Role, call: CallShell) -> ev.Event | None:
        """Return what it is to the call, and at an end what others know of it; None: nothing."""
        told = of_caller(event) if role.attempt is None else of_agent(event, role.attempt)
        if not isinstance(told, ev.CallerEnded | ev.AgentEnded):
            return told
        if told.by is By.THEM and self._is_missing(role, call):
            told = replace(told, by=By.FAULT, cause=f"{_side(role)}_silent")
        # Asked of who was not reached alone: of all others it tells nothing.
        is_out_of_reach = told.by is By.UNHEARD and call.way_of(role.attempt) in self._unsettled()
        if isinstance(told, ev.AgentEnded):
            return replace(told, is_out_of_reach=is_out_of_reach)
        is_claimed = self._is_claimed(role.call)
        return replace(told, is_out_of_reach=is_out_of_reach, is_claimed=is_claimed)

    def _is_missing(self, role: Role, call: CallShell) -> bool:
        """Tell whether who hangs up in a talk has heard nobody: their line was dead until now."""
        if self.lines is None or call.talks_to is None:
            return False
        return self.lines.is_missing(role.call, role.attempt)

    def _hand_on_beside(self, event: sip.Event, role: Role, call: CallShell) -> None:
        """Give on what is no step of the call itself."""
        if isinstance(event, sip.Doubted):
            call.doubt(of_caller=role.attempt is None)
        elif isinstance(event, sip.WasAsked):
            if self.lines is not None:
                self.lines.take(role.call, role.attempt, is_there=event.is_there)
        elif isinstance(event, sip.ReferReceived):
            with contextlib.suppress(LocalError):
                call.refer(event, role.attempt)
        elif isinstance(event, sip.InfoReceived) and role.attempt in (None, call.attempt):
            self._take_key(event, role)

    def _see_off(self, event: sip.Event, call: CallShell | None) -> None:
        """Answer who has hung up; if that ends a call, once its end is written down.

        Until then a fault may still cut the call off, and nobody would know better.
        """
        if not isinstance(event, sip.Ended) or event.goodbye is None:
            return
        if call is not None and call.keeps_goodbyes:
            call.keep_goodbye(event.goodbye)
        else:
            self._sip.answer_goodbye(event.goodbye)

    def _take_key(self, event: sip.InfoReceived, role: Role) -> None:
        """Tell the recorder, and nobody else: what one party keys is not the other's to hear."""
        key = key_of(event.content_type, event.body)
        if key is not None:
            party = CALLER if role.attempt is None else AGENT
            self._recorder.key(role.call, party, key)

    def _answers_beside(self, event: sip.OfferReceived, role: Role, call: CallShell) -> bool:
        """Answer the offer of an agent who is not in the talk, yet or any more."""
        if role.attempt is None:
            return False
        if event.is_early:
            answer_early(self._sip, event)
            return True
        if call.has_passed_on(role.attempt):
            answer_beside(self._sip, event.leg, event.sdp)
            return True
        if role.attempt == call.attempt:
            return False
        with contextlib.suppress(LocalError):
            self._sip.refuse_offer(event.leg, 488)
        return True


def _side(role: Role) -> Side:
    return Side.CALLER if role.attempt is None else Side.AGENT
