"""All agents: who is free, who is given away, and on which shelves they stand. PURE.

An agent is *out* (cannot take any call), *free* (on the shelf of each class that they suit), or
*given* (free by the snapshot, but another call has asked for them). What an agent's change costs
depends on the classes that look at their skills, and not on how many agents there are.

Where callers wait, an agent who becomes free is given away at once, and is out with the next
snapshot. So who becomes free is *loose* first: on no shelf and in no count of any class. The few
who are loose are looked at one by one; who is still free when all have been served is put away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Final

from msgspec import Struct

from edge.acd.eligibility import (
    AgentFacts,
    Reason,
    away_because,
    barred_because,
    given_from_s,
    has_offer,
    work_revision,
)
from edge.acd.index.demand import NO_CALL, PLACE_OF, SUITS, Demand, Stand, no_counts
from edge.acd.index.dues import NEVER_S, Dues
from edge.acd.index.member import FREE, Member
from edge.acd.index.shelf import Candidate, idle_since_s
from edge.acd.index.skilled import Seat, Skilled, excluded
from edge.acd.rank import occupancy
from state.model import Agent, AgentId, Now, SiteId, TenantId
from state.snapshot import Snapshot

MOST_GOING: Final = 32
"""Beyond so many who are loose and given away, for each who is there to be, they are counted."""
MOST_PROFILES: Final = 512
"""Beyond so many more than twice as many as there are agents, most are of nobody any more."""
_MANY: Final = 4
"""Beyond so many it is cheaper to put them on shelves class by class."""
_NOT_SIGNED_IN: Final = PLACE_OF[Reason.NOT_SIGNED_IN]
_HAS_OFFER: Final = PLACE_OF[Reason.HAS_OFFER]
_TAKEN: Final = PLACE_OF[Reason.TAKEN]


class Sight(Struct, frozen=True):
    """From where agents are looked at: a snapshot, a moment, and what one edge knows beside."""

    snapshot: Snapshot
    now: Now
    live: frozenset[SiteId]
    """Its `live_sites`."""
    unreachable: frozenset[SiteId]


class Crew:
    """Every configured agent. `ready` is told of classes that may be served now."""

    def __init__(self, ready: set[Demand], skilled: Skilled, ahead_s: float) -> None:
        self._ready = ready
        self._skilled = skilled
        self._ahead_s = ahead_s
        self._stamps = count()
        self._members: dict[AgentId, Member] = {}
        self._waited_for: dict[AgentId, list[Demand]] = {}
        self.rests: Dues[AgentId] = Dues()
        self.out = no_counts()
        """How many cannot take a call, by reason."""
        self.fresh: dict[Member, None] = {}
        """The loose ones who are there to be given away: they have become free since the last
        round."""
        self.going: dict[Member, None] = {}
        """The loose ones who have been given away."""
        self.seats: Counter[Seat] = Counter()
        """Where the free ones belong who are counted."""
        self.tenants: Counter[TenantId] = Counter()
        """And to whom."""
        self.free = 0
        """How many of the free ones are counted."""
        self.is_crowded = False
        """Whether many more profiles are remembered than there are agents."""

    def member(self, agent: AgentId) -> Member | None:
        """Return an agent if they are free; None: they are not, or not configured."""
        member = self._members.get(agent)
        return None if member is None or member.out_because != FREE else member

    # ---- what snapshots say ----------------------------------------------------------------------

    def engage(self, agent: AgentId) -> bool:
        """Let an offer stand for an agent of whom nothing else is new; False: they were not free.

        Whoever was free had no other reason not to be, so nothing of them is read.
        """
        member = self._members.get(agent)
        if member is None or member.out_because != FREE:
            return False
        self._retire(member)
        member.out_because = _HAS_OFFER
        self.out[_HAS_OFFER] += 1
        return True

    def look(self, sight: Sight, agent: AgentId, *, is_changed: bool) -> None:
        """Take in what is seen of one agent; if not `is_changed`, of their offer and work alone."""
        member = self._members.get(agent)
        snapshot = sight.snapshot
        if member is not None:
            self._retire(member)
            if not is_changed and not _NOT_SIGNED_IN <= member.out_because < _HAS_OFFER:
                # Nothing else keeps them from a call, or the first such reason would be told.
                has = has_offer(snapshot, agent)
                self._place(sight, member, Reason.HAS_OFFER if has else None)
                return
        entry = snapshot.agents.get(agent)
        if entry is None:
            if member is not None:
                del self._members[agent]
            self.rests.set(agent, None)
            return
        if member is None or member.agent is not entry.value:
            member = self._hire(entry.value)
        member.presence = snapshot.presences.get(agent)
        because = barred_because(
            entry.value,
            member.presence,
            site_is_live=entry.value.site in sight.live,
            has_offer=has_offer(snapshot, agent),
        )
        self._place(sight, member, because)

    def _hire(self, agent: Agent) -> Member:
        profile = self._skilled.profile(agent)
        self.is_crowded = len(self._skilled) > 2 * len(self._members) + MOST_PROFILES
        waited_for = self._waited_for.get(agent.id, ())
        member = self._members[agent.id] = Member(
            agent, next(self._stamps), profile.had, profile, profile.stands, waited_for
        )
        return member

    def _place(self, sight: Sight, member: Member, because: Reason | None) -> None:
        """Let an agent be out, or free and loose; `because`: their `barred_because`."""
        agent, presence = member.agent, member.presence
        name = agent.id
        work, from_s = None, NEVER_S
        if because is None:
            work = sight.snapshot.works.get(name)
            from_s = given_from_s(work, presence)
            because = away_because(agent.site, from_s, sight.now, sight.unreachable)
        if because is Reason.WRAP_UP:
            self.rests.set(name, from_s)
        elif self.rests.soonest_s < NEVER_S:
            self.rests.set(name, None)
        place = member.out_because = PLACE_OF[because]
        if place != FREE:
            self.out[place] += 1
            return
        if work is None:
            member.revision, member.busy = 0, 0.0
        else:
            member.revision, member.busy = work.mod_revision, occupancy(work.value)
        member.facts = AgentFacts(
            agent=agent,
            presence=presence,
            has_offer=False,
            work=work,
            work_revision=member.revision or work_revision(sight.snapshot, name),
            site_is_live=True,
        )
        member.idle_at = None
        member.is_loose = True
        self.fresh[member] = None

    def _retire(self, member: Member) -> None:
        """Take an agent out of all counts, whatever they are."""
        if member.out_because != FREE:
            self.out[member.out_because] -= 1
            return
        if member.is_loose:
            del (self.going if member.is_given else self.fresh)[member]
            member.is_loose = member.is_given = False
            return
        member.stamp = next(self._stamps)
        if member.is_given:
            member.is_given = False
            for demand in member.suits:
                demand.given -= 1
        self.free -= 1
        member.profile.leave(member)
        self.seats[member.seat] -= 1
        self.tenants[member.agent.tenant] -= 1
        for demand, because in member.unsuited:
            demand.unfit[because] -= 1
        for demand in member.suits:
            demand.fit -= 1

    # ---- giving ----------------------------------------------------------------------------------

    def count_going(self) -> None:
        """Count the loose ones who are given away, when they are many to be looked at anew."""
        if len(self.going) > MOST_GOING * (1 + len(self.fresh)):
            going, self.going = self.going, {}
            for member in going:
                self._count(member)

    def put_away(self, left: Mapping[Stand, Collection[Member]]) -> None:
        """Put all on their shelves who are still there; `left`: where these stand, if many."""
        # All at once: a dict that has held many is slow to look through, however few it holds.
        together, self.fresh = self.fresh, {}
        if len(together) > _MANY and left:
            self._put_away_together(together, left)
            return
        for member in together:
            self._count(member)
        for member in together:
            self._put_on_shelves(member)

    def _count(self, member: Member) -> None:
        """Count one who was loose."""
        self._enter(member)
        for demand, because in member.unsuited:
            demand.unfit[because] += 1
        for demand in member.suits:
            demand.fit += 1
        if member.is_given:
            member.stamp = next(self._stamps)
            for demand in member.suits:
                demand.given += 1

    def _enter(self, member: Member) -> None:
        member.is_loose = False
        member.idle_since_s = idle_since_s(member.facts, self._ahead_s)
        self.free += 1
        member.profile.enter(member)
        self.seats[member.seat] += 1
        self.tenants[member.agent.tenant] += 1

    def _put_away_together(
        self, members: Iterable[Member], left: Mapping[Stand, Collection[Member]]
    ) -> None:
        """Count many and put them on shelves, stand by stand."""
        for member in members:
            self._enter(member)
            for demand, because in member.own_unsuited:
                demand.unfit[because] += 1
        more: defaultdict[Demand, list[Candidate]] = defaultdict(list)
        for stand, there in left.items():
            for demand, because in stand.unsuited:
                demand.unfit[because] += len(there)
            for demand in stand.suits:
                demand.fit += len(there)
                more[demand] += there
        for demand, candidates in more.items():
            demand.shelf.add_many(candidates)
            if demand.first is not NO_CALL:
                self._ready.add(demand)

    def give(self, member: Member, *, is_given: bool) -> None:
        """Let a free agent be given away, or be there again."""
        if member.is_given is is_given:
            return
        member.is_given = is_given
        if member.is_loose:
            there, gone = self.fresh, self.going
            del (there if is_given else gone)[member]
            (gone if is_given else there)[member] = None
            return
        if is_given:
            member.stamp = next(self._stamps)
            for demand in member.suits:
                demand.given += 1
            return
        for demand in member.suits:
            demand.given -= 1
        self._put_on_shelves(member)

    def _put_on_shelves(self, member: Member) -> None:
        for demand in member.suits:
            demand.shelf.add(member, demand.fit - demand.given)
            if demand.first is not NO_CALL:
                self._ready.add(demand)

    def unfit(self, demand: Demand) -> list[int]:
        """Return how many agents each reason keeps from a class; the loose ones left out."""
        counts = excluded(demand, self.seats, self.tenants, self.free, self.out)
        counts[_TAKEN] += demand.given
        return counts

    def add_going(self, demand: Demand, counts: list[int]) -> None:
        """Add the loose ones who are given away, asking each."""
        for member in self.going:
            because = demand.because(member.agent)
            counts[_TAKEN if because == SUITS else because] += 1

    # ---- classes ---------------------------------------------------------------------------------

    def meet(self, demand: Demand) -> None:
        """Let a class of calls know all who suit it."""
        if demand.only is None:
            for profile in self._skilled.meet(demand, is_anybody_free=self.free > 0):
                for each in profile.members:
                    _add(demand, each)
            return
        waiting = self._waited_for.setdefault(demand.only, [])
        waiting.append(demand)
        member = self._members.get(demand.only)
        if member is None:
            return
        member.waited_for = waiting
        if member.out_because == FREE and not member.is_loose:
            because = member.because_of(demand)
            if because == SUITS:
                _add(demand, member)
            else:
                demand.unfit[because] += 1

    def forget(self, demand: Demand) -> None:
        """Let a class that waited for one agent be gone."""
        if demand.only is not None:
            waiting = self._waited_for[demand.only]
            waiting.remove(demand)
            if not waiting:
                del self._waited_for[demand.only]


def _add(demand: Demand, member: Candidate) -> None:
    demand.fit += 1
    if member.is_given:
        demand.given += 1
    else:
        demand.shelf.add(member, demand.fit)
