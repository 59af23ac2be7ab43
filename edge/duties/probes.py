"""Asks every site's Kamailio over SIP, once a second, whether it is there.

Owns this edge's private opinion of the sites. An opinion may only remove candidates: a site that
this edge cannot reach is no use to this edge, whatever others say of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.calls.telephony import Telephony
from edge.settings import address
from edge.sip.errors import LocalError
from edge.sip.events import Address, ResponseReceived, TransactionId
from state.model import EdgeId, Probe, Site, SiteId

log = structlog.get_logger()

PERIOD_S = 1.0
TIMEOUT_S = 0.9
MISSES = 2
SETTLED = 10
"""So often a site has to have answered, a second each, before it counts that its audio is lost. One
that comes back answers before its edges send anything, and the media probes tell of some seconds
before: two sites that came back together made the one that had served alone gray. Until then it is
said that nobody knows, so that its sisters speak for an edge that has just begun."""


class Health(Struct, frozen=True):
    """What the probes of one site have shown."""

    misses: int = 0
    heard: bool = False
    """Whether it ever answered: a site that has not come up yet is down too."""
    answers: int = 0
    """Since it was down last; no more than `SETTLED`."""

    @property
    def is_down(self) -> bool:
        """Two misses in a row."""
        return self.misses >= MISSES

    @property
    def is_settled(self) -> bool:
        """Whether it has been there for a while."""
        return self.answers >= SETTLED

    def after(self, *, answered: bool) -> Health:
        """Return the health after one more probe."""
        if answered:
            return Health(misses=0, heard=True, answers=min(self.answers + 1, SETTLED))
        missed = replace(self, misses=min(self.misses + 1, MISSES))
        return replace(missed, answers=0) if missed.is_down else missed


class Prober:
    """Sends the probes and keeps the opinion."""

    def __init__(
        self,
        *,
        edge: EdgeId,
        sip: Telephony,
        on_change: Callable[[Probe], None],
        on_back: Callable[[SiteId], None] = lambda _: None,
    ) -> None:
        """`on_change` is called when a site goes down or up, `on_back` when one is up again."""
        self._edge = edge
        self._sip = sip
        self._on_change = on_change
        self._on_back = on_back
        self._health: dict[SiteId, Health] = {}
        self._asked: dict[TransactionId, SiteId] = {}
        self._lossy: frozenset[SiteId] = frozenset()

    @property
    def unreachable(self) -> frozenset[SiteId]:
        """The sites that this edge takes for down."""
        return frozenset(site for site, health in self._health.items() if health.is_down)

    @property
    def unsettled(self) -> frozenset[SiteId]:
        """Those, and the ones that were down until lately: what was said then may be lost."""
        return frozenset(site for site, health in self._health.items() if not health.is_settled)

    async def run(self, sites: Callable[[], Mapping[SiteId, Site]]) -> None:
        """Probe what `sites` returns, until cancelled."""
        while True:
            known = sites()
            for gone in self._health.keys() - known.keys():
                del self._health[gone]
            for site in known.values():
                self._ask(site)
            await asyncio.sleep(PERIOD_S)

    def take(self, event: ResponseReceived) -> bool:
        """Take the response if it is to one of our probes."""
        site = self._asked.pop(event.transaction, None)
        if site is None:
            return False
        # Any answer but our own time-out shows a Kamailio that works. One that drains says 503 to
        # keep calls away, which steering sees to; the agents there can be rung all the same.
        self._note(site, answered=not event.timeout)
        return True

    def set_lossy(self, lossy: frozenset[SiteId]) -> None:
        """Take what the media probes say, to be published with the rest."""
        self._lossy = lossy
        self._tell()

    def _ask(self, site: Site) -> None:
        try:
            there = Address(*address(site.sip))
            transaction = self._sip.options(to=there, from_user=self._edge, timeout_s=TIMEOUT_S)
        except (ValueError, LocalError) as error:
            # Whoever configured it has to mend it; meanwhile the other sites are probed.
            log.error("site_not_probed", site=site.id, error=str(error))  # noqa: TRY400 - one line
            self._note(site.id, answered=False)
            return
        self._asked[transaction] = site.id

    def _note(self, site: SiteId, *, answered: bool) -> None:
        before = self._health.get(site, Health())
        after = before.after(answered=answered)
        self._health[site] = after
        has_changed = before.is_down != after.is_down or before.heard != after.heard
        if has_changed:
            log.info("site_down" if after.is_down else "site_up", of=site)
        if has_changed or before.is_settled != after.is_settled:
            self._tell()
        if has_changed and before.is_down and before.heard:
            self._on_back(site)

    def _tell(self) -> None:
        down, unsettled = self.unreachable, self.unsettled
        self._on_change(
            Probe(
                edge=self._edge,
                up=tuple(sorted(self._health.keys() - down)),
                down=tuple(sorted(down)),
                lossy=tuple(sorted(self._lossy & (self._health.keys() - unsettled))),
                unsure=tuple(sorted(unsettled)),
            )
        )
