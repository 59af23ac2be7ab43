"""A caller: dials, keys digits, waits, talks, hangs up; dials again when cut off."""

from __future__ import annotations

from random import Random
from typing import Final

import gevent
from locust import User, between, task

from loadtests.load.exchange import PhonesError
from loadtests.load.people.around import Around, around, enter
from loadtests.load.telephones import Telephones, hear_next
from loadtests.load.telling import Told, row_without_phone, rows_of_caller

REDIALS: Final = 3
"""How often somebody who was cut off, or turned away, tries again."""
LONGEST_CALL_S: Final = 240.0
PATIENCE_S: Final = (4.0, 60.0)
TALK_S: Final = (2.0, 9.0)
KEYS_SHARE, HOLDS_SHARE = 0.4, 0.15
AGAIN_S: Final = 1.0
"""Until somebody without a telephone looks for one again."""
SILENCE_S: Final = 4.0
"""A caller who hears nothing at all for so long takes the line for dead."""


class Caller(User):
    """One person with a telephone, who calls again and again."""

    wait_time = between(0.3, 2.0)
    _here: Around

    def on_start(self) -> None:
        """Take a telephone."""
        self._here = around(self.environment)
        self._number = self._here.exchange.number()
        seed = f"{self._here.plan.request.seed}/{self._number}"
        self._dice = Random(seed)  # noqa: S311 - a repeatable load
        self._calls = 0

    @task
    def call(self) -> None:
        """Call once; again at once if the line goes dead or nobody takes the call."""
        for _ in range(1 + REDIALS):
            told = self._dial()
            if told is None or not (told.was_cut_off or told.was_turned_away):
                return

    def _dial(self) -> Told | None:
        self._calls += 1
        name = f"{self._number}/{self._calls}"
        try:
            return self._dial_by(self._here.exchange.at("callers"), name)
        except PhonesError as error:
            enter(self.environment, row_without_phone("a caller", str(error)))
            gevent.sleep(AGAIN_S)
            return None

    def _dial_by(self, phones: Telephones, name: str) -> Told | None:
        self._here.begin_call(name)
        try:
            inbox = phones.add("callers", self._plan(name), self._ended)
        except BaseException:
            # Also when Locust stops this user just now: what nobody places has no end.
            self._here.call_over(name)
            raise
        try:
            while (told := hear_next(inbox, LONGEST_CALL_S)) is not None:
                if told.event == "call":
                    return told
            return None
        finally:
            phones.forget(name)

    def _plan(self, name: str) -> dict[str, object]:
        plan, dice = self._here.plan, self._dice
        return {
            "id": name,
            "number": self._number,
            "carrier": plan.carrier,
            "did": plan.did,
            "headers": {"X-First-Site": dice.choice(plan.sites).id},
            "digits": "1" if dice.random() < KEYS_SHARE else "",
            "patience_s": dice.uniform(*PATIENCE_S),
            "talk_s": dice.uniform(*TALK_S),
            "hold_after_s": 1.0 if dice.random() < HOLDS_SHARE else None,
            "silence_s": SILENCE_S,
        }

    def _ended(self, told: Told) -> None:
        for row in rows_of_caller(told):
            enter(self.environment, row)
        self._here.call_over(told.phone)
