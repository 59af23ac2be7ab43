"""How much of a site's recordings no other site is known to have: what its death would cost.

A recording is under way, then in the spool, then in the store, until it is counted as copied. Where
it is in two of these, which is so for a moment each time, it counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from custody.frame import RATE_HZ
from edge.recorder.folder import closed_samples, folders, is_over, read_facts

LATE_S: Final = 60.0
"""A copy is made within seconds; one that has not been for so long is no matter of chance."""


class Count(Struct, frozen=True, kw_only=True):
    """What no other site is known to have."""

    recordings: int
    """Of calls that are over."""
    recorded_s: int
    under_way: int
    under_way_s: int
    is_late: bool
    """Whether one of a call that is over has waited for longer than `LATE_S`, since a start of
    this process at most."""


class Backlog:
    """One site's."""

    def __init__(self, spool: Path, kept: Callable[[], Mapping[str, int]]) -> None:
        """`kept`: what the store has and no other site, by call: how long, in samples."""
        self._spool = spool
        self._kept = kept
        self._spooled: dict[str, int] = {}
        """Those in the spool to which nothing will be added."""
        self._since_s: dict[str, float] = {}

    async def count(self, under_way: Mapping[str, int], now_s: float) -> Count:
        """Count; `under_way`: calls that are being recorded, and for how many samples so far."""
        spooled = await asyncio.to_thread(self._in_spool, frozenset(under_way))
        over = {
            call: samples
            for call, samples in {**spooled, **self._kept()}.items()
            if call not in under_way
        }
        self._since_s = {call: self._since_s.get(call, now_s) for call in over}
        return Count(
            recordings=len(over),
            recorded_s=round(sum(over.values()) / RATE_HZ),
            under_way=len(under_way),
            under_way_s=round(sum(under_way.values()) / RATE_HZ),
            is_late=any(now_s - since_s > LATE_S for since_s in self._since_s.values()),
        )

    def _in_spool(self, under_way: frozenset[str]) -> Mapping[str, int]:
        found, whole = {}, {}
        for folder in folders(self._spool):
            call = folder.name
            if call in under_way or not folder.is_dir():
                continue
            samples = self._spooled.get(call)
            if samples is None:
                if read_facts(folder) is None:
                    continue
                samples = closed_samples(folder)
            if is_over(folder):
                whole[call] = samples
            found[call] = samples
        self._spooled = whole
        return found
