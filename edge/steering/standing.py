"""How every site stands with steering, from what all edges' probes say. PURE.

Owns who is ill, by how many words, and how often that may change. Knows nothing of rows.

The laws:

- An own probe is enough to leave a site out here: who cannot reach it cannot send calls there.
- The others' word counts when at least two of them, and more than half of those who speak, say the
  same. So of two sites that accuse each other (a link cut one way) neither falls by it, and with
  two sites in all nobody falls by words.
- A **gray** site answers, but loses audio: a link is bad when either of its ends says that audio
  of the other is lost, and a site is gray when its links to at least two others, and to more than
  half of them, are bad. One bad link makes nobody gray.
- Words that would leave no good site say nothing: the last good site is never removed. One that
  stands gray, or is drained, takes calls again at once while no other is well, though it may have
  been for seconds.
- A site falls at once, and comes back when it has been well for `WELL_S`; but it never changes
  twice within `HOLD_S`. One that comes up for the first time is in at once, which
  is no change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from state.model import Probe, SiteId
from state.snapshot import Snapshot

HOLD_S: Final = 60.0
WELL_S: Final = 10.0
_FEWEST_WORDS: Final = 2


class Illness(StrEnum):
    """What is wrong with a site."""

    DOWN = "down"
    GRAY = "gray"
    """It answers, and audio to or from it is lost."""


class Standing(Struct, frozen=True, kw_only=True):
    """How one site stands. A site is **in** while it has no illness."""

    illness: Illness | None = None
    changed_s: float = -inf
    """When that last changed; a site that was never in has not changed yet."""
    well_since_s: float | None = None
    """Since when nothing is wrong with it; None: something is."""

    def after(self, found: Illness | None, now_s: float) -> Standing:
        """Return the standing at `now_s`, when `found` is what is wrong with the site."""
        since_s = None if found else self.well_since_s
        if found is None and since_s is None:
            since_s = now_s
        seen = replace(self, well_since_s=since_s)
        if found is seen.illness or now_s - seen.changed_s < HOLD_S:
            return seen
        is_known = seen.changed_s > -inf
        if found is None and is_known and (since_s is None or now_s - since_s < WELL_S):
            return seen
        if found is None and not is_known:
            # It comes up for the first time, and may fall the next moment.
            return replace(seen, illness=None)
        return replace(seen, illness=found, changed_s=now_s)


class Standings(Struct, frozen=True, kw_only=True):
    """How all sites stand, as one edge sees it."""

    sites: Mapping[SiteId, Standing]
    found: Mapping[SiteId, Illness]
    """What is wrong at this moment, whatever the standings say."""

    @property
    def left_out(self) -> frozenset[SiteId]:
        """The sites that get no calls: out, and down at this moment too."""
        return frozenset(
            site
            for site, standing in self.sites.items()
            if standing.illness is Illness.DOWN and self.found.get(site) is Illness.DOWN
        )

    @property
    def last(self) -> frozenset[SiteId]:
        """The sites that get calls when nobody else takes them: out for another reason."""
        ill = {site for site, standing in self.sites.items() if standing.illness}
        return frozenset(ill) - self.left_out

    def is_gray(self, site: SiteId) -> bool:
        """Tell whether the site is out because audio is lost."""
        standing = self.sites.get(site)
        return standing is not None and standing.illness is Illness.GRAY

    def drains(self, site: SiteId, drained: Collection[SiteId] = ()) -> bool:
        """Tell whether a site itself turns new calls away: its audio is lost, or it is drained.

        Only while another one is well at this moment, and turns none away itself: else whoever
        comes would be turned away by all. `drained`: the sites that managers have drained, whose
        wish it is if they are all.
        """
        if drained and self.sites.keys() <= set(drained):
            return site in drained
        away = {*drained, *filter(self.is_gray, self.sites)}
        return site in away and any(
            other not in away and other not in self.found for other in self.sites
        )

    def after(
        self, sites: Iterable[SiteId], found: Mapping[SiteId, Illness], now_s: float
    ) -> Standings:
        """Return how they stand at `now_s`, when `found` is what is wrong with whom."""
        return Standings(
            sites={site: self._of(site, found.get(site), now_s) for site in sites},
            found=dict(found),
        )

    def _of(self, site: SiteId, found: Illness | None, now_s: float) -> Standing:
        before = self.sites.get(site)
        if before is None:
            # It was not there before: that it is, or is not yet, is no change.
            return Standing(illness=found, well_since_s=None if found else now_s)
        return before.after(found, now_s)


NOBODY: Final = Standings(sites={}, found={})


def ill_sites(
    snapshot: Snapshot, own: SiteId, *, unreachable: Collection[SiteId] = frozenset()
) -> Mapping[SiteId, Illness]:
    """Return what is wrong with whom, as seen by an edge of `own` that fails to reach some."""
    words = _words(snapshot)
    sites = frozenset(snapshot.sites)
    # A dead site says nothing: its edges' leases may not have run out yet.
    speaking = {site: said for site, said in words.items() if site not in unreachable}
    down = _but_not_all(sites, frozenset(), lambda site: _is_accused(site, speaking)) | (
        frozenset(unreachable) - {own}
    )
    gray = _but_not_all(sites, down, lambda site: _is_gray(site, sites - down, speaking))
    return dict.fromkeys(gray, Illness.GRAY) | dict.fromkeys(down, Illness.DOWN)


class _Said(Struct, frozen=True):
    """What all edges of a site agree on."""

    down: frozenset[SiteId]
    lossy: frozenset[SiteId]


def _words(snapshot: Snapshot) -> Mapping[SiteId, _Said]:
    by_site: defaultdict[SiteId, list[Probe]] = defaultdict(list)
    for edge, life in snapshot.edges.items():
        probe = snapshot.probes.get(edge)
        if probe is not None:
            by_site[life.value.site].append(probe.value)
    return {
        site: _Said(_common(probe.down for probe in probes), _lossy(probes))
        for site, probes in by_site.items()
    }


def _common(lists: Iterable[Iterable[SiteId]]) -> frozenset[SiteId]:
    sets = [frozenset(each) for each in lists]
    return frozenset.intersection(*sets) if sets else frozenset()


def _lossy(probes: Collection[Probe]) -> frozenset[SiteId]:
    """Return the sites whose audio is lost by the word of all who can tell, and of one at least."""
    said = frozenset(site for probe in probes for site in probe.lossy)
    return frozenset(
        site
        for site in said
        if all(site in probe.lossy or site in probe.unsure for probe in probes)
    )


def _is_accused(site: SiteId, words: Mapping[SiteId, _Said]) -> bool:
    others = [said for speaker, said in words.items() if speaker != site]
    return _is_enough(sum(site in said.down for said in others), len(others))


def _is_gray(site: SiteId, up: frozenset[SiteId], words: Mapping[SiteId, _Said]) -> bool:
    links = [
        (words.get(site, _SILENT), words.get(other, _SILENT), other)
        for other in up
        if other != site and (other in words or site in words)
    ]
    bad = sum(other in mine.lossy or site in theirs.lossy for mine, theirs, other in links)
    return _is_enough(bad, len(links))


def _is_enough(words: int, of: int) -> bool:
    return words >= _FEWEST_WORDS and 2 * words > of


def _but_not_all(
    sites: frozenset[SiteId], out: frozenset[SiteId], is_ill: Callable[[SiteId], bool]
) -> frozenset[SiteId]:
    """Return the ill among the sites; nobody, if then none would be left that is not out."""
    ill = frozenset(site for site in sites - out if is_ill(site))
    return ill if sites - out - ill else frozenset()


_SILENT: Final = _Said(frozenset(), frozenset())
