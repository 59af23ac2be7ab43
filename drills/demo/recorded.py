"""Looks at what was recorded, at the sites that live: with the keys of another site alone.

And for what must not be there: a second of any call in the clear, in any file of the lab.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from custody import listening
from custody.errors import CustodyError, NoKeyError
from custody.frame import RATE_HZ, Frame
from custody.library import Library
from custody.manifest import Manifest
from drills.demo.hearing import Copies, Recorded, chords, patterns
from drills.demo.ledger import Row
from drills.lab import recorders
from drills.lab.lab import Lab
from state.model import MAIN, CallId, Outcome, SiteId

KEPT_WITHIN_S = 15.0
LOOK_EVERY_S = 0.1
_BIGGEST_BYTES = 256 * 1024 * 1024


class Listening:
    """What has been found so far."""

    def __init__(self, lab: Lab, dead: SiteId | None) -> None:
        self._lab = lab
        self._dead = dead
        self._alive = tuple(site for site in lab.plan.sites if site != dead)
        self._ends_s = asyncio.get_running_loop().time() + KEPT_WITHIN_S
        self._sounds: set[bytes] = set()
        self.sample: tuple[SiteId, CallId, bytes] | None = None
        """A recording, where it is, and how its WAV should begin."""

    async def listen(self, rows: Iterable[Row]) -> tuple[Recorded, ...]:
        """Open the recording of each answered call that a living site has served."""
        return tuple([await self._open(row) for row in rows if self._is_due(row)])

    async def listen_to_lost(self, rows: Iterable[Row]) -> tuple[Recorded, ...]:
        """Open what there is of calls that were cut off in talk, at once: nothing more comes."""
        self._ends_s = asyncio.get_running_loop().time()
        return tuple([await self._open(row) for row in rows if self._was_cut_off(row)])

    def _was_cut_off(self, row: Row) -> bool:
        return (
            row.by_people is Outcome.LOST
            and row.record is not None
            and row.record.site in self._alive
            and row.agent is not None
            and row.caller is not None
            and row.caller.joined_ms is not None
        )

    def _is_due(self, row: Row) -> bool:
        record = row.record
        return (
            record is not None
            and record.outcome is Outcome.ANSWERED
            and record.site in self._alive
            and row.agent is not None
            and row.caller is not None
        )

    async def _open(self, row: Row) -> Recorded:
        record, caller, agent = row.record, row.caller, row.agent
        if record is None or caller is None or agent is None:
            raise ValueError("nobody answered this call")
        other = next(site for site in self._lab.plan.sites if site != record.site)
        library = self._lab.library(record.site, keys_of=other)
        due_right = agent.sent or ""
        # A caller who echoes says what the agent says.
        due_left = due_right if caller.sent is None else caller.sent
        try:
            account = await self._kept(library, record.call)
            if account is None:
                return Recorded(call=record.call, fault="there is none")
            frames = await self._opened(library, account)
        except CustodyError as error:
            return Recorded(call=record.call, fault=str(error))
        self._sounds |= patterns(frames)
        if self.sample is None and frames:
            head = listening.wav_header(account.samples)
            self.sample = (record.site, record.call, head + listening.pcm(frames[0]))
        return Recorded(
            call=record.call,
            is_complete=account.is_complete,
            seconds=account.samples / RATE_HZ,
            gaps=tuple(
                f"{gap.start / RATE_HZ:.1f} to {gap.end / RATE_HZ:.1f} s: {gap.because}"
                for gap in account.gaps
            ),
            missing_s=sum(gap.end - gap.start for gap in account.gaps) / RATE_HZ,
            caller=chords(frames, 0),
            agent=chords(frames, 1),
            due_left=due_left,
            due_right=due_right,
            allowed=frozenset({due_left, due_right, *(each.sent or "" for each in row.earlier)}),
        )

    async def _kept(self, library: Library, call: CallId) -> Manifest | None:
        """Return the account of a recording, as soon as the store has it."""
        while True:
            try:
                return await library.manifest(MAIN, call)
            except FileNotFoundError:
                if asyncio.get_running_loop().time() > self._ends_s:
                    return None
            await asyncio.sleep(LOOK_EVERY_S)

    async def _opened(self, library: Library, account: Manifest) -> list[Frame]:
        """Open all of it, as soon as the site has the key: one that was just made comes later."""
        while True:
            try:
                return [frame async for frame in library.frames(account)]
            except NoKeyError:
                if asyncio.get_running_loop().time() > self._ends_s:
                    raise
            await asyncio.sleep(LOOK_EVERY_S)

    async def copies(self, rows: Iterable[Row], killed_ms: int) -> Copies:
        """Open at another living site what is there of other sites' recordings."""
        counted = self._counted()
        played = [call for call in counted if await self._is_elsewhere(call, self._dead)]
        due = [
            (row.record.call, row.record.site)
            for row in rows
            if self._is_due(row) and row.record is not None and row.record.ended_ms > killed_ms
        ]
        copied = [call for call, site in due if await self._is_elsewhere(call, site)]
        return Copies(counted=len(counted), played=len(played), due=len(due), copied=len(copied))

    def _counted(self) -> list[CallId]:
        """Return what the dead site had noted; a machine that is gone could not be asked."""
        if self._dead is None:
            return []
        return sorted(map(CallId, recorders.counted(self._lab.paths.of(self._dead), self._dead)))

    async def _is_elsewhere(self, call: CallId, own: SiteId | None) -> bool:
        """Tell whether a living site but `own` opens it with its own keys, sooner or later."""
        others = [site for site in self._alive if site != own]
        while True:
            for site in others:
                library = self._lab.library(site, keys_of=site)
                try:
                    account = await library.manifest(MAIN, call)
                    frames = [frame async for frame in library.frames(account)]
                except (FileNotFoundError, CustodyError):
                    continue
                if frames:
                    return True
            if asyncio.get_running_loop().time() > self._ends_s:
                return False
            await asyncio.sleep(LOOK_EVERY_S)

    async def plaintext(self) -> tuple[int, tuple[str, ...]]:
        """Return how many sounds were looked for, and the files in which one stands."""
        found = await asyncio.to_thread(_search, self._lab.paths.run, sorted(self._sounds))
        return len(self._sounds), found


def _search(run: Path, sounds: Sequence[bytes]) -> tuple[str, ...]:
    if not sounds:
        return ()
    either = re.compile(b"|".join(map(re.escape, sounds)))
    found = []
    for path in sorted(run.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < _BIGGEST_BYTES:
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if either.search(content):
                found.append(str(path.relative_to(run)))
    return tuple(found)
