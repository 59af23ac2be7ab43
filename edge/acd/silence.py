"""Which other edges do not act for their callers, so that those keep no agent from others. PURE.

Every edge's match gives agents to the callers of all. A holder who is dead, frozen or cut off does
not reserve whom its callers get, and nobody else does: those agents would stand idle until its
lease has run out and its calls are closed.

The laws:

- An edge is *silent* once the match has given somebody to callers of its without a break for
  `SILENT_S`, and the store proves that in all that time it has written nothing: no ticket, no
  offer, no word of its own.
- An edge to whose callers the match gives nobody is silent, too, when a *sister* at its site is,
  that site is out of reach by what this edge knows, and nothing has been heard of the edge for as
  long as silence takes, counted from when the match gave somebody to callers of its site. Else
  nobody would have the place of a caller of its who has come again (`edge.acd.heirs`). A silent
  sister alone says nothing of it, as it may have had nothing to write; nor does a site out of
  reach alone, whose proxy may be restarting. It is so no longer than both are true.
- It takes twice as long while an edge of another site is silent. Not all find that out at the same
  moment, and who has not yet gives agents to the callers of that one, and to its own no more than a
  silent edge would.
- While it is silent all its callers are passed over by this edge's decisions, for `MOST_S` at
  most: whoever stands in the shared state for longer has kept its lease since, and lives.
- Its first sign of life ends that. Its callers' places are as they were.
- What this edge has not looked at, or cannot know to be the present, is no silence of others: after
  a break of its own, or of the store's proofs, it begins to count anew.
- Nobody's own callers are ever passed over: a holder who wakes up decides for its own as ever.

It enters the match as `asked` does: one caller of each silent edge has `PASSED_OVER` in place of an
agent (`edge.acd.match`), so the log and the decision keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from edge.acd.match import PASSED_OVER
from state.keys import Kind
from state.model import AgentId, CallId, EdgeId, Entry, Now, Offer, SiteId, Ticket, TicketState
from state.snapshot import Delta, Snapshot

SILENT_S: Final = 2.0
"""Twice as long as a reservation that was refused takes to be made anew."""
MOST_S: Final = 10.0
"""Longer than a lease (8 s) takes to run out, and everybody to see that."""
LOOK_EVERY_S: Final = 0.5
"""It has to be looked at so often to be counted."""
SOON_S: Final = 0.1
"""So soon again, if only a proof of the store is wanting: it makes no news that would be heard."""
BREAK_S: Final = 1.5
"""Between two looks, or two proofs of the store (one a second), in which nothing is known."""
_WAITING: Final = frozenset({TicketState.GREETING, TicketState.QUEUED, TicketState.OFFERED})
"""Whose callers another may stand in for, if they have come again."""


class _Unheard(Struct):
    """An edge to whose callers the match gives somebody."""

    since_s: float
    call: CallId
    """One of these callers."""
    is_silent: bool = False
    takes_s: float = SILENT_S
    """How long it has not to be heard."""


class _Sister(Struct):
    """An edge of a site to some of whose callers the match gives somebody."""

    since_s: float
    """Since when nothing has been heard of it."""
    call: CallId | None = None
    """One of its callers, once it is silent; None: it has none."""
    is_silent: bool = False
    """As a sister."""


class Silence:
    """What has been heard of the others. `edge`: who listens."""

    def __init__(self, edge: EdgeId) -> None:
        self._edge = edge
        self._unheard: dict[EdgeId, _Unheard] = {}
        self._sisters: dict[EdgeId, _Sister] = {}
        """All edges of the sites of those."""
        self._looked_s = float("-inf")
        self._proved_s: float | None = None

    @property
    def edges(self) -> frozenset[EdgeId]:
        """Which were silent at the last look, and not heard since."""
        return frozenset({*self._by_itself(), *self._passed_sisters()})

    def _by_itself(self) -> Iterable[EdgeId]:
        return (edge for edge, each in self._unheard.items() if each.is_silent)

    def _passed_sisters(self) -> Mapping[EdgeId, CallId]:
        """Return a caller of each that is silent as a sister."""
        silent = ((edge, each.call) for edge, each in self._sisters.items() if each.is_silent)
        return {edge: call for edge, call in silent if call is not None}

    def hears(self, deltas: Sequence[Delta]) -> None:
        """Take in what has changed: who wrote it lives."""
        if self._unheard or self._sisters:
            for delta in deltas:
                for writer in _writers(delta):
                    self._unheard.pop(writer, None)
                    self._sisters.pop(writer, None)

    def look(
        self,
        snapshot: Snapshot,
        now: Now,
        proved_s: float | None,
        unreachable: frozenset[SiteId] = frozenset(),
    ) -> dict[CallId, AgentId]:
        """Return a caller of each edge that is silent now, for the match that is to follow.

        `proved_s`: at which monotonic instant the store has last proved the snapshot to be the
        present; None: this site serves without a quorum, and goes by what there is.
        `unreachable`: the sites that this edge takes for out of reach.
        """
        is_broken = now.mono_s - self._looked_s > BREAK_S or _is_broken(
            self._proved_s, proved_s, now
        )
        self._looked_s, self._proved_s = now.mono_s, proved_s
        if is_broken:
            self.forget()
        for edge, each in list(self._unheard.items()):
            if now.mono_s - each.since_s >= MOST_S or not _waits(snapshot, each.call, edge):
                del self._unheard[edge]
        for edge, sister in list(self._sisters.items()):
            if now.mono_s - sister.since_s >= MOST_S or edge not in snapshot.edges:
                del self._sisters[edge]
        self._judge(snapshot, now.mono_s if proved_s is None else proved_s, unreachable)
        calls = [each.call for each in self._unheard.values() if each.is_silent]
        return dict.fromkeys((*calls, *self._passed_sisters().values()), PASSED_OVER)

    def _judge(self, snapshot: Snapshot, known_s: float, unreachable: frozenset[SiteId]) -> None:
        """Take for silent whom nothing has been heard of for long enough, as far as is known."""
        sites = {edge: snapshot.edges[edge].value.site for edge in self._unheard}
        silent_at = {sites[edge] for edge in self._by_itself()}
        for edge, each in self._unheard.items():
            each.takes_s = _takes_s(sites[edge], silent_at)
            each.is_silent = each.is_silent or known_s - each.since_s >= each.takes_s
        silent = frozenset(self._by_itself())
        dead = unreachable.intersection(sites[edge] for edge in silent)
        for edge, sister in self._sisters.items():
            site, was_silent = snapshot.edges[edge].value.site, sister.is_silent
            is_quiet = was_silent or known_s - sister.since_s >= _takes_s(site, silent_at)
            sister.is_silent = is_quiet and site in dead and edge not in silent
            if sister.is_silent and not was_silent:
                # Once: it has no other callers until it, or who closes them, is heard.
                sister.call = _caller_of(snapshot, edge)

    def note(self, snapshot: Snapshot, given: Iterable[CallId], now: Now) -> None:
        """Take in to which calls that match gave somebody, or took them to be getting somebody."""
        waiting: dict[EdgeId, CallId] = {}
        for call in given:
            entry = snapshot.tickets.get(call)
            if entry is not None and entry.value.holder != self._edge:
                waiting.setdefault(entry.value.holder, call)
        for edge, each in list(self._unheard.items()):
            # To the callers of a silent one it gives nobody: that is no break.
            if edge not in waiting and not each.is_silent:
                del self._unheard[edge]
        for edge, call in waiting.items():
            self._unheard.setdefault(edge, _Unheard(now.mono_s, call)).call = call
        self._listen_to_sisters(snapshot, now)

    def _listen_to_sisters(self, snapshot: Snapshot, now: Now) -> None:
        """Count from now on of whom nothing is heard at the sites of those."""
        edges = snapshot.edges
        sites = {edges[edge].value.site for edge in self._unheard if edge in edges}
        if not sites:
            self._sisters.clear()
            return
        before = self._sisters
        self._sisters = {
            edge: before.get(edge) or _Sister(now.mono_s)
            for edge, entry in edges.items()
            if entry.value.site in sites and edge != self._edge
        }

    def forget(self) -> None:
        """Begin to count anew: nobody waits anywhere, or nothing is known."""
        self._unheard.clear()
        self._sisters.clear()

    def next_due_s(self) -> float | None:
        """Return when to look again though nothing has been heard; None: no need to."""
        if not self._unheard:
            return None
        heard = [each for each in self._unheard.values() if not each.is_silent]
        due = [max(each.since_s + each.takes_s, self._looked_s + SOON_S) for each in heard]
        return min([self._looked_s + LOOK_EVERY_S, *due])


def _is_broken(before_s: float | None, proved_s: float | None, now: Now) -> bool:
    if before_s is None or proved_s is None:
        return before_s is not proved_s
    return proved_s - before_s > BREAK_S or now.mono_s - proved_s > BREAK_S


def _takes_s(site: SiteId, silent_at: set[SiteId]) -> float:
    """Return how long silence takes of an edge at this site; `silent_at`: where some are."""
    return SILENT_S if silent_at <= {site} else 2.0 * SILENT_S


def _caller_of(snapshot: Snapshot, edge: EdgeId) -> CallId | None:
    """Return a caller of an edge who waits, be it for the end of the greeting; None: nobody."""
    tickets = (entry.value for entry in snapshot.tickets.values())
    waiting = (each for each in tickets if each.holder == edge and each.state in _WAITING)
    return next((each.call for each in waiting), None)


def _waits(snapshot: Snapshot, call: CallId, edge: EdgeId) -> bool:
    entry = snapshot.tickets.get(call)
    return (
        entry is not None
        and entry.value.holder == edge
        and entry.value.state is TicketState.QUEUED
        and edge in snapshot.edges
    )


def _writers(delta: Delta) -> Iterable[EdgeId]:
    """Return by which edges a record may have been written, or was before."""
    if delta.kind is Kind.EDGE or delta.kind is Kind.PROBE:
        yield EdgeId(delta.id)
    elif delta.kind is Kind.TICKET or delta.kind is Kind.OFFER:
        for entry in (delta.before, delta.after):
            value = entry.value if isinstance(entry, Entry) else None
            if isinstance(value, Ticket):
                yield value.holder
            elif isinstance(value, Offer):
                yield value.edge
