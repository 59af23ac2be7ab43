"""What a site that served without a quorum writes once it is back: transactions, as values. PURE.

Owns how what was done is laid over what the others have done meanwhile. Knows nothing of when.

The laws:

- The edge that holds a call knows its truth. A record that a survivor wrote because the edge seemed
  dead (`edge_died`) was a guess: it makes room; so does that of a sister whose caller cancelled, if
  this edge has more to say (`edge.acd.yielding`). Any other record, and another's ticket, stands:
  then the call was served elsewhere, and what was done here is not written.
- Each plan compares everything that it read, so that it lands once; made anew from what it then
  finds, it has nothing left to do.
- Of a call that it neither holds nor has written alone an edge knows nothing: its copy was old.
- What was not written alone is the store's to say: an attempt from before, of which nobody heard,
  may have landed there. Only what a survivor's guess took away is put back.
- An agent is given to a call only if nobody else was given them: a reservation that the majority
  made meanwhile is refused at the gate and given back, and until then the plan waits.
- What stands in the store in a call's name once it is merged is what the call goes on with, and so
  is the work of the agents who are given to it there, whoever wrote it (`held_revisions`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.abandoned import Holds, holds_all
from edge.acd.merged_places import had_told, place_key, place_left, place_of, places_had
from edge.acd.yielding import is_guess, is_owed, yields
from state import keys
from state.codec import decode, encode
from state.errors import CodecError
from state.keys import call_of_ended
from state.model import AgentId, CallId, EdgeId, Offer, Ticket, Work, WorkEnd
from state.overlay import ALONE_FROM, Overlay
from state.raw import KeyValue
from state.store import Absent, Compare, Delete, ModIs, Put

Found = Mapping[str, KeyValue | None]
"""What the shared store has at the keys that were asked for."""


class LocalCall(Struct, frozen=True, kw_only=True):
    """One call as this edge left it, or holds it."""

    call: CallId
    edge: EdgeId
    ticket: KeyValue | None
    """None: it is over."""
    record: KeyValue | None
    place_key: str
    """Where its caller's place is kept: of who is called back, that of the first lost call."""
    place: KeyValue | None
    had: tuple[KeyValue, ...]
    """That its caller has had the places of other calls, which were left behind, or cut off."""
    offers: Mapping[AgentId, KeyValue]
    works: Mapping[AgentId, KeyValue | None]
    """Of the agents in `offers`: their offers will end on these revisions."""
    done: Mapping[AgentId, KeyValue]
    """What agents who are in no call of this site have done without a quorum."""
    written: frozenset[str]
    """Which of their keys were written, or deleted, without a quorum."""

    @property
    def order(self) -> tuple[int, CallId]:
        """Who came first here."""
        return (0 if self.ticket is None else self.ticket.create_revision, self.call)


class Settled(Struct, frozen=True):
    """Nothing is left to write."""


class Elsewhere(Struct, frozen=True):
    """Another edge has the call, or had it: what was done here does not count."""


class Contested(Struct, frozen=True):
    """Another call has been given the agent; its edge will give them back."""

    agent: AgentId


class Merge(Struct, frozen=True, kw_only=True):
    """A transaction."""

    compares: tuple[Compare, ...]
    success: tuple[Put | Delete, ...]


