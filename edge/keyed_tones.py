"""Keeps agents from callers of whom the site's recorder hears that they key tones.

The recorder says who does, each time that it changes. One that is away keeps nobody apart, and
none is kept apart for longer than a limit, whatever is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import structlog

from state.discreet import fault
from state.model import CallId

log = structlog.get_logger()

ASKED_S: Final = 20.0
RETRY_S: Final = 0.5
LONGEST_S: Final = 65.0
"""The recorder ends it after a minute; this is for one that does not."""


class KeyedTones:
    """Of the calls of one edge."""

    def __init__(
        self,
        *,
        ask: Callable[[int, float], Awaitable[Mapping[str, object]]],
        part: Callable[[CallId, bool], Awaitable[None]],
        apart: Callable[[], Mapping[CallId, bool]],
    ) -> None:
        """`ask` is answered when something is new since a number, or after some seconds.

        `part` keeps an agent from the caller, or no longer. `apart` tells of which calls that may
        be so now, also since a former life of this edge; True: it is.
        """
        self._ask = ask
        self._part = part
        self._apart = apart
        self._since_s: dict[CallId, float] = {}
        """Since when, on the event loop's clock, as far as this life knows."""
        self._given_up: set[CallId] = set()

    async def run(self) -> None:
        """Follow the recorder until cancelled."""
        seen, keying = 0, frozenset[CallId]()
        while True:
            try:
                answer = await self._ask(seen, RETRY_S if self._apart() or keying else ASKED_S)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                if apart := len(self._apart()):
                    log.warning("recorder_away", apart=apart, **fault(error))
                seen, keying = 0, frozenset()
            else:
                seen, keying = _read(answer)
            try:
                await self._follow(keying)
            except Exception as error:  # noqa: BLE001 - no fault in this may end an edge
                log.error("keyed_tones_fault", **fault(error))  # noqa: TRY400 - one line
            if not seen:
                await asyncio.sleep(RETRY_S)

    async def _follow(self, keying: AbstractSet[CallId]) -> None:
        now_s = asyncio.get_running_loop().time()
        apart = self._apart()
        self._since_s = {call: self._since_s.get(call, now_s) for call in apart}
        self._given_up &= keying
        for call in (keying & apart.keys()) - self._given_up:
            if now_s - self._since_s[call] >= LONGEST_S:
                log.warning("caller_apart_for_too_long", call=call)
                self._given_up.add(call)
        wanted = keying - self._given_up
        # Side by side: a relay that takes long over one call holds up no other. What it does not
        # take, and what another agent's coming has undone, is said again.
        await asyncio.gather(
            *(self._part(call, True) for call in wanted if not apart.get(call)),  # noqa: FBT003
            *(self._part(call, False) for call in apart.keys() - wanted),  # noqa: FBT003
        )


def _read(answer: Mapping[str, object]) -> tuple[int, frozenset[CallId]]:
    seen, calls = answer.get("seen"), answer.get("calls")
    if not isinstance(seen, int) or not isinstance(calls, list):
        return 0, frozenset()
    return seen, frozenset(CallId(each) for each in calls if isinstance(each, str))
