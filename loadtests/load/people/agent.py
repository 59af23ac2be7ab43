"""An agent: signs in, registers, takes calls, holds, transfers, wraps up, pauses."""

from __future__ import annotations

import time
from random import Random
from typing import Any, Final

import gevent
from gevent.queue import Queue
from locust import between, task

from loadtests.load.exchange import PhonesError
from loadtests.load.people.api import GONE, Person
from loadtests.load.people.around import around, enter
from loadtests.load.plan import Agent as Seat
from loadtests.load.telephones import Telephones, hear_next
from loadtests.load.telling import (
    SIP,
    Row,
    Told,
    passed_on,
    row_of_transfer,
    row_without_phone,
    rows_of_agent,
)
from state.clock import SystemClock

LOOKS_S: Final = 1.0
REGISTERS_WITHIN_S: Final = 10.0
PAUSE_SHARE, WRAP_UP_SHARE = 0.08, 0.3
TRANSFER_SHARE: Final = 0.08
"""Of the calls: so many are passed on by telephone (REFER), and as many from the desktop."""
TO_QUEUE_SHARE: Final = 0.3
"""Of the transfers; the others are to a colleague."""
ASKS_FIRST_S: Final = (0.5, 2.0)
"""How long an agent talks before passing the caller on from the desktop."""
_OK: Final = 200
_CHANGING: Final = "changing"
"""Somebody else, as their edge, writes about this agent just now: ask again."""
PAUSE_S: Final = (1.0, 4.0)


