"""One caller, and what a Kamailio does for them: which edge is tried, and for how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from drills.prove import sip
from drills.prove.history import Answered, CallerOver, Placed, TurnedAway
from loadtests.bench.wire import Heard, uri_in
from state.keys import call_id_for
from state.model import CallId, SiteId

if TYPE_CHECKING:
    from drills.prove.people import World

FIRST_SILENCE_S, NEXT_SILENCE_S, RESEND_S, FROZEN_S = 0.5, 0.35, 0.2, 4.0
"""As in edge/kemi/calls.py."""
BYE_EVERY_S, BYE_FOR_S = 0.5, 8.0
OK, FAILURE, SERVER_FAILURE = 200, 300, 500


HAS_TIME = 0.15
"""Of the callers: so many stay long enough to be passed on."""


class _At(Enum):
    CALLING = auto()
    UP = auto()
    LEAVING = auto()
    OVER = auto()


class Caller:
    """From the INVITE to the end."""

    def __init__(  # noqa: PLR0913 - who calls whom, from where, and for which time
        self,
        *,
        world: World,
        site: SiteId,
        number: str,
        did: str,
        over: Callable[[Caller], None],
        before: Caller | None = None,
    ) -> None:
        """`before`: the call of theirs that came to nothing."""
        self._world = world
        self._way = world.ways[site]
        self.site = site
        self.number = number
        self.did = did
        self._over = over
        self.times: int = 1 if before is None else before.times + 1
        """How often they have dialled, with this."""
        self._again = None if before is None else before.call_id
        name = self._name = f"{number}.{self.times}"
        self.sip_call_id = f"{world.run}-{name}@198.18.11.10"
        self.call_id: CallId = call_id_for(self.sip_call_id, name)
        self._dialog = sip.Dialog(
            proxy=self._way.address,
            call_id=self.sip_call_id,
            local=f"<sip:{number}@198.18.11.10>;tag={name}",
            remote=f"<sip:{did}@everline>",
            target=f"sip:{did}@{self._way.address}",
        )
        self._at = _At.CALLING
        self._targets: list[str] = []
        self._target = ""
        self._silent: set[str] = set()
        self._tries = 0
        self._is_heard = False
        self._answers: dict[bytes, bytes] = {}
        self._is_talking = False
        self._talk_s = _talk_s(world.chance)
        roll = world.chance.random()
        self._patience_s = world.chance.uniform(0.05, 2.0) if roll < 0.06 else 25.0  # noqa: PLR2004

    # -- calling

    def call(self) -> None:
        """Send the INVITE."""
        self._world.note(
            Placed(
                at_s=self._world.now(),
                call=self.call_id,
                site=self.site,
                did=self.did,
                again=self._again,
            )
        )
        self._targets = self._way.targets(self.did, self.sip_call_id)
        self._world.later(self._patience_s, self.leave)
        self._next(FIRST_SILENCE_S)

    def _next(self, silence_s: float) -> None:
        if not self._targets:
            self._turned_away(503)
            return
        self._target = self._targets.pop(0)
        self._tries += 1
        self._is_heard = False
        attempt = self._tries
        self._send_invite(attempt)
        self._world.later(RESEND_S, lambda: self._send_invite(attempt))
        self._world.later(silence_s, lambda: self._silence(attempt, heard=False))
        self._world.later(FROZEN_S, lambda: self._silence(attempt, heard=True))

    def _send_invite(self, attempt: int) -> None:
        if self._at is _At.CALLING and attempt == self._tries and not self._is_heard:
            branch = f"{self.sip_call_id.partition('@')[0]}.{attempt}"
            self._send(sip.invite(self._dialog, self.number, self.site, branch))

    def _silence(self, attempt: int, *, heard: bool) -> None:
        if self._at is _At.CALLING and attempt == self._tries and self._is_heard is heard:
            self._way.was_silent(self._target)
            self._silent.add(self._target)
            self._next(NEXT_SILENCE_S)

    def _turned_away(self, status: int) -> None:
        note = TurnedAway(at_s=self._world.now(), call=self.call_id, status=status)
        self._world.note(note)
        self._close()

    # -- what the edge answers

    def take_response(self, heard: Heard, source: str) -> None:
        """Take a response of the edge at `source`."""
        if source in self._silent and heard.method == b"INVITE":
            return  # it woke up late; the proxy drops it
        if heard.method == b"BYE":
            if self._at is _At.LEAVING:
                self._ended(by_caller=True)
        elif heard.method == b"INVITE":
            self._invite_answered(heard, source)

    def _invite_answered(self, heard: Heard, source: str) -> None:
        if heard.status < OK:
            self._is_heard = True
            return
        if heard.status < FAILURE:
            self._dialog.remote = heard.first(b"to").decode()
            self._dialog.target = uri_in(heard.first(b"contact")).decode()
            self._send(sip.request(self._dialog, "ACK", f"{self._name}.ack"))
            if self._at is _At.CALLING:
                self._at = _At.UP
                self._target = source
                self._world.note(Answered(at_s=self._world.now(), call=self.call_id, edge=source))
        elif self._at is _At.CALLING and source == self._target:
            self._is_heard = True
            if heard.status >= SERVER_FAILURE:
                self._next(NEXT_SILENCE_S)
            else:
                self._turned_away(heard.status)

    # -- what the edge asks

    def take_request(self, heard: Heard, source: str) -> None:
        """Take a request of the edge at `source`."""
        if heard.start.startswith(b"ACK"):
            self._talk()
            return
        if heard.start.startswith(b"OPTIONS") and self._at is _At.OVER:
            self._way.send(heard.answer(sip.GONE), source)
            return
        key = heard.first(b"cseq")
        if key not in self._answers:
            contact = f"Contact: <sip:{self.number}@198.18.11.10:5060>\r\n".encode()
            self._answers[key] = sip.accepted(heard, contact)
        self._way.send(self._answers[key], source)
        if heard.start.startswith(b"BYE"):
            self._ended(by_caller=False)

    def _talk(self) -> None:
        if not self._is_talking and self._at is _At.UP:
            self._is_talking = True
            self._world.later(self._talk_s, self.leave)

    # -- the end

    @property
    def host(self) -> str:
        """Where the edge is that was tried last, or has answered."""
        return self._target.partition(":")[0]

    @property
    def has_talked(self) -> bool:
        """Whether an agent was joined to the caller."""
        return self._is_talking

    def waits_at(self, host: str) -> bool:
        """Tell whether the caller was answered by an edge of that host and has spoken to nobody."""
        return self._at is _At.UP and not self._is_talking and self.host == host

    def leave(self) -> None:
        """Hang up, if there is anything to hang up."""
        if self._at is not _At.UP:
            return
        self._at = _At.LEAVING
        self._dialog.cseq += 1
        self._goodbye(BYE_FOR_S)

    def _goodbye(self, for_s: float) -> None:
        if self._at is not _At.LEAVING:
            return
        if for_s <= 0:
            self._ended(by_caller=True)
            return
        self._send(sip.request(self._dialog, "BYE", f"{self._name}.bye"))
        self._world.later(BYE_EVERY_S, lambda: self._goodbye(for_s - BYE_EVERY_S))

    def _ended(self, *, by_caller: bool) -> None:
        if self._at in (_At.UP, _At.LEAVING):
            note = CallerOver(at_s=self._world.now(), call=self.call_id, by_caller=by_caller)
            self._world.note(note)
            self._close()

    def _close(self) -> None:
        if self._at is not _At.OVER:
            self._at = _At.OVER
            self._over(self)

    def _send(self, datagram: bytes) -> None:
        self._way.send(datagram, self._target)


def _talk_s(chance: random.Random) -> float:
    """Return after how long a caller has said everything."""
    return chance.uniform(1.0, 2.5) if chance.random() < HAS_TIME else chance.uniform(0.05, 0.6)
