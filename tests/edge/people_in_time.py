"""People in virtual time: what they mean to do, and their real telephones, which do it."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from edge.phone.agent import Agent
from edge.phone.call import Call
from edge.phone.caller import Caller
from tests.edge.one_edge import SALES

PATIENCE_S: Final = 40.0
SOONEST_S: Final = 0.1
"""Nobody puts a telephone down sooner that they have just lifted."""


class Calls(Struct, frozen=True, kw_only=True):
    """What a caller means to do; seconds from the first call, where not from their own."""

    at_s: float = 0.0
    edge: str = "a1"
    number: str = SALES
    patience_s: float = PATIENCE_S
    talk_s: float = 28.0
    hold_after_s: float | None = None
    leaves_s: float | None = None
    """When they hang up, whatever there is; counted from the first call."""


class Serves(Struct, frozen=True, kw_only=True):
    """What an agent means to do."""

    name: str
    site: str = "a"
    answers_s: float = 0.4
    talk_s: float = 7.0
    declines: bool = False
    passes_on_to: str = ""
    """Half-way through each talk."""
    leaves_s: float | None = None


class Breaks(Struct, frozen=True, kw_only=True):
    """What is broken, for how long."""

    what: str
    """`edge`, `site`, `relay`, `trunk`, `link` (between sites), `line` (an agent's) or `store`."""
    which: str
    at_s: float
    for_s: float
    relay_later_s: float = 0.0
    """Of a site that is back: how much later the relay is than its edges."""


class Plan(Struct, frozen=True, kw_only=True):
    """Everything."""

    callers: tuple[Calls, ...]
    agents: tuple[Serves, ...]
    breaks: tuple[Breaks, ...] = ()


class LeavingCaller(Caller):
    """Hangs up at an instant, too."""

    leaves_s: float | None = None

    async def _behave(self, call: Call) -> str:
        leaves = _leaving(call, self.leaves_s)
        cause = await super()._behave(call)
        leaves.cancel()
        call._stopped = False  # noqa: SLF001 - they leave by themselves, and wait for the answer
        return cause


class LeavingAgent(Agent):
    """Likewise."""

    leaves_s: float | None = None
    _leaves: asyncio.TimerHandle | None = None

    async def _talk(self, call: Call, talk_s: float) -> None:
        lifted_s = asyncio.get_running_loop().time()
        is_to_come = self.leaves_s is not None and self.leaves_s > lifted_s
        at_s = max(self.leaves_s or 0.0, lifted_s + SOONEST_S) if is_to_come else None
        self._leaves = _leaving(call, at_s)
        await super()._talk(call, talk_s)

    def _put_down(self, call: Call) -> None:
        if self._leaves is not None:
            self._leaves.cancel()
        call._stopped = False  # noqa: SLF001 - as above
        super()._put_down(call)


def _leaving(call: Call, at_s: float | None) -> asyncio.TimerHandle:
    """Let somebody hang up at an instant, if it is still to come."""
    loop = asyncio.get_running_loop()
    timer = loop.call_at(at_s or 0.0, call.stop)
    if at_s is None or at_s < loop.time():
        timer.cancel()
    return timer
