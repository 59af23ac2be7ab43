"""What agents' work on calls comes to: each formula by name, from the records of calls. PURE.

Owns handling time and occupancy. A record tells of each talk when it began and ended, for how long
its agent was to wrap up after it, and for how long they had been free before; who ended a wrap-up
early, or prolonged it, has that told beside the record (`Rested`). So the figures are the same
after a restart or a failover, and a queue that is configured otherwise later changes none of them.

Common to all:

- *talk* is the time for which an agent and the caller were joined, holds included; the music that
  a caller hears between two talks, of a call that was passed on, is nobody's;
- *wrap-up* is the rest after a talk as long as it really was. An agent who has the caller back,
  since nobody else could be had, wraps up once. Of a record that an older program has written it is
  the queue's as it is configured now;
- *handling* is both;
- *idle* is the time for which an agent was free since their last talk, also before calls in which
  they came to none. It is of the call that ended it: of the queue and in the interval of that one.
  An agent who gets no call at all is in no record, nor is the time after somebody's last call;
- a telephone that rings, a pause after one that rang in vain, and the consultation of a colleague
  are neither handling nor idle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from state.model import AgentId, CallRecord, QueueId, Rested, Talk

_MS = 1000.0
QueueWrapUps: TypeAlias = Mapping[QueueId, float]
"""The queues' wrap-ups as they are configured, in seconds: of records that do not tell."""


def talks_of(record: CallRecord) -> tuple[Talk, ...]:
    """Return the talks of a call in order, also of one that has a single one."""
    if record.talks or record.connected_ms is None or record.agent is None:
        return record.talks
    talk = Talk(
        agent=record.agent,
        since_ms=record.connected_ms,
        until_ms=record.ended_ms,
        site=record.agent_site,
        holds=record.holds,
        held_s=record.held_s,
        wrap_up_s=record.wrap_up_s,
        idle_s=record.idle_s,
    )
    return (talk,)


def talks_rested(record: CallRecord, queue_wrap_up_s: QueueWrapUps) -> Iterator[tuple[Talk, float]]:
    """Yield the talks of a call, each with the wrap-up after it: of some in a row, the last's."""
    for _, row in groupby(talks_of(record), key=lambda talk: talk.agent):
        *before, last = row
        yield from ((talk, 0.0) for talk in before)
        yield last, _known_s(last.wrap_up_s, record, queue_wrap_up_s)


def talk_s(record: CallRecord) -> float:
    """Return how long agents talked with the caller, all of them together; 0 when nobody did."""
    if record.connected_ms is None:
        return 0.0
    if record.talks:
        return sum(map(_talked_s, record.talks))
    return max(0.0, (record.ended_ms - record.connected_ms) / _MS)


def wrap_up_s(record: CallRecord, queue_wrap_up_s: QueueWrapUps) -> float:
    """Return how long agents wrapped up after a call, all of them together."""
    if record.connected_ms is None:
        return 0.0
    if not talks_of(record):
        # Somebody talked, and nobody knows who.
        return _known_s(record.wrap_up_s, record, queue_wrap_up_s)
    return sum(rest_s for _, rest_s in talks_rested(record, queue_wrap_up_s))


def told_wrap_up_s(record: CallRecord) -> float | None:
    """Return the same, where the record tells; None: it does not, or nobody talked."""
    talks = talks_of(record)
    if not talks or any(talk.wrap_up_s is None for talk in talks):
        return None
    return wrap_up_s(record, {})


def average_handling_time_s(
    records: Iterable[CallRecord], queue_wrap_up_s: QueueWrapUps
) -> float | None:
    """Return the mean of talk + wrap-up over answered calls (AHT), in seconds.

    Of a call that was passed on it is the time of all its agents.
    """
    answered = [record for record in records if record.connected_ms is not None]
    handled_s = sum(talk_s(each) + wrap_up_s(each, queue_wrap_up_s) for each in answered)
    return handled_s / len(answered) if answered else None


