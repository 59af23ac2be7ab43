"""What comes: how many calls a second, by number and by the site whose proxy gets them. PURE.

Owns what recent calls say of those to come. What becomes of them is `prediction`'s.

Calls that are on have come, too, and have no record yet: where talks take five minutes, nearly half
of those of the last ten. Those that are over by then are the short ones. So a talk is taken to last
as long as all have talked so far, by how many talks are over: the most likely mean of exponential
times of which some are not seen to their end (Lawless, "Statistical Models and Methods for Lifetime
Data", 2nd ed., section 4.1). But not for longer than the longest so far: when a center opens a few
are over and many are on, which says little.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.admission import CLOSED
from edge.acd.handling import talk_s
from edge.acd.hours import is_closed
from edge.acd.present import talked_s
from edge.steering.capacity import Demand
from state.model import CallRecord, DidNumber, Now, QueueId, SiteId, Ticket
from state.snapshot import Snapshot

LEAST_MS: Final = 10_000
"""A center that has just opened is looked at for so long at least."""
RING_S: Final = 1.0
"""Where no call tells."""
TALK_S: Final = 180.0
"""Where no call tells: a usual talk."""
LONGEST_RING_S: Final = 120.0
"""Nobody rings for longer: a clock was set meanwhile."""

MORE: Final = 0.05
"""What comes is not known to such a part..."""
MORE_AGENTS: Final = 0.5
"""...or, of much, to so many agents' work."""

_Call: TypeAlias = CallRecord | Ticket


class Stream(Struct, frozen=True, kw_only=True):
    """Calls of one number that come to one site's proxy."""

    did: DidNumber
    via: SiteId
    queue: QueueId
    """Where they waited."""
    calls: int
    talk_s: float
    """On average, of its queue's calls; of all, where no talk of its queue is over; where none is
    at all, a usual one."""
    ring_s: float = RING_S
    """How long it rings until an agent answers, on average of all calls."""


class Coming(Struct, frozen=True, kw_only=True):
    """All that came in a while."""

    from_ms: int
    to_ms: int
    streams: tuple[Stream, ...]

    @property
    def seconds(self) -> float:
        """How long the while was."""
        return max(1.0, (self.to_ms - self.from_ms) / 1000)


def coming(
    records: Iterable[CallRecord],
    now_ms: int,
    window_s: float,
    *,
    on: Iterable[Ticket] = (),
    known_from_ms: int | None = None,
) -> Coming:
    """Return what came in the last `window_s`, or since the first call if that is less long ago.

    `on`: the calls that are not over; of one that has a record by now, that tells. `known_from_ms`:
    of who came earlier not all records are here. Whom the center
    called back did not come by themselves, and who found it closed came to no queue. Where no talk
    is over nothing tells how long one is, and a caller or two who gave up are no rush: they came in
    the whole while.
    """
    known = [each for each in records if _came(each, now_ms) and each.cause != CLOSED]
    over = {each.call for each in known}
    there = [each for each in on if _came(each, now_ms) and each.call not in over]
    everybody: list[_Call] = [*known, *there]
    first_ms = min((each.arrived_ms for each in everybody), default=now_ms)
    begins_ms = max(now_ms - round(window_s * 1000), known_from_ms or 0)
    from_ms = max(begins_ms, min(first_ms, now_ms - LEAST_MS))
    recent = [each for each in known if each.arrived_ms >= from_ms]
    still = [each for each in there if each.arrived_ms >= from_ms]
    lately = (each for each in everybody if each.arrived_ms >= from_ms)
    counts = Counter((each.did, each.via, each.queue) for each in lately)
    talks = _Talks(recent, still, now_ms)
    rings = [ring_s for each in recent if (ring_s := _ring_s(each)) is not None]
    streams = tuple(
        Stream(
            did=did,
            via=via,
            queue=queue,
            calls=calls,
            talk_s=talks.mean_s(queue),
            ring_s=fmean(rings) if rings else RING_S,
        )
        for (did, via, queue), calls in sorted(counts.items())
    )
    if counts and not talks.are_known:
        from_ms = begins_ms
    return Coming(from_ms=from_ms, to_ms=now_ms, streams=streams)


def _came(call: _Call, now_ms: int) -> bool:
    return call.callback_of is None and call.arrived_ms <= now_ms


