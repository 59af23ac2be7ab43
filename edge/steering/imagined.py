"""Imagined callers who come as those of late did, for the real matcher to serve. PURE.

Chance is a function of the seed and of who asks (BLAKE2b of both, as a fraction), so that the same
seed gives the same callers whatever is supposed of sites and rules: two predictions differ by what
is supposed, and not by luck (common random numbers; A. M. Law, "Simulation Modeling and Analysis",
5th ed., section 11.2).

Gaps between calls and talks are exponential, as Erlang's formulas have them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from math import log
from typing import Final, TypeAlias

from msgspec import Struct

from edge.acd.simulation import Caller
from edge.steering.coming import RING_S, Coming, Stream
from state.model import CallId, CallRecord, EdgeId, Now, Outcome, SiteId, TicketState
from state.snapshot import Snapshot

_BITS: Final = 53
"""A float holds so many exactly."""

Serving: TypeAlias = Mapping[tuple[SiteId, str], tuple[tuple[EdgeId, SiteId], ...]]
"""By the site that gets a call, and its number: who serves it, each as often as its turn comes."""


class Horizon(Struct, frozen=True, kw_only=True):
    """How many callers are imagined, and when."""

    seed: int
    seconds: float
    most_calls: int

    def seconds_at(self, calls_per_s: float) -> float:
        """Return how long callers come, at such a rate of all."""
        return min(self.seconds, self.most_calls / calls_per_s) if calls_per_s > 0.0 else 0.0


def callers(what: Coming, serving: Serving, now: Now, horizon: Horizon) -> Iterator[Caller]:
    """Yield those who come from now on, by arrival."""
    rate = sum(each.calls for each in what.streams) / what.seconds
    ends_s = horizon.seconds_at(rate)
    found: list[tuple[float, Caller]] = []
    for stream in what.streams:
        found += _of_stream(stream, stream.calls / what.seconds, serving, now, (ends_s, horizon))
    yield from (caller for _, caller in sorted(found, key=lambda each: each[0]))


def _of_stream(
    stream: Stream,
    calls_per_s: float,
    serving: Serving,
    now: Now,
    until: tuple[float, Horizon],
) -> Iterator[tuple[float, Caller]]:
    ends_s, horizon = until
    turns = serving.get((stream.via, stream.did), ())
    name, number, at_s = f"{horizon.seed}/{stream.did}/{stream.via}/{stream.queue}", 0, 0.0
    while turns:
        at_s += exponential(1.0 / calls_per_s, f"{name}/{number}/gap")
        if at_s >= ends_s:
            return
        talk_s = exponential(stream.talk_s, f"{name}/{number}/talk")
        place = int(fraction(f"{name}/{number}/edge") * len(turns))
        yield (
            at_s,
            _caller(
                f"{name}/{number}", stream, now.wall_ms + round(at_s * 1000), talk_s, turns[place]
            ),
        )
        number += 1


def under_way(  # noqa: PLR0913, PLR0917 - what is, and what is supposed
    snapshot: Snapshot,
    what: Coming,
    serving: Serving,
    lit: Mapping[EdgeId, SiteId],
    now: Now,
    seed: int,
) -> Iterator[Caller]:
    """Yield the calls that there are, as they begin again now: who talks first, then who waits.

    How long they still talk is what a talk takes in all: exponential times have no memory. `lit`:
    the edges that live. Calls stay at a site that has one, although those to come may go elsewhere,
    as when it drains. Who talked at another is cut off, and comes no more; who waited comes again.
    """
    talk_s = {each.queue: each.talk_s for each in what.streams}
    usual_s = sum(talk_s.values()) / len(talk_s) if talk_s else 0.0
    edges = {site: edge for edge, site in sorted(lit.items(), reverse=True)}
    tickets = sorted(
        (entry.value for entry in snapshot.tickets.values()),
        key=lambda each: (each.state is not TicketState.CONNECTED, each.arrived_ms, each.call),
    )
    for ticket in tickets:
        is_talking = ticket.state is TicketState.CONNECTED
        turns = serving.get((ticket.via, ticket.did), ())
        if ticket.site in edges:
            stays = ticket.holder if lit.get(ticket.holder) == ticket.site else edges[ticket.site]
            own = stays, ticket.site
        elif turns and not is_talking:
            own = turns[0]
        else:
            continue
        stream = Stream(
            did=ticket.did,
            via=ticket.via,
            queue=ticket.queue,
            calls=1,
            talk_s=0.0,
            ring_s=0.0 if is_talking else RING_S,
        )
        name = f"{seed}/{ticket.call}"
        left_s = exponential(talk_s.get(ticket.queue, usual_s), f"{name}/talk")
        yield _caller(name, stream, now.wall_ms + (0 if is_talking else 1), left_s, own)


def _caller(
    name: str, stream: Stream, arrived_ms: int, talk_s: float, holder: tuple[EdgeId, SiteId]
) -> Caller:
    edge, site = holder
    return Caller(
        record=CallRecord(
            call=CallId(hashlib.blake2b(name.encode(), digest_size=12).hexdigest()),
            did=stream.did,
            queue=stream.queue,
            outcome=Outcome.ANSWERED,
            cause="imagined",
            edge=edge,
            site=site,
            via=stream.via,
            sip_call_id=f"imagined-{name}",
            arrived_ms=arrived_ms,
            queued_ms=arrived_ms,
            connected_ms=None,
            ended_ms=arrived_ms,
        ),
        greeting_ms=0,
        patience_ms=None,
        is_cut_off=False,
        ring_ms=round(stream.ring_s * 1000),
        talk_ms=round(talk_s * 1000),
        lets_ring=frozenset(),
    )


def exponential(mean: float, name: str) -> float:
    """Return the exponential time that belongs to a name."""
    return -mean * log(1.0 - fraction(name))


def fraction(name: str) -> float:
    """Return the number in [0, 1) that belongs to a name."""
    drawn = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    return (drawn >> (64 - _BITS)) / 2.0**_BITS
