"""The match, kept up to date: an event touches those only whom it concerns. PURE.

A deterministic fold over the snapshots and their deltas, so that every edge has the same. What it
offers is at each moment what `edge.acd.match` would from nothing: same calls, same agents, same
order, same decisions. That one stays the definition; `tests/acd/index` holds this one against it.

Between events no call waits that a free agent could take: all such pairs have been offered. So a
class needs to be looked at only when an agent who suits it becomes free, or a call joins it: those
are the *ready* ones. An offer is a wish, and until the store has granted it (`asked`) or the
snapshot shows it, somebody better may come: what was offered and not asked for is taken back first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from edge.acd.eligibility import live_sites
from edge.acd.heirs import Heirs, Left, at_their_places, left_behind
from edge.acd.index.callers import Callers
from edge.acd.index.crew import Crew, Sight
from edge.acd.index.demand import Demand
from edge.acd.index.rounds import Rounds
from edge.acd.index.shelf import DRIFT_S
from edge.acd.index.skilled import Skilled
from edge.acd.match import Offering, silent
from state.errors import BadKeyError
from state.keys import Kind, parse
from state.model import AgentId, CallId, EdgeId, Entry, Now, SiteId, Ticket
from state.snapshot import Delta, Snapshot

_NOTHING: Mapping[CallId, AgentId] = MappingProxyType({})
_OF_TICKETS = frozenset({Kind.TICKET, Kind.HEIR, Kind.PLACE})
_OFFER = Kind.OFFER
_WORK = Kind.WORK
_OF_AGENTS = frozenset({Kind.AGENT, Kind.PRESENCE, Kind.OFFER, Kind.WORK})
_OF_CALLS = frozenset({Kind.QUEUE, Kind.PROBE})
_OF_RULES = _OF_CALLS | {Kind.SITE, Kind.EDGE}

_OFFERED: Final = 0
"""All that is new of an agent is that an offer stands."""
_WORKED: Final = 1
"""Their offer, their own call or their work record, and nothing else."""
_CHANGED: Final = 2

_MOST_DRIFT_S: Final = DRIFT_S / 2


class MatchIndex:
    """Folds snapshots into the offers to make. Of `edge`'s calls alone, if it names one."""

    def __init__(self, edge: EdgeId | None = None) -> None:
        self._edge = edge
        self._snapshot = Snapshot()
        self._agents: dict[str, int] = {}
        """Whom to look at anew, and what may be new of them."""
        self._calls: dict[str, None] = {}
        self._is_new = True
        self._unreachable: frozenset[SiteId] = frozenset()
        self._asked: Mapping[CallId, AgentId] = _NOTHING
        self._live: frozenset[SiteId] = frozenset()
        self._begin(0.0)

    def _begin(self, ahead_s: float) -> None:
        """Forget all that has been worked out."""
        self._least_ahead_s = ahead_s - _MOST_DRIFT_S
        self._most_ahead_s = ahead_s + _MOST_DRIFT_S
        self._ready: set[Demand] = set()
        self._crew = Crew(self._ready, Skilled(), ahead_s)
        self._callers = Callers(self._ready, self._crew, self._edge)
        self._rounds = Rounds(self._crew, self._callers, self._edge)
        self._heirs = Heirs()
        self._paired_for: frozenset[EdgeId] | None = None
        """For which silent edges the heirs of this snapshot have been found; None: not yet."""

    # ---- what has changed ------------------------------------------------------------------------

    def fold(self, snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        """Note what has changed since the snapshot before; it is worked out when offers are asked.

        The deltas must lead from the one snapshot to the other, as `state.mirror` tells them.
        """
        before, self._snapshot = self._snapshot, snapshot
        self._paired_for = None
        agents, calls = self._agents, self._calls
        for delta in deltas:
            kind = delta.kind
            if kind in _OF_TICKETS:
                calls[delta.id] = None
            elif kind is _OFFER and delta.after is not None:
                agents.setdefault(delta.id, _OFFERED)
            elif kind is _OFFER or kind is _WORK:
                if agents.get(delta.id) != _CHANGED:
                    agents[delta.id] = _WORKED
            elif kind in _OF_AGENTS:
                agents[delta.id] = _CHANGED
            elif kind in _OF_RULES:
                self._note_rules(kind)
        self._see_who_calls(before, snapshot)
        if snapshot.edges is not before.edges or snapshot.sites is not before.sites:
            self._see_who_lives(live_sites(snapshot))
        if before.bad or snapshot.bad:
            # What cannot be read makes no delta, and yet an agent's offer may stand in it.
            agents.update(dict.fromkeys(_agents_of((*before.bad, *snapshot.bad)), _CHANGED))

    def _note_rules(self, kind: Kind) -> None:
        """Look anew at all whom a queue, a probe, a site or an edge may concern."""
        self._callers.forget_known()
        if kind in _OF_CALLS:
            self._calls.update(dict.fromkeys(self._callers))
            return
        self._calls.update(dict.fromkeys(self._snapshot.tickets))
        if kind is Kind.SITE:
            self._agents.update(dict.fromkeys(self._snapshot.agents, _CHANGED))

    def _see_who_calls(self, before: Snapshot, after: Snapshot) -> None:
        """Look anew at agents who have begun, or ended, a call of their own."""
        if after.calling is before.calling:
            return
        for agent in frozenset(before.calling) ^ frozenset(after.calling):
            if self._agents.get(agent) != _CHANGED:
                self._agents[agent] = _WORKED

    def _see_who_lives(self, live: frozenset[SiteId]) -> None:
        """Look anew at all agents, unless only an edge of several has come, gone or changed."""
        before, self._live = self._live, live
        if live != before:
            self._agents.update(dict.fromkeys(self._snapshot.agents, _CHANGED))

    def next_due_s(self) -> float | None:
        """Return when offers may change by themselves, as `match.next_due_s` does; None: never.

        Counted from the last `offers`.
        """
        due = (self._crew.rests.next_s(), self._callers.steps.next_s())
        return min((each for each in due if each is not None), default=None)

    # ---- what follows ----------------------------------------------------------------------------

    def offers(
        self,
        now: Now,
        *,
        unreachable: frozenset[SiteId] = frozenset(),
        asked: Mapping[CallId, AgentId] = _NOTHING,
    ) -> tuple[Offering, ...]:
        """Return what `edge.acd.match.match` does on the snapshot, for the calls of `edge`.

        `now` must not be before that of the last time.
        """
        # The clocks may have drifted apart, or too much be remembered.
        ahead_s = now.wall_ms / 1000.0 - now.mono_s
        has_drifted = not self._least_ahead_s <= ahead_s <= self._most_ahead_s
        is_crowded = self._callers.is_crowded or self._crew.is_crowded
        if has_drifted or self._is_new or is_crowded:
            self._begin_anew(ahead_s)
        if self._rounds.offered:
            self._take_back(asked)
        unheard = silent(self._snapshot, asked)
        self._pass_over(unheard)
        self.heirs(unheard)
        self._look_again(now, unreachable)
        if asked or self._asked:
            self._settle(dict(asked))
        self._agents.clear()
        self._calls.clear()
        if self._crew.fresh or self._ready:
            return tuple(self._rounds.serve(self._ready, self._snapshot.revision, now))
        return ()

    def heirs(self, unheard: frozenset[EdgeId]) -> Mapping[CallId, CallId]:
        """Return whose place each heir has; `unheard`: the edges that are silent."""
        if self._paired_for != unheard:
            self._paired_for = unheard
            moved = self._heirs.look(self._snapshot, unheard, self._calls)
            self._calls.update(dict.fromkeys(moved))
        return self._heirs.places

    def left_by(self, call: CallId) -> Left | None:
        """Return what is left at the place where a call stood at the last `offers`.

        A ticket, or the place that it left; None: at its own.
        """
        left = self._heirs.places.get(call)
        return None if left is None else left_behind(self._snapshot, left)

    def left_of(self, calls: Iterable[CallId]) -> Entry[Ticket] | None:
        """Return at whose place somebody stood who came now and named these calls."""
        return self._heirs.left_of(self._snapshot, calls)

    @property
    def places(self) -> Mapping[CallId, CallId]:
        """Whose place each heir had at the last `offers`."""
        return self._heirs.places

    @property
    def offered(self) -> Mapping[CallId, AgentId]:
        """What the last `offers` gave to whom, other edges' calls included."""
        return self._rounds.offered

    def _begin_anew(self, ahead_s: float) -> None:
        self._begin(ahead_s)
        self._agents = dict.fromkeys(self._snapshot.agents, _CHANGED)
        self._calls = dict.fromkeys(self._snapshot.tickets)
        self._is_new = False

    def _take_back(self, asked: Mapping[CallId, AgentId]) -> None:
        for call, agent in self._rounds.offered.items():
            if asked.get(call) == agent:
                continue
            # Who has changed is looked at anew anyway.
            member = None if agent in self._agents else self._crew.member(agent)
            if member is not None:
                self._crew.give(member, is_given=False)
            caller = None if call in self._calls else self._callers.get(call)
            if caller is not None:
                self._callers.line_up(caller, is_in_line=True)
        self._rounds.offered.clear()

    def _pass_over(self, holders: frozenset[EdgeId]) -> None:
        """Let nobody of these edges want an agent; look anew at those whose edge is another."""
        changed = self._callers.silent ^ holders
        if changed:
            self._callers.silent = holders
            holds = ((call, self._callers.of(call).waiting.entry.value) for call in self._callers)
            self._calls.update({call: None for call, each in holds if each.holder in changed})

    def _look_again(self, now: Now, unreachable: frozenset[SiteId]) -> None:
        if unreachable != self._unreachable:
            self._unreachable = unreachable
            self._agents.update(dict.fromkeys(self._snapshot.agents, _CHANGED))
        agents, calls = self._agents, self._calls
        crew, callers = self._crew, self._callers
        now_s, snapshot = now.mono_s, at_their_places(self._snapshot, self._heirs.places)
        if crew.rests.soonest_s <= now_s:
            agents.update(dict.fromkeys(crew.rests.pop(now_s), _CHANGED))
        if callers.steps.soonest_s <= now_s:
            calls.update(dict.fromkeys(callers.steps.pop(now_s)))
        if callers.turns.soonest_s <= now_s:
            calls.update(dict.fromkeys(callers.turns.pop(now_s)))
        if agents:
            sight = Sight(snapshot, now, self._live, unreachable)
            for name, news in agents.items():
                agent = AgentId(name)
                if not (news == _OFFERED and crew.engage(agent)):
                    crew.look(sight, agent, is_changed=news == _CHANGED)
        for call in calls:
            callers.look(snapshot, CallId(call), now)

    def _settle(self, asked: Mapping[CallId, AgentId]) -> None:
        """Let what has been asked for count as given, as far as the agents are free.

        What was asked for before stands, but for calls and agents that were looked at anew.
        """
        before, self._asked = self._asked, asked
        over = [call for call, agent in before.items() if asked.get(call) != agent]
        wanted = frozenset(asked.values()) if over else frozenset[AgentId]()
        for call in over:
            member, caller = self._crew.member(before[call]), self._callers.get(call)
            if member is not None and before[call] not in wanted:
                self._crew.give(member, is_given=False)
            if caller is not None and call not in asked:
                self._callers.line_up(caller, is_in_line=True)
        agents, calls = self._agents, self._calls
        for call, agent in asked.items():
            if before.get(call) == agent and call not in calls and agent not in agents:
                continue
            member, caller = self._crew.member(agent), self._callers.get(call)
            if member is not None:
                self._crew.give(member, is_given=True)
            if caller is not None:
                self._callers.line_up(caller, is_in_line=member is None)


def _agents_of(bad: Iterable[str]) -> Iterable[AgentId]:
    for key in bad:
        try:
            parsed = parse(key)
        except BadKeyError:
            continue
        if parsed.kind in _OF_AGENTS:
            yield AgentId(parsed.id)
