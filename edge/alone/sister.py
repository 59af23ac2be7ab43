"""What the edges of one site tell each other while they have no quorum, over their command sockets.

Each asks each other for what it has written since it last asked. So both decide on nearly the same
state, and where they do not, the gate lets one of them through and the other decides again. An
answer is also a sign of life, whatever the leases say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from math import inf
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.acd.yielding import yields
from state import keys
from state.clock import Clock
from state.codec import decode
from state.errors import StateError
from state.keys import Kind, parse
from state.model import AgentId, CallId, EdgeId, Entry, Work
from state.overlay import Overlay
from state.raw import Change, KeyValue

ASK_S = 0.1
"""How often while alone; a tenth as often else."""
TIMEOUT_S = 0.5
SILENT_S = 2.0
"""After so long without an answer, a sister is not there."""
GONE_S = 10.0
"""One whose last word was that she serves alone may be frozen, and have her calls, for as long as
it takes until a lease has run out and what it held is closed."""
MOST_BYTES = 64 * 1024 * 1024
MOST_TOLD = 500
"""About so many records are told at once. All that an edge has done alone in some hours would take
both so long that callers waited for it."""
_NOTHING = 1 << 63
"""Above all revisions of a copy: whoever serves by the store wants to be told nothing."""
_SOCKET = re.compile(r"edge-([A-Za-z0-9_.+-]+)\.sock")


class Holding(Struct, frozen=True, kw_only=True):
    """What an edge says that it has, all of it: what it has not said is over."""

    calls: frozenset[CallId]
    """Whose places stand in its name."""
    agents: frozenset[AgentId]
    """Whom it has given to a call."""


class Lone(Struct, frozen=True, kw_only=True):
    """What is known, at one moment, of sisters who serve alone: of what they do the store is mute.

    As of the answers to questions that were asked after the moment at which this was asked for.
    """

    merged_ago_s: float
    """How long ago the last of them merged; infinite: none did lately."""
    agents: frozenset[AgentId] | None = None
    """Whom they have given to calls; None: none serves alone, or it is unclear."""
    is_unclear: bool = False
    """One serves alone, or may, and has not said: she cannot be taken for dead yet."""

    @property
    def are_some(self) -> bool:
        """Whether one serves alone, or may."""
        return self.is_unclear or self.agents is not None


class Told(Struct, frozen=True, kw_only=True):
    """One record that a sister has written."""

    key: str
    value: str | None
    create_revision: int
    revision: int = 0
    """Of her copy, by the clock that both go by: when she wrote it; 0: she does not say."""

    def change(self) -> Change:
        """Return it as a change; the copy numbers it anew."""
        return Change(
            key=self.key,
            value=None if self.value is None else self.value.encode(),
            create_revision=self.create_revision,
            mod_revision=self.revision,
        )


def telling(
    overlay: Overlay, edge: EdgeId, own: Sequence[tuple[str, int]], *, again: Sequence[str] = ()
) -> Mapping[str, object]:
    """Return what this `edge` has written, for a sister: `own` keys with revisions, in their order.

    `again`: what she has heard before. And behind all of it what the edge has: the sister's watch
    may have lost, before both were alone, how some of it ended. Of very much she is told a part;
    then she asks for the next.
    """
    some = list(own[:MOST_TOLD])
    # What was written together is told together.
    some += takewhile(lambda each: each[1] == some[-1][1], own[len(some) :])
    snapshot, names = overlay.snapshot, dict.fromkeys((*again, *(key for key, _ in some)))
    told = {
        "revision": some[-1][1] if some else snapshot.revision,
        "records": [_told(key, overlay.record(key)) for key in names],
    }
    if len(some) < len(own):
        return told
    return told | {
        "holding": {
            "calls": [c for c, each in snapshot.tickets.items() if each.value.holder == edge],
            "agents": [a for a, each in snapshot.offers.items() if each.value.edge == edge],
        },
    }


def _told(key: str, record: KeyValue | None) -> Mapping[str, object]:
    value = None if record is None else record.value.decode()
    created, revision = (0, 0) if record is None else (record.create_revision, record.mod_revision)
    return {"key": key, "value": value, "create_revision": created, "revision": revision}


def over(overlay: Overlay, sister: EdgeId, holding: Holding) -> Iterator[str]:
    """Yield the keys of what stands in a sister's name here, and is over, as she says."""
    snapshot = overlay.snapshot
    for call, ticket in snapshot.tickets.items():
        if ticket.value.holder == sister and call not in holding.calls:
            yield keys.ticket(call)
    for agent, offer in snapshot.offers.items():
        if offer.value.edge == sister and agent not in holding.agents:
            yield keys.offer(agent)