def occupancy(records: Iterable[CallRecord], queue_wrap_up_s: QueueWrapUps) -> float | None:
    """Return handling / (handling + idle), of the talks of which both are known."""
    found = [
        (_talked_s(talk) + rest_s, talk.idle_s)
        for record in records
        for talk, rest_s in talks_rested(record, queue_wrap_up_s)
    ]
    return _share_busy((busy_s, idle_s) for busy_s, idle_s in found if idle_s is not None)


# ---- of each agent -------------------------------------------------------------------------------


class AgentWork(Struct, frozen=True, kw_only=True):
    """What one agent did in some calls. None: nothing to count."""

    calls: int
    """In which they talked."""
    talk_s: float
    holds: int
    held_s: float
    wrap_up_s: float
    idle_s: float
    """As far as it is known."""
    aht_s: float | None
    """Their own handling of a call, on average."""
    occupancy: float | None


def works(records: Iterable[CallRecord], queue_wrap_up_s: QueueWrapUps) -> dict[AgentId, AgentWork]:
    """Return what each agent did, by id."""
    calls: dict[AgentId, int] = {}
    parts: dict[AgentId, list[tuple[Talk, float]]] = {}
    for record in records:
        found = tuple(talks_rested(record, queue_wrap_up_s))
        for talk, rest_s in found:
            parts.setdefault(talk.agent, []).append((talk, rest_s))
        for agent in {talk.agent for talk, _ in found}:
            calls[agent] = calls.get(agent, 0) + 1
    return {agent: _work(calls[agent], parts[agent]) for agent in sorted(parts)}


def _work(calls: int, parts: list[tuple[Talk, float]]) -> AgentWork:
    talked_s = sum(_talked_s(talk) for talk, _ in parts)
    rested_s = sum(rest_s for _, rest_s in parts)
    known = [(_talked_s(talk) + rest_s, talk.idle_s) for talk, rest_s in parts]
    return AgentWork(
        calls=calls,
        talk_s=talked_s,
        holds=sum(talk.holds for talk, _ in parts),
        held_s=sum(talk.held_s for talk, _ in parts),
        wrap_up_s=rested_s,
        idle_s=sum(idle_s for _, idle_s in known if idle_s is not None),
        aht_s=(talked_s + rested_s) / calls,
        occupancy=_share_busy((busy, idle) for busy, idle in known if idle is not None),
    )


# ---- wrap-ups that were not as they were to be ---------------------------------------------------


def as_rested(record: CallRecord, rested: Rested | None) -> CallRecord:
    """Return the record with its wrap-ups as long as they really were."""
    if rested is None:
        return record
    for rest in rested.rests:
        if not record.talks:
            if rest.agent == record.agent:
                record = replace(record, wrap_up_s=rest.rest_s)
            continue
        own = [n for n, talk in enumerate(record.talks) if talk.agent == rest.agent]
        # They are freed at, or a little after, the end of the talk that it is about.
        before = [n for n in own if record.talks[n].until_ms <= rest.since_ms] or own
        if before:
            talks = list(record.talks)
            talks[before[-1]] = replace(talks[before[-1]], wrap_up_s=rest.rest_s)
            record = replace(record, talks=tuple(talks))
    return record


# ---- parts ---------------------------------------------------------------------------------------


def _talked_s(talk: Talk) -> float:
    return max(0.0, (talk.until_ms - talk.since_ms) / _MS)


def _known_s(told_s: float | None, record: CallRecord, queue_wrap_up_s: QueueWrapUps) -> float:
    return max(0.0, queue_wrap_up_s.get(record.queue, 0.0) if told_s is None else told_s)


def _share_busy(known: Iterable[tuple[float, float]]) -> float | None:
    parts = tuple(known)
    busy_s = sum(busy for busy, _ in parts)
    whole_s = busy_s + sum(max(0.0, idle) for _, idle in parts)
    return busy_s / whole_s if whole_s > 0.0 else None