def local_calls(overlay: Overlay, edge: EdgeId, holds: Holds = holds_all) -> tuple[LocalCall, ...]:
    """Return the calls that this edge answers for, in the order in which they came."""
    snapshot = overlay.snapshot
    own = (call for call, each in snapshot.tickets.items() if each.value.holder == edge)
    held = {call for call in own if holds(call) or keys.ticket(call) in overlay.written}
    ours = (record for key, record in overlay.ended.items() if overlay.written.get(key))
    over = {call_of_ended(record.key) for record in ours if is_owed(overlay, record, edge)}
    offers: dict[CallId, dict[AgentId, KeyValue]] = {}
    for agent, offer in snapshot.offers.items():
        if offer.value.edge == edge:
            offers.setdefault(offer.value.call, {})[agent] = snapshot.raw[keys.offer(agent)]
    written = (key for key in overlay.written if key.startswith(keys.WORK))
    works = {AgentId(key.removeprefix(keys.WORK)): overlay.record(key) for key in written}
    free = works.keys() - snapshot.offers.keys()
    done = {agent: work for agent, work in works.items() if work is not None and agent in free}
    had, marks = places_had(overlay), frozenset(overlay.written)
    places = {call: place_key(overlay, call) for call in held | over}
    calls = (
        LocalCall(
            call=call,
            edge=edge,
            ticket=snapshot.raw.get(keys.ticket(call)) if call in held else None,
            record=overlay.ended.get(keys.ended(call)),
            place_key=place,
            # What was not written alone a survivor left: a next life's copy begins with that.
            place=snapshot.raw.get(place) if place in marks else None,
            had=had.get(call, ()),
            offers=offers.get(call, {}),
            works={agent: snapshot.raw.get(keys.work(agent)) for agent in offers.get(call, {})},
            done=done,
            written=marks,
        )
        for call, place in places.items()
    )
    return tuple(sorted(calls, key=lambda each: each.order))


def works_done(overlay: Overlay) -> tuple[KeyValue, ...]:
    """Return the work records that this edge, or one that has told it, has written.

    Else this edge would take whoever has talked at a sister to be rested until she merges, too. But
    not those of agents who are in a call: whoever holds that merges them with it.
    """
    return tuple(
        record
        for key in overlay.written
        if key.startswith(keys.WORK)
        and AgentId(key.removeprefix(keys.WORK)) not in overlay.snapshot.offers
        and (record := overlay.record(key)) is not None
    )


def keys_of(
    local: LocalCall, in_store: Mapping[AgentId, Offer], before: Collection[AgentId] = ()
) -> tuple[str, ...]:
    """Return what to read before `merge_call`.

    `in_store`: the offers that the others show. `before`: agents of whom an earlier try to merge
    this call has spoken; it may have written their offers.
    """
    agents = set(local.offers) | set(before)
    agents |= {
        agent
        for agent, offer in in_store.items()
        if offer.call == local.call and offer.edge == local.edge
    }
    works = set(local.works) | agents & set(local.done)
    return (
        keys.ticket(local.call),
        keys.ended(local.call),
        local.place_key,
        *(each.key for each in local.had),
        *(keys.offer(agent) for agent in sorted(agents)),
        *(keys.work(agent) for agent in sorted(works)),
    )


def agents_in(names: Collection[str]) -> frozenset[AgentId]:
    """Return the agents whose offers are among some keys."""
    return frozenset(map(_agent, filter(_is_offer, names)))


def merge_call(
    local: LocalCall, found: Found, revision: int
) -> Merge | Settled | Elsewhere | Contested:
    """Return what makes the store say of a call what this edge knows.

    `revision` is one of the store, behind everybody who waits there: the place of a caller who
    never had one in the store and lost it.
    """
    ticket, record = found[keys.ticket(local.call)], found[keys.ended(local.call)]
    if local.ticket is None and local.record is None:
        return Settled()
    if record is not None and local.record is not None and record.value == local.record.value:
        return Settled()
    if not _is_ours(local, ticket, record):
        return Elsewhere()
    wanted = _wanted(local, found)
    contested = [key for key, want in wanted.items() if want and _is_anothers(key, found, local)]
    if contested:
        # An agent of ours may be another call's now, which would wait for us as we wait for them.
        return _given_back(local, found, wanted) or Contested(_agent(contested[0]))
    compares, success = had_told(local.had, found)
    compares += [_same(keys.ticket(local.call), ticket), _same(keys.ended(local.call), record)]
    for key, want in wanted.items():
        if want is None and _is_offer(key) and not _is_own(found[key], local):
            continue
        compares.append(_same(key, found[key]))
        success += _made(key, want, found[key])
    if local.ticket is None:
        success += _over(local, found, revision)
    elif not _is_told(local, local.ticket.key, ticket):
        success += _standing(local, found)
    return Merge(compares=tuple(compares), success=tuple(success)) if success else Settled()