class Agent(Person):
    """One agent at a desktop, with a telephone."""

    wait_time = between(0.0, 0.1)

    def on_start(self) -> None:
        """Take a seat, sign in, register, say that one is ready."""
        self._seat: Seat | None = None
        self._here = around(self.environment)
        self._here.await_work()
        self._seat = self._here.take_seat()
        if self._seat is None:
            return
        seat = self._seat
        self._dice = Random(f"{self._here.plan.request.seed}/{seat.id}")  # noqa: S311 - repeatable
        self._rung_s: dict[str, float] = {}
        self._calls: dict[str, str] = {}
        """By its SIP Call-ID: which call rings or talks."""
        self._wanted = ""
        self.begin(seat.id, seat.password, seat.site)
        self.listen(("calls", "agents"))
        self._inbox: Queue[Told | None] | None = None
        self._phones: Telephones | None = None
        self._pick_up(seat)

    def on_stop(self) -> None:
        """Sign out. The telephone stops with its worker."""
        if self._seat is not None:
            self._be("signed_out")
            self.end()
            self._here.leave_seat(self._seat)

    @task
    def work(self) -> None:
        """Take what comes next; now and then a break."""
        if self._seat is None:
            gevent.sleep(LOOKS_S)
            return
        if self._wanted:
            # No site could write it down, as while a leader is elected: people press again.
            self._be(self._wanted)
        told = self._hear(self._seat)
        match told:
            case Told(event="invite"):
                self._rung_s[told.call] = time.perf_counter()
                self._calls[told.sip_call_id] = told.call
            case Told(event="answered"):
                self._answered(told)
            case Told(event="transfer"):
                enter(self.environment, row_of_transfer(told))
            case Told(event="call"):
                self._ended(told)
            case _:
                pass  # nothing yet, or nothing that a person does something about

    def heard(self, event: dict[str, Any]) -> None:
        """Note how soon the desktop shows a call that rings."""
        data = event.get("data") or {}
        rang_s = self._rung_s.pop(str(event.get("id")), None)
        if event.get("topic") == "calls" and rang_s is not None and data:
            shown_ms = 1000 * (time.perf_counter() - rang_s)
            enter(self.environment, Row(kind="WS", name="call shown after ring", value_ms=shown_ms))

    def _hear(self, seat: Seat) -> Told | None:
        """Return the next line of the telephone; where that has died, get another."""
        if self._inbox is None:
            self._pick_up(seat)
            return None
        try:
            return hear_next(self._inbox, LOOKS_S)
        except PhonesError:
            # Its end is told by whoever starts the next, and its calls by their own.
            self._inbox = None
            return None

    def _pick_up(self, seat: Seat) -> None:
        """Get a telephone, register with it and say that one is ready; or try it again later."""
        try:
            self._phones = self._here.exchange.at(f"agents-{seat.site}")
            self._inbox = self._phones.add("agents", self._plan(seat), self._count)
            self._register(self._inbox)
            self._be("ready")
        except PhonesError as error:
            self._inbox = None
            enter(self.environment, row_without_phone("an agent", str(error)))
            gevent.sleep(LOOKS_S)

    def _register(self, inbox: Queue[Told | None]) -> None:
        began_s = time.perf_counter()
        fault = "not registered"
        while (told := hear_next(inbox, REGISTERS_WITHIN_S)) is not None:
            if told.event == "registered":
                fault = ""
                break
        took_ms = 1000 * (time.perf_counter() - began_s)
        enter(self.environment, Row(kind=SIP, name="register", value_ms=took_ms, fault=fault))

    def _answered(self, told: Told) -> None:
        """Look who it is; now and then pass them on. Who has hung up meanwhile stays nobody's."""
        self.ask("GET", "/v1/me/call")
        if self._dice.random() < TRANSFER_SHARE:
            gevent.sleep(self._dice.uniform(*ASKS_FIRST_S))
            call = self._calls.get(told.sip_call_id, "")
            path, name = f"/v1/calls/{call}/transfer", "/v1/calls/{call}/transfer"
            body, asked_ms = {"to": self._somebody_else()}, SystemClock().now().wall_ms
            status, *_ = self.ask("POST", path, name=name, body=body, fine={404, 409})
            if status == _OK and self._phones is not None:
                self._phones.note(passed_on(told, asked_ms))

    def _somebody_else(self) -> str:
        """Return a colleague, or the queue."""
        plan = self._here.plan
        others = [seat.id for seat in plan.agents if seat.id != self._agent]
        if not others or self._dice.random() < TO_QUEUE_SHARE:
            return plan.queue
        return self._dice.choice(others)

    def _count(self, told: Told) -> None:
        for row in rows_of_agent(told):
            enter(self.environment, row)

    def _ended(self, told: Told) -> None:
        self._rung_s.pop(told.call, None)
        self._calls.pop(told.sip_call_id, None)
        if told.answered_ms is None:
            return
        if self._dice.random() < WRAP_UP_SHARE:
            self._wrap_up()
        if self._dice.random() < PAUSE_SHARE:
            self._be("paused")
            gevent.sleep(self._dice.uniform(*PAUSE_S))
            self._be("ready")

    def _wrap_up(self) -> None:
        """Need longer for the notes; or be done sooner. Too late for either is no failure."""
        path = f"/v1/agents/{self._agent}/wrap-up"
        body = (
            {"do": "extend", "by_s": 1.0} if self._dice.random() < 0.5 else {"do": "finish"}  # noqa: PLR2004
        )
        self.ask("POST", path, name="/v1/agents/{agent}/wrap-up", body=body, fine={409})

    def _be(self, state: str) -> None:
        body = {"state": state, "reason": "load" if state == "paused" else ""}
        path = f"/v1/agents/{self._agent}/state"
        name = f"/v1/agents/{{agent}}/state: {state}"
        status, said, _ = self.ask("PUT", path, name=name, body=body)
        is_again = isinstance(said, dict) and said.get("error_id") == _CHANGING
        self._wanted = state if status == GONE or is_again else ""

    @property
    def _agent(self) -> str:
        return self._seat.id if self._seat is not None else ""

    def _plan(self, seat: Seat) -> dict[str, object]:
        plan = self._here.plan
        return {
            "id": seat.id,
            "password": seat.password,
            "registrar": plan.site(seat.site).sip,
            "answer_after_s": (0.2, 1.0),
            "talk_s": (6.0, 12.0),
            "hold_after_s": 1.5 if self._dice.random() < 0.3 else None,  # noqa: PLR2004
            "hold_s": 0.8,
            "silence_s": 3.0,
            "transfer": TRANSFER_SHARE,
            "transfer_to": f"sip:{self._somebody_else()}@everline",
        }