def contested(overlay: Overlay, edge: EdgeId, holding: Holding) -> Iterator[CallId]:
    """Yield the calls that this `edge` holds, and a sister too, as she says."""
    tickets = overlay.snapshot.tickets
    for call in holding.calls:
        ticket = tickets.get(call)
        if ticket is not None and ticket.value.holder == edge:
            yield call


def is_acceptable(overlay: Overlay, edge: EdgeId, change: Change) -> bool:
    """Return whether to take in now what a sister says; if not, it is asked again.

    An agent whom this edge has given to a call is its own to speak of until that offer ends: the
    sister may not know of it yet, or have given the same agent, which the gate lets one of them do.
    So is a call that it holds: the sister may have had the same INVITE, and heard of its end. That
    left no place then: who was not cut off is neither called back nor put before others. Nor is
    what only a later version understands taken in.
    """
    try:
        return _is_acceptable(overlay, edge, change)
    except StateError:
        return False


def _is_acceptable(overlay: Overlay, edge: EdgeId, change: Change) -> bool:
    kind, agent = _kind_of(change.key)
    if kind in {Kind.TICKET, Kind.ENDED}:
        return _may_end(overlay, edge, CallId(agent), change)
    if kind is Kind.PLACE:
        return change.value is None or not _is_ours_to_end(overlay, edge, CallId(agent))
    if kind is Kind.OFFER:
        offer = overlay.snapshot.offers.get(AgentId(agent))
        return offer is None or offer.value.edge != edge
    if kind is not Kind.WORK or not overlay.written.get(change.key):
        return True
    held = overlay.snapshot.works.get(AgentId(agent))
    return held is None or _is_later(change, held)


def _is_later(change: Change, held: Entry[Work]) -> bool:
    """Tell which came later, of what an agent did for a sister and for this edge.

    Both are written on one host: its monotonic clock says so. An edge of another version says no
    more than the wall clock's time, which may have been set meanwhile.
    """
    told = None if change.value is None else decode(Work, change.value, change.key)
    if told is None:
        return False
    if change.mod_revision:
        return change.mod_revision > held.mod_revision
    return told.ended_ms > held.value.ended_ms


def _may_end(overlay: Overlay, edge: EdgeId, call: CallId, change: Change) -> bool:
    if _holds(overlay, edge, call):
        return False
    if change.value is None or not overlay.written.get(keys.ended(call)):
        return True
    said = KeyValue(key=change.key, value=change.value, create_revision=0, mod_revision=0)
    return not yields(said)


def _holds(overlay: Overlay, edge: EdgeId, call: CallId) -> bool:
    ticket = overlay.snapshot.tickets.get(call)
    return ticket is not None and ticket.value.holder == edge


def _is_ours_to_end(overlay: Overlay, edge: EdgeId, call: CallId) -> bool:
    """Tell whether this edge has the call, or has had it to its end."""
    key = keys.ended(call)
    record = overlay.ended.get(key) if overlay.written.get(key) else None
    return _holds(overlay, edge, call) or (record is not None and not yields(record))


def _kind_of(key: str) -> tuple[Kind, str]:
    parsed = parse(key)
    return parsed.kind, parsed.id