def _is_anothers(key: str, found: Found, local: LocalCall) -> bool:
    """Tell whether an offer stands for another call."""
    return _is_offer(key) and found[key] is not None and not _is_own(found[key], local)


def _given_back(
    local: LocalCall, found: Found, wanted: Mapping[str, KeyValue | None]
) -> Merge | None:
    """Return what frees the agents whom the call has no more; None: nothing."""
    gone = [key for key in found if _is_offer(key) and key in wanted and wanted[key] is None]
    gone = [key for key in gone if _is_own(found[key], local)]
    if not gone:
        return None
    works = [key for key in map(keys.work, map(_agent, gone)) if key in wanted]
    ticket = keys.ticket(local.call)
    changed = [(key, wanted[key]) for key in (*gone, *works)]
    return Merge(
        compares=(
            _same(ticket, found[ticket]),
            *(_same(key, found[key]) for key, _ in changed),
        ),
        success=tuple(each for key, want in changed for each in _made(key, want, found[key])),
    )


def _wanted(local: LocalCall, found: Found) -> Mapping[str, KeyValue | None]:
    """Return the agents' records as this edge would have them, where it is its word that counts."""
    wanted = {key: local.offers.get(_agent(key)) for key in found if _is_offer(key)}
    # Of whom the copy gave to the call, it may be older than what they had done before.
    works = local.works.items()
    wanted |= {keys.work(agent): work for agent, work in works if not _is_old(local, agent)}
    for agent in agents_in(found) & local.done.keys():
        # With an offer that ends goes what its agent has done, as everywhere.
        if _is_own(found[keys.offer(agent)], local):
            wanted[keys.work(agent)] = local.done[agent]
    ticket = found[keys.ticket(local.call)]
    # Who has a call that is over, or was given or put back alone, this edge knows: also of an offer
    # that its copy was too old to show.
    is_known = local.ticket is None or keys.ticket(local.call) in local.written
    return {
        key: want
        for key, want in wanted.items()
        if not _is_told(local, key, ticket) or (_is_offer(key) and is_known)
    }


def _is_old(local: LocalCall, agent: AgentId) -> bool:
    return keys.work(agent) not in local.written and keys.offer(agent) in local.written


def held_revisions(
    local: LocalCall, found: Found, held: Mapping[str, KeyValue | None]
) -> Mapping[tuple[str, int], int]:
    """Return (key, mod_revision as the call holds it) -> as the store has it, once it is merged.

    `found` is what stands there then; `held` the same keys as this edge has them.
    """
    ticket = found[keys.ticket(local.call)]
    ours = {key for key in found if _is_offer(key) and _is_own(found[key], local)}
    if ticket is not None and _holder(ticket) == local.edge:
        ours.add(ticket.key)
    # Of an agent who is given to a call nobody else writes what they do: it ends on what is there.
    ours |= {keys.work(agent) for agent in agents_in(ours)} & found.keys()
    revisions = {}
    for key in ours:
        record, mine = found[key], held[key]
        if mine is None and _is_offer(key):
            # Nobody here holds it; that there is none is compared by whoever reserves the agent.
            continue
        was, is_now = (0 if each is None else each.mod_revision for each in (mine, record))
        if was != is_now:
            revisions[key, was] = is_now
    return revisions


def keys_of_work(work: KeyValue) -> tuple[str, str]:
    """Return what to read before `merge_work`."""
    return work.key, keys.offer(AgentId(work.key.removeprefix(keys.WORK)))


def merge_work(work: KeyValue, found: Found, base: KeyValue | None = None) -> Merge | Settled:
    """Return what makes the store know what an agent has done.

    Nothing, if they have been given to a call since: that offer ends on the record as it is.
    `base`: what the store had when this edge began to serve alone, None: nobody knows. If it has
    that yet, what was done alone came after it, whatever the clocks said.
    """
    key, offer = keys_of_work(work)
    have = found[key]
    success = tuple(_put_unless_same(key, work.value, have))
    if not success or found[offer] is not None or _is_later(have, work, base):
        return Settled()
    return Merge(compares=(_same(key, have), Absent(key=offer)), success=success)


