"""What would become of callers if: before traffic moves, and before a site is lost. PURE.

Owns the prediction of one state of things (`predict`). Whether another one is worse is
`judgement`'s. Two answers stand side by side for each queue: Erlang's formula (`erlang`), and the
real matcher let loose on imagined callers (`imagined`). The formula knows a steady state of callers
who all stay, and people shared by load; the simulation begins with the calls that there are, and
knows priorities, steps, limits and who is where, but only so many callers.

For each site there are the calls that steering's rows send it, and with how many lines
(Erlang B, one call in a hundred blocked) and edges they would be carried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import lcm, sqrt
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.admission import CLOSED
from edge.acd.service_level import wait_s
from edge.acd.simulation import Caller, Day, World, replay, supposed
from edge.steering.capacity import LEVEL, TARGET_S, QueueForecast, present_at, without
from edge.steering.coming import Coming, demand_of, redirected
from edge.steering.erlang import lines_needed
from edge.steering.imagined import Horizon, Serving, callers, under_way
from edge.steering.table import ANY, Groups, rows
from state.configuration import Configuration
from state.model import CallRecord, DidNumber, EdgeId, EdgeState, Now, QueueId, SiteId
from state.snapshot import Snapshot

HORIZON: Final = Horizon(seed=1, seconds=300.0, most_calls=400)
EDGE_PER_S: Final = 200.0
"""Calls that one edge is planned for: about half of what it takes on a core of its own."""
FEWEST_CALLS: Final = 50
AGENTS: Final = 1_000
"""With more agents than these each imagined call takes longer to match: there are fewer then."""
FORMULA: Final = "Erlang C (Cooper, Introduction to Queueing Theory, 2nd ed., section 3.5)"


class QueuePrediction(Struct, frozen=True, kw_only=True):
    """How one queue would fare."""

    queue: QueueId
    forecast: QueueForecast
    """By the formula."""
    calls: int
    """Imagined callers; the four that follow are of them."""
    wait_s: float | None
    """How long those waited who were served, on average; None: nobody was."""
    level: float | None
    """The share answered within the target; None: nobody came."""
    turned_away: int
    never: int
    """For whom nobody would ever have come."""

    @property
    def fits(self) -> bool:
        """Whether the goal is kept, by the formula and as far as the callers can tell."""
        return self.forecast.fits and self.suffices

    @property
    def suffices(self) -> bool:
        """Whether the goal is kept, as far as the callers can tell."""
        # So few callers say the level only so exactly: two standard errors are no proof of less.
        doubt = 0.0 if not self.calls else 2.0 * sqrt(LEVEL * (1.0 - LEVEL) / self.calls)
        return self.level is None or self.level + doubt >= LEVEL

    @property
    def answered(self) -> float:
        """The share of them who were answered at all; 1 when nobody came."""
        return 1.0 - (self.turned_away + self.never) / self.calls if self.calls else 1.0


class SitePrediction(Struct, frozen=True, kw_only=True):
    """What one site would carry."""

    site: SiteId
    is_serving: bool
    is_draining: bool
    agents: int
    """At home there, and at work."""
    calls_per_s: float
    erlangs: float
    """Calls at once, those who wait included."""
    lines: int
    """Needed for that."""
    room: int | None
    """Calls at once that there is room for; None: nobody has said."""
    edges: int
    most_calls_per_s: float
    """What its edges let in."""

    @property
    def lines_short(self) -> int:
        """How many lines are missing."""
        return 0 if self.room is None else max(0, self.lines - self.room)

    @property
    def fits(self) -> bool:
        """Whether it can carry that."""
        return self.lines_short == 0 and self.calls_per_s <= self.most_calls_per_s


class Prediction(Struct, frozen=True, kw_only=True):
    """How all would fare."""

    queues: tuple[QueuePrediction, ...]
    sites: tuple[SitePrediction, ...]
    unserved_per_s: float
    """Calls that no site would take."""

    @property
    def fits(self) -> bool:
        """Whether callers would be served as they should."""
        are_served = all(each.fits for each in self.queues)
        return are_served and all(each.fits for each in self.sites) and not self.unserved_per_s


def horizon_of(snapshot: Snapshot) -> Horizon:
    """Return how many callers are imagined for a center of that size."""
    fewer = HORIZON.most_calls * AGENTS // max(AGENTS, len(snapshot.agents))
    return replace(HORIZON, most_calls=max(FEWEST_CALLS, fewer))


def predict(  # noqa: PLR0913 - what is supposed
    snapshot: Snapshot,
    what: Coming,
    now: Now,
    *,
    rules: Configuration | None = None,
    lost: frozenset[SiteId] = frozenset(),
    horizon: Horizon | None = None,
) -> Prediction:
    """Return how callers would fare under these rules (None: as they are), without some sites."""
    horizon = horizon or horizon_of(snapshot)
    begin = supposed(snapshot, now, rules=rules, lost=lost)
    then = World(begin).snapshot
    comes = redirected(what, snapshot, then, now)
    serving = _serving(snapshot, then, comes, now)
    people = tuple(callers(comes, serving, now, horizon))
    lit = {edge: life.value.site for edge, life in then.edges.items()}
    there = tuple(under_way(snapshot, comes, serving, lit, now, horizon.seed))
    ended = replay(Day(begin=begin, changes=(), callers=there + people)).records
    # Whoever comes after closing time is turned away by intent.
    late = {each.call for each in ended if each.cause == CLOSED}
    records = [each for each in ended if each.call not in late]
    people = tuple(each for each in people if each.record.call not in late)
    imagined = {each.record.call for each in people}
    return Prediction(
        queues=_queues(then, comes, [each for each in records if each.call in imagined], people),
        sites=_sites(then, comes, serving, records),
        unserved_per_s=sum(
            each.calls / comes.seconds for each in comes.streams if not serving[each.via, each.did]
        ),
    )


# ---- queues --------------------------------------------------------------------------------------


def _queues(
    then: Snapshot, comes: Coming, records: Iterable[CallRecord], people: Iterable[Caller]
) -> tuple[QueuePrediction, ...]:
    demand = demand_of(comes, then)
    queue_of = {each.record.call: each.record.queue for each in people}
    ended: defaultdict[QueueId, list[CallRecord]] = defaultdict(list)
    for record in records:
        # Where they came to, although a limit may have sent them on.
        ended[queue_of[record.call]].append(record)
    came: defaultdict[QueueId, int] = defaultdict(int)
    for queue in queue_of.values():
        came[queue] += 1
    return tuple(
        _queue(each, ended[each.queue], came[each.queue]) for each in without(then, demand)
    )


def _queue(forecast: QueueForecast, ended: list[CallRecord], came: int) -> QueuePrediction:
    waits = [wait_s(each) for each in ended if each.connected_ms is not None]
    return QueuePrediction(
        queue=forecast.queue,
        forecast=forecast,
        calls=came,
        wait_s=sum(waits) / len(waits) if waits else None,
        level=sum(wait <= TARGET_S for wait in waits) / came if came else None,
        turned_away=len(ended) - len(waits),
        never=came - len(ended),
    )


# ---- sites ---------------------------------------------------------------------------------------


def _serving(snapshot: Snapshot, then: Snapshot, comes: Coming, now: Now) -> Serving:
    """Return who serves the calls of each number at each site, by steering's own rows.

    What would come to a site that is not there, its carriers send to the others, to all alike.
    """
    homes = {life.value.sip: (edge, life.value.site) for edge, life in then.edges.items()}
    lit = sorted({site for _, site in homes.values()})
    tables = {site: rows(then, site, now) for site in lit}
    asked = {(each.via, each.did) for each in comes.streams}
    asked |= {(each.value.via, each.value.did) for each in snapshot.tickets.values()}
    turns: dict[tuple[SiteId, str], tuple[tuple[EdgeId, SiteId], ...]] = {}
    for via, did in asked:
        firsts = [_first(tables[site], did) for site in ([via] if via in tables else lit)]
        found = [group for group in firsts if group]
        # A site that shares has a group of a hundred and more: each site's is gone through as often
        # as makes them equally long.
        length = lcm(*map(len, found))
        turns[via, did] = tuple(
            homes[sip] for group in found for sip in group * (length // len(group))
        )
    return turns


def _first(table: Mapping[DidNumber, Groups], did: DidNumber) -> tuple[str, ...]:
    groups = table.get(did) or table.get(ANY) or ()
    return groups[0] if groups else ()


def _sites(
    then: Snapshot, comes: Coming, serving: Serving, records: Iterable[CallRecord]
) -> tuple[SitePrediction, ...]:
    rates: defaultdict[SiteId, float] = defaultdict(float)
    for each in comes.streams:
        turns = serving[each.via, each.did]
        for _, site in turns:
            rates[site] += each.calls / comes.seconds / len(turns)
    held: defaultdict[SiteId | None, list[float]] = defaultdict(list)
    for record in records:
        seconds = (record.ended_ms - record.arrived_ms) / 1000
        for key in (record.site, None):
            held[key].append(seconds)
    people = present_at(then)
    return tuple(
        _site(then, site, rates[site], held[site] or held[None], people.get(site, 0))
        for site in sorted(then.sites)
    )


def _site(
    then: Snapshot, site: SiteId, calls_per_s: float, held_s: list[float], agents: int
) -> SitePrediction:
    erlangs = calls_per_s * sum(held_s) / len(held_s) if held_s else 0.0
    lives = [life.value for life in then.edges.values() if life.value.site == site]
    edges = sum(life.state is EdgeState.SERVING for life in lives)
    record = then.sites[site].value
    return SitePrediction(
        site=site,
        is_serving=bool(lives),
        is_draining=record.draining,
        agents=agents,
        calls_per_s=calls_per_s,
        erlangs=erlangs,
        lines=lines_needed(erlangs),
        room=record.room,
        edges=edges,
        most_calls_per_s=edges * EDGE_PER_S,
    )