class Sisters:
    """Asks the other edges of this site."""

    def __init__(  # noqa: PLR0913 - whom it asks, and who hears what they say
        self,
        *,
        edge: EdgeId,
        own_socket: Path,
        clock: Clock,
        is_alone: Callable[[], bool],
        on_told: Callable[[EdgeId, Sequence[Change]], frozenset[str]],
        on_holding: Callable[[EdgeId, Holding], None],
        on_asked: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_told` returns the keys that it has taken in; the others are told it again.

        `on_holding` hears what a sister has, behind all that she has told; `on_asked` is called
        when each has been asked once more.
        """
        self._on_asked = on_asked
        self._edge = edge
        self._own_socket = own_socket
        self._clock = clock
        self._is_alone = is_alone
        self._on_told = on_told
        self._on_holding = on_holding
        self._heard_s: dict[EdgeId, float] = {}
        self._alone_s: dict[EdgeId, float] = {}
        """When each was last heard to serve alone, or to merge."""
        self._are_alone: set[EdgeId] = set()
        """Whose last word that was."""
        self._told: dict[EdgeId, dict[str, Told]] = {}
        """What each said in her last answer: what is the same is not taken twice."""
        self._since: dict[EdgeId, int] = {}
        """Up to which revision of her copy each has told all."""
        self._untaken: dict[EdgeId, list[str]] = {}
        """The keys of what each has said and could not be taken in: she is asked for them again."""

    def lives(self, edge: EdgeId) -> bool:
        """Whether an edge of this site was heard of lately."""
        heard_s = self._heard_s.get(edge)
        return heard_s is not None and self._clock.now().mono_s - heard_s <= SILENT_S

    def alone(self) -> frozenset[EdgeId]:
        """Return those who serve alone, or merge, by what they said lately."""
        now_s = self._clock.now().mono_s
        return frozenset(e for e in self._are_alone if now_s - self._alone_s[e] <= GONE_S)

    async def lone(self) -> Lone:
        """Ask each anew, and return what is known of those who serve alone."""
        said: dict[EdgeId, Collection[AgentId] | None] = {}
        for edge, path in self._sockets().items():
            answer = await self._ask(edge, path)
            said[edge] = None if answer is None else _agents_in(answer)
        now_s, alone = self._clock.now().mono_s, self.alone()
        ago_s = (now_s - at_s for e, at_s in self._alone_s.items() if e not in self._are_alone)
        merged_ago_s, given = min(ago_s, default=inf), [said.get(edge) for edge in alone]
        if None in given or not given:
            return Lone(merged_ago_s=merged_ago_s, is_unclear=None in given)
        agents = frozenset(agent for some in given for agent in some or ())
        return Lone(merged_ago_s=merged_ago_s, agents=agents)

    def forget(self) -> None:
        """Begin anew: another time without a quorum, or the end of one."""
        self._told.clear()
        self._since.clear()
        self._untaken.clear()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            for edge, path in self._sockets().items():
                await self._ask(edge, path)
            self._on_asked()
            await asyncio.sleep(ASK_S if self._is_alone() else 10 * ASK_S)

    def _sockets(self) -> Mapping[EdgeId, Path]:
        found = {}
        for path in self._own_socket.parent.glob("edge-*.sock"):
            named = _SOCKET.fullmatch(path.name)
            if named is not None and named[1] != self._edge:
                found[EdgeId(named[1])] = path
        return found

    async def _ask(self, edge: EdgeId, path: Path) -> Mapping[str, object] | None:
        """Ask one; return her answer, None: there is none."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                since = self._since.get(edge, 0) if self._is_alone() else _NOTHING
                answer = await _request(path, since, self._untaken.get(edge, ())[:MOST_TOLD])
        except (OSError, TimeoutError, ValueError):
            return None
        if not answer.get("ok"):
            return None
        self._heard_s[edge] = self._clock.now().mono_s
        records = answer.get("records")
        self._are_alone.discard(edge)
        if records is not None:
            self._are_alone.add(edge)
            self._alone_s[edge] = self._heard_s[edge]
        if not self._is_alone() or not isinstance(records, list):
            return answer
        if since != _NOTHING:
            self._take(edge, records)
            self._since[edge] = _revision_in(answer, since)
        with contextlib.suppress(msgspec.ValidationError):
            self._on_holding(edge, msgspec.convert(answer.get("holding"), Holding))
        return answer

    def _take(self, edge: EdgeId, records: Iterable[object]) -> None:
        """Take in what a sister has written, as far as it is hers to say now."""
        before, said = self._told.get(edge, {}), list(_readable(records))
        fresh = [told for told in said if told != before.get(told.key)]
        taken = self._on_told(edge, [told.change() for told in fresh]) if fresh else frozenset()
        # Of what she said before that she speaks again only when she has written it anew.
        self._told[edge] = {
            told.key: told for told in said if told.key in taken or told == before.get(told.key)
        }
        left = [told.key for told in fresh if told.key not in taken]
        # As she says it then, if it is hers to say yet: what stands here may have become hers.
        self._untaken[edge] = [*self._untaken.get(edge, [])[MOST_TOLD:], *left]


def _agents_in(answer: Mapping[str, object]) -> Collection[AgentId] | None:
    """Return whom a sister has given to calls; None: she does not say, or says all but that."""
    try:
        return msgspec.convert(answer.get("holding"), Holding).agents
    except msgspec.ValidationError:
        return None


def _revision_in(answer: Mapping[str, object], since: int) -> int:
    """Return up to where a sister has told all by now."""
    revision = answer.get("revision")
    return max(since, revision) if isinstance(revision, int) else since


def _readable(records: Iterable[object]) -> Iterator[Told]:
    """Yield the records of a sister as far as this version reads them."""
    for each in records:
        with contextlib.suppress(msgspec.ValidationError):
            yield msgspec.convert(each, Told)


async def _request(path: Path, since: int, again: Sequence[str]) -> Mapping[str, object]:
    reader, writer = await asyncio.open_unix_connection(path, limit=MOST_BYTES)
    try:
        asked = {"cmd": "alone", "since": since, "again": list(again)}
        writer.write(json.dumps(asked).encode() + b"\n")
        answer = json.loads(await reader.readline())
    finally:
        writer.close()
    return answer if isinstance(answer, dict) else {}
