"""Looks on at a drill through the control planes of all sites: what each of them saw, and when.

Each is asked once a second for how the sites stand. Its answer bears the time by its host's clock,
so that every question also bounds that clock (`drills.clocks`). They are asked with the word of
whoever runs the drill: what the policy does not let these see, nobody tells here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct

from drills import permits
from drills.clocks import Trip, bound_of, moved_ms
from drills.course import Note
from drills.ctl import client
from drills.ctl.account import Book
from drills.ctl.client import ProblemError
from drills.evidence import ClockBound
from drills.onlookers import PATH, SeenSites, changes
from state.clock import SystemClock
from state.codec import UNREADABLE
from state.model import SiteId

EVERY_S: Final = 1.0
ANSWER_S: Final = 2.0
LONG_ANSWER_S: Final = 10.0
"""For what takes a control plane a look at a whole day's calls."""
FRESH_S: Final = 270.0
"""A token lasts five minutes, and none is fetched anew while sites are broken: a refresh token
whose answer is lost on the way, and not asked for again within seconds, ends the session."""
SET_MS: Final = 50.0
"""A clock that has moved by less was slewed, as NTP does (0.5 ms a second), or has drifted."""
_OK: Final = 200
_REFUSALS: Final = frozenset({401, 403})
"""Each is in the audit log: who is refused does not ask on and on."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a control plane answered, between when and when by the runner's clock."""

    status: int
    body: bytes
    before_ms: float
    after_ms: float


Ask = Callable[[str], Awaitable[Answer]]
"""Takes an URL. Raises `aiohttp.ClientError` or `TimeoutError` where nobody answers."""


@dataclass
class _Plane:
    """The control plane of one site, as far as it has told of itself."""

    url: str
    trips: list[Trip] = field(default_factory=list)
    last: SeenSites | None = None
    why_not: str = ""
    """Why its last answer tells nothing, in words; empty: it does."""
    is_refused: bool = False


class Onlookers:
    """The control planes of all sites."""

    def __init__(
        self,
        apis: Mapping[SiteId, str],
        ask: Ask,
        now_ms: Callable[[], float],
        patient: Ask | None = None,
    ) -> None:
        """`now_ms` is the runner's clock, in milliseconds since 1970.

        `patient` waits longer for its answer; None: nobody does.
        """
        self.apis = apis
        self.ask = ask
        self.patient = patient or ask
        self._planes = {site: _Plane(url) for site, url in sorted(apis.items())}
        self._now_ms = now_ms
        self._notes: list[Note] = []

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look on until the block ends. No fault of this one ends what it looks on at."""
        tasks = [asyncio.create_task(self._look_on(site)) for site in self._planes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for found in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(found, Exception):
                    self._note("runner", f"nobody looked on any more: {type(found).__name__}")

    @property
    def notes(self) -> tuple[Note, ...]:
        """Return what was seen, each by the clock of who saw it."""
        return tuple(self._notes)

    def clocks(self) -> tuple[ClockBound, ...]:
        """Return between what each site's clock differs from the runner's, as far as it is told."""
        found = (bound_of(_who(site), plane.trips) for site, plane in self._planes.items())
        return tuple(each for each in found if each is not None)

    def findings(self) -> tuple[str, ...]:
        """Return what could not be told of clocks, and which of them were set."""
        found = []
        for site, plane in self._planes.items():
            if not plane.trips:
                why = plane.why_not or "was not asked"
                found.append(f"the clock of {site} is not bounded: its control plane {why}")
            elif (moved := moved_ms(plane.trips)) > SET_MS:
                by = f"{moved / 1000:.3g}"
                found.append(f"the clock of {site} was set meanwhile, by {by} s at least")
        return tuple(found)

    async def _look_on(self, site: SiteId) -> None:
        plane = self._planes[site]
        while not plane.is_refused:
            await self._look(site, plane)
            await asyncio.sleep(EVERY_S)

    async def _look(self, site: SiteId, plane: _Plane) -> None:
        why, seen = "", None
        try:
            answer = await self.ask(plane.url + PATH)
            plane.is_refused = answer.status in _REFUSALS
            if answer.status == _OK:
                seen = msgspec.json.decode(answer.body, type=SeenSites)
                plane.trips.append(
                    Trip(
                        before_ms=answer.before_ms,
                        after_ms=answer.after_ms,
                        theirs_ms=seen.at_ms,
                    )
                )
            else:
                why = f"answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError):
            why = "does not answer"
        except UNREADABLE:
            why = "answers what cannot be read"
        if why != plane.why_not:
            self._note("runner", f"the control plane of {site} {why or 'answers again'}")
        plane.why_not = why
        if seen is not None:
            for what in () if plane.last is None else changes(plane.last, seen):
                self._notes.append(Note(at_ms=seen.at_ms, who=_who(site), what=what))
            plane.last = seen

    def _note(self, who: str, what: str) -> None:
        self._notes.append(Note(at_ms=round(self._now_ms()), who=who, what=what))


def _who(site: SiteId) -> str:
    return f"{site} control plane"


@asynccontextmanager
async def signed_in(
    apis: Mapping[SiteId, str], book: Book | None = None
) -> AsyncIterator[Onlookers]:
    """Give the control planes of these sites, for whoever is signed in at one of them.

    Raise `CommandError` where nobody is.
    """
    async with permits.signed_in(apis.values(), book) as api:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ProblemError):
            await api.refresh(if_before_s=SystemClock().now().wall_ms / 1000 + FRESH_S)
        account = api.account
        headers = {"Authorization": f"Bearer {account.access_token}"}
        async with client.session(account.ca) as http:

            async def ask(url: str, within_s: float = ANSWER_S) -> Answer:
                timeout = aiohttp.ClientTimeout(total=within_s)
                before_ms = precise_ms()
                async with http.get(url, headers=headers, timeout=timeout) as reply:
                    after_ms = precise_ms()
                    return Answer(
                        status=reply.status,
                        body=await reply.read(),
                        before_ms=before_ms,
                        after_ms=after_ms,
                    )

            yield Onlookers(apis, ask, precise_ms, partial(ask, within_s=LONG_ANSWER_S))


def precise_ms() -> float:
    """Return the time by this host's clock, in milliseconds since 1970, with fractions."""
    return time.clock_gettime(time.CLOCK_REALTIME) * 1000
