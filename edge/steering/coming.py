"""What comes: how many calls a second, by number and by the site whose proxy gets them. PURE.

Owns what recent records say of the calls to come. What becomes of them is `prediction`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.service_level import talk_s
from edge.steering.capacity import Demand
from state.model import CallRecord, DidNumber, QueueId, SiteId
from state.snapshot import Snapshot

LEAST_MS: Final = 10_000
"""A center that has just opened is looked at for so long at least."""
RING_S: Final = 1.0
"""Where no call tells."""
TALK_S: Final = 180.0
"""Where no call tells: a usual talk."""
LONGEST_RING_S: Final = 120.0
"""Nobody rings for longer: a clock was set meanwhile."""


class Stream(Struct, frozen=True, kw_only=True):
    """Calls of one number that come to one site's proxy."""

    did: DidNumber
    via: SiteId
    queue: QueueId
    """Where they waited."""
    calls: int
    talk_s: float
    """On average, of its queue's calls; of all, where none of its queue's was answered; where none
    was at all, a usual one."""
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


def coming(records: Iterable[CallRecord], now_ms: int, window_s: float) -> Coming:
    """Return what came in the last `window_s`, or since the first call if that is less long ago.

    Whom the center called back did not come by themselves. Where nobody was answered nothing tells
    how long a talk is, and a caller or two who gave up are no rush: they came in the whole while.
    """
    known = [each for each in records if each.callback_of is None and each.arrived_ms <= now_ms]
    first_ms = min((each.arrived_ms for each in known), default=now_ms)
    begins_ms = now_ms - round(window_s * 1000)
    from_ms = max(begins_ms, min(first_ms, now_ms - LEAST_MS))
    recent = [each for each in known if each.arrived_ms >= from_ms]
    counts: defaultdict[tuple[DidNumber, SiteId, QueueId], int] = defaultdict(int)
    talks: defaultdict[QueueId, list[float]] = defaultdict(list)
    for each in recent:
        counts[each.did, each.via, each.queue] += 1
        if each.connected_ms is not None:
            talks[each.queue].append(talk_s(each))
    everybody = [talk for some in talks.values() for talk in some]
    rings = [ring_s for each in recent if (ring_s := _ring_s(each)) is not None]
    streams = tuple(
        Stream(
            did=did,
            via=via,
            queue=queue,
            calls=calls,
            talk_s=fmean(talks[queue] or everybody or (TALK_S,)),
            ring_s=fmean(rings) if rings else RING_S,
        )
        for (did, via, queue), calls in sorted(counts.items())
    )
    if counts and not everybody:
        from_ms = begins_ms
    return Coming(from_ms=from_ms, to_ms=now_ms, streams=streams)


def _ring_s(record: CallRecord) -> float | None:
    if record.decision is None or record.connected_ms is None:
        return None
    ring_s = (record.connected_ms - record.decision.wall_ms) / 1000
    return ring_s if 0.0 <= ring_s <= LONGEST_RING_S else None


def redirected(what: Coming, before: Snapshot, after: Snapshot) -> Coming:
    """Return the same calls as they come when their numbers lead elsewhere, or out of the center.

    Streams that lead into one queue then are one: a stream's name is what its callers are drawn by.
    """
    found: dict[tuple[DidNumber, SiteId, QueueId], Stream] = {}
    for each in what.streams:
        did = after.dids.get(each.did)
        if did is not None and did.value.forward:
            continue
        led = _led(each, before, after)
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


def _led(stream: Stream, before: Snapshot, after: Snapshot) -> Stream:
    was, now = before.dids.get(stream.did), after.dids.get(stream.did)
    if was is None or now is None:
        return stream
    to = stream.queue
    if stream.queue == was.value.queue:
        to = now.value.queue
    elif stream.queue == was.value.closed_queue and now.value.closed_queue is not None:
        to = now.value.closed_queue
    return replace(stream, queue=to)


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