# ---- parts ---------------------------------------------------------------------------------------


def _is_offer(key: str) -> bool:
    return key.startswith(keys.OFFER)


def _agent(offer: str) -> AgentId:
    return AgentId(offer.removeprefix(keys.OFFER))


def _is_ours(local: LocalCall, ticket: KeyValue | None, record: KeyValue | None) -> bool:
    makes_room = record is None or is_guess(record, local.edge)
    if not makes_room and (yields(local.record) or not yields(record)):
        return False
    return ticket is None or _holder(ticket) == local.edge


def _is_told(local: LocalCall, key: str, ticket: KeyValue | None) -> bool:
    """Tell whether the store has the last word: the call stands there, and the key is as it was."""
    return ticket is not None and key not in local.written


def _standing(local: LocalCall, found: Found) -> list[Put | Delete]:
    """Return the writes for a call that goes on."""
    mine = local.ticket
    if mine is None:
        return []
    ticket, record = found[mine.key], found[keys.ended(local.call)]
    value = decode(Ticket, mine.value, mine.key)
    place = value.place
    if place is not None and place >= ALONE_FROM:
        place = None
    if place is None:
        place = place_of(mine, ticket, found[local.place_key])
    text = encode(replace(value, place=place))
    gone: list[Put | Delete] = []
    if record is not None:
        gone = [Delete(key=record.key), *_made(local.place_key, None, found[local.place_key])]
    return [*_put_unless_same(mine.key, text, ticket), *gone]


def _over(local: LocalCall, found: Found, revision: int) -> list[Put | Delete]:
    """Return the writes for a call that has ended."""
    mine = local.record
    if mine is None:
        return []
    ticket, record = keys.ticket(local.call), found[keys.ended(local.call)]
    gone = _made(ticket, None, found[ticket])
    was_closed = record is not None and is_guess(record, local.edge)
    there = found[local.place_key]
    left = place_left(local.place, there, revision, was_closed=was_closed)
    kept = _made(local.place_key, left, there)
    return [Put(key=mine.key, value=mine.value), *gone, *kept]


def _same(key: str, have: KeyValue | None) -> Compare:
    return Absent(key=key) if have is None else ModIs(key=key, mod_revision=have.mod_revision)


def _made(key: str, want: KeyValue | None, have: KeyValue | None) -> list[Put | Delete]:
    """Return what makes a key be as it is here."""
    if want is not None:
        return _put_unless_same(key, want.value, have)
    return [] if have is None else [Delete(key=key)]


def _put_unless_same(key: str, value: bytes, have: KeyValue | None) -> list[Put | Delete]:
    return [] if have is not None and have.value == value else [Put(key=key, value=value)]


def _is_later(have: KeyValue | None, work: KeyValue, base: KeyValue | None) -> bool:
    """Tell whether the store knows of later work, which an edge of the same host has written.

    What others offered in vain, as the gate refused it, is none beside a talk.
    """
    if have is None or (base is not None and have.mod_revision <= base.mod_revision):
        return False
    mine = decode(Work, work.value, work.key)
    try:
        theirs = decode(Work, have.value, have.key)
    except CodecError:
        return False
    is_in_vain = theirs.end is WorkEnd.WITHDRAWN and theirs.calls < mine.calls
    return theirs.ended_ms > mine.ended_ms and not is_in_vain


def _holder(ticket: KeyValue) -> EdgeId | None:
    try:
        return decode(Ticket, ticket.value, ticket.key).holder
    except CodecError:
        return None


def _is_own(offer: KeyValue | None, local: LocalCall) -> bool:
    if offer is None:
        return False
    try:
        value = decode(Offer, offer.value, offer.key)
    except CodecError:
        return False
    return (value.call, value.edge) == (local.call, local.edge)
