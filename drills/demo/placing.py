"""Places test calls into a lab that is up: a caller behind the carrier, one program for each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import msgspec

from drills.demo.people import CALLERS, PHONE
from drills.demo.programs import Program, Task
from drills.desk.asks import PlaceAsk
from drills.desk.errors import RefusedError
from drills.lab.lab import PROJECT, Lab

LONGEST_TALK_S = 3600.0
_NUMBER = re.compile(r"\+?[0-9]{1,20}")


class TestCalls:
    """Places one call for each who asks."""

    __test__ = False  # for pytest

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._numbers = itertools.count(1)

    async def __call__(self, ask: PlaceAsk, tell: Callable[[bytes], None]) -> None:
        """Place it, and pass on what its phone says; cancelled, hang up."""
        check(ask, self._lab.plan.sites)
        program = await Program.start(self._task(ask), tell)
        try:
            await program.ended()
        finally:
            await program.stop()

    def _task(self, ask: PlaceAsk) -> Task:
        lab, number = self._lab, f"1555029{next(self._numbers):04d}"
        caller = {
            "id": number,
            "number": number,
            "carrier": f"{lab.addresses['carrier']}:5060",
            "did": ask.did,
            "headers": {"X-First-Site": ask.first},
            "talk_s": ask.talk_s,
        }
        return Task(
            name="test call",
            host=CALLERS,
            argv=(*PHONE, "--host", lab.addresses[CALLERS]),
            cwd=PROJECT,
            log=lab.paths.run / "log" / f"test-call-{number}.log",
            stdin=msgspec.json.encode({"callers": [caller]}) + b"\n",
        )


def check(ask: PlaceAsk, sites: tuple[str, ...]) -> None:
    """Raise RefusedError for what nobody can dial."""
    if _NUMBER.fullmatch(ask.did) is None:
        raise RefusedError(f"{ask.did[:40]!r} is no number to dial: use digits")
    if ask.first not in sites:
        raise RefusedError(f"there is no site {ask.first[:40]!r}; there are {', '.join(sites)}")
    if not 0 < ask.talk_s <= LONGEST_TALK_S:
        raise RefusedError(f"talk for up to {LONGEST_TALK_S:.0f} s, not {ask.talk_s:g}")


async def no_test_calls(_ask: PlaceAsk, _tell: Callable[[bytes], None]) -> None:
    """Refuse: a demo counts its callers."""
    raise RefusedError("the demo counts its own callers; for test calls use ./everline up")