class _Talks:
    """How long talks last, by queue."""

    def __init__(self, over: Iterable[CallRecord], still: Iterable[Ticket], now_ms: int) -> None:
        self._ended: Counter[QueueId] = Counter()
        self._talked_s: defaultdict[QueueId, float] = defaultdict(float)
        self._longest_s: defaultdict[QueueId, float] = defaultdict(float)
        for record in over:
            if record.connected_ms is not None:
                self._ended[record.queue] += 1
                self._note(record.queue, talk_s(record))
        for ticket in still:
            self._note(ticket.queue, talked_s(ticket, now_ms) or 0.0)

    def _note(self, queue: QueueId, seconds: float) -> None:
        self._talked_s[queue] += seconds
        self._longest_s[queue] = max(self._longest_s[queue], seconds)

    @property
    def are_known(self) -> bool:
        """Whether one is over."""
        return bool(self._ended)

    def mean_s(self, queue: QueueId) -> float:
        """Return how long one of a queue takes."""
        if queue in self._ended:
            return min(self._talked_s[queue] / self._ended[queue], self._longest_s[queue])
        if self._ended:
            mean_s = sum(self._talked_s.values()) / self._ended.total()
            return min(mean_s, max(self._longest_s.values()))
        return TALK_S


def _ring_s(record: CallRecord) -> float | None:
    if record.decision is None or record.connected_ms is None:
        return None
    ring_s = (record.connected_ms - record.decision.wall_ms) / 1000
    return ring_s if 0.0 <= ring_s <= LONGEST_RING_S else None


def redirected(what: Coming, before: Snapshot, after: Snapshot, now: Now) -> Coming:
    """Return the same calls as they come when their numbers lead elsewhere, or out of the center.

    To a number that is closed by `now` nobody comes, or all to its queue for that hour. Streams
    that lead into one queue then are one: a stream's name is what its callers are drawn by.
    """
    found: dict[tuple[DidNumber, SiteId, QueueId], Stream] = {}
    for each in what.streams:
        led = _led(each, before, after, now)
        if led is None:
            continue
        key = led.did, led.via, led.queue
        found[key] = led if key not in found else _together(found[key], led)
    return replace(what, streams=tuple(found.values()))


def _together(one: Stream, other: Stream) -> Stream:
    calls = one.calls + other.calls
    return replace(
        one,
        calls=calls,
        talk_s=(one.calls * one.talk_s + other.calls * other.talk_s) / calls,
        ring_s=(one.calls * one.ring_s + other.calls * other.ring_s) / calls,
    )


def _led(stream: Stream, before: Snapshot, after: Snapshot, now: Now) -> Stream | None:
    was, did = before.dids.get(stream.did), after.dids.get(stream.did)
    if did is None:
        return stream
    if did.value.forward:
        return None
    if is_closed(after, did.value, now):
        to = did.value.closed_queue
        return None if to is None else replace(stream, queue=to)
    if was is None or stream.queue not in {was.value.queue, was.value.closed_queue}:
        # Where a limit or an agent has sent them, they may be sent again.
        return stream
    return replace(stream, queue=did.value.queue)


def demand_of(what: Coming, snapshot: Snapshot) -> Mapping[QueueId, Demand]:
    """Return the load that this is for each queue, ringing and wrap-up included."""
    calls: defaultdict[QueueId, int] = defaultdict(int)
    busy_s: defaultdict[QueueId, float] = defaultdict(float)
    for stream in what.streams:
        calls[stream.queue] += stream.calls
        busy_s[stream.queue] += stream.calls * (stream.ring_s + stream.talk_s)
    return {
        queue: Demand(
            calls_per_s=count / what.seconds,
            handling_s=busy_s[queue] / count + snapshot.queues[queue].value.wrap_up_s,
        )
        for queue, count in calls.items()
        if queue in snapshot.queues
    }


def heavier(what: Coming, snapshot: Snapshot) -> Coming:
    """Return the same calls with a little more to do for each queue: by `MORE`, or `MORE_AGENTS`.

    By what is less. Talks are longer for it, so that everybody comes when they would.
    """
    demand = demand_of(what, snapshot)
    longer_s = {
        queue: each.handling_s * min(MORE, MORE_AGENTS / max(each.erlangs, 1e-9))
        for queue, each in demand.items()
    }
    streams = (
        replace(each, talk_s=each.talk_s + longer_s.get(each.queue, 0.0)) for each in what.streams
    )
    return replace(what, streams=tuple(streams))
