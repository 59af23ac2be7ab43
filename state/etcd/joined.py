"""Sends transactions to etcd one request at a time; those asked for meanwhile go together.

A request costs this process and the members far more than a transaction in it. So while one is on
its way the others wait, and then go as one transaction that has each of them nested inside: each
still with conditions and an outcome of its own, all at one revision. Under load the requests get
fewer; without load nothing waits, but what may: it goes with whatever comes next.

Where the store is **far**, waiting for the one on its way would double what the distance costs: so
every `PACE_S` a further request may begin, whatever is not back. Far is by the least that any of
the last requests took, which load does not raise: a slow store is not helped by more requests.

The laws:

- Only transactions that share no key go together, or are on their way at one time: none of them can
  see or spoil another's work, so that it is as if they had come one after the other.
- Those that name a lease, and large ones, go alone: etcd refuses the whole request for them.
- What is known of the request is known of each. Refused together, they are asked one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import Final

from state.errors import OutcomeUnknownError, RejectedError, StoreError, UnavailableError
from state.etcd import wire
from state.etcdpb import rpc_pb2 as pb
from state.nesting import keys_of
from state.store import Compare, Operation, Put, TxnResult

MOST_TOGETHER: Final = 96
"""A site that gets more calls than it can take does as many transactions a second as go in one
request by how long one takes: 50 to 100 ms on a busy machine. With 32 that was all it did."""
MOST_OPERATIONS: Final = 16
"""In one that goes with others: etcd takes 128 less those that go together."""

PACE_S: Final = 0.02
"""A store is far from twice as long a way, there and back, on; then requests begin so far apart."""
MOST_AWAY: Final = 8
"""So many requests on their way at once, at the most."""
REMEMBERED: Final = 64
"""The least time is of the last 64 to 128 requests ..."""
FIRST: Final = 8
"""... but at the beginning of the first eight, so that it is known soon."""

Send = Callable[[pb.TxnRequest], Awaitable[pb.TxnResponse]]


@dataclass(slots=True, eq=False)
class _Asked:
    """A transaction that waits."""

    request: pb.TxnRequest
    keys: frozenset[str]
    answer: asyncio.Future[TxnResult]
    due_s: float
    """By the loop's clock: until then it may be left for another to go with."""


class _Way:
    """How long the way to the store and back is, by what the requests take."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._least_s = inf
        self._left = FIRST

    def take(self, took_s: float) -> None:
        """Learn what one more took."""
        self._least_s = min(self._least_s, took_s)
        self._left -= 1
        if not self._left:
            self._before_s, self._least_s, self._left = self._least_s, inf, REMEMBERED

    @property
    def is_far(self) -> bool:
        """Whether to wait for one on its way is to wait for the distance."""
        return min(self._before_s, self._least_s) >= 2 * PACE_S


class Joiner:
    """Takes transactions; `send` carries one request out and raises as `Store.txn` does."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._away: list[frozenset[str]] = []
        """The keys of each request that is on its way, of those that can go with others."""
        self._waiting: deque[_Asked] = deque()
        self._drains: set[asyncio.Task[None]] = set()
        self._way = _Way()
        self._began_s = -inf
        self._alarm: asyncio.TimerHandle | None = None
        """Begins with those that wait, when the first of them no longer may, or the pace allows."""
        self.requests = 0
        self.transactions = 0

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation],
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Carry out one transaction; see `Store.txn`."""
        self.transactions += 1
        request = wire.txn_request(compares, success, failure)
        if not _may_join(compares, success, failure):
            return wire.txn_result(await self._sent(request))
        loop = asyncio.get_running_loop()
        keys = frozenset(keys_of(chain(compares, success, failure)))
        if self._away or self._drains or self._waiting or patience_s > 0:
            answer: asyncio.Future[TxnResult] = loop.create_future()
            self._waiting.append(_Asked(request, keys, answer, loop.time() + patience_s))
            self._go_on()
            return await answer
        self._began_s = loop.time()
        self._away.append(keys)
        try:
            return wire.txn_result(await self._sent(request))
        except UnavailableError as error:
            self._fail_waiting(error)
            raise
        finally:
            self._away.remove(keys)
            self._go_on()

    def close(self) -> None:
        """Fail whatever waits."""
        self._disarm()
        self._fail_waiting(UnavailableError("this etcd client was closed"))
        for each in self._drains:
            each.cancel()

    async def _sent(self, request: pb.TxnRequest) -> pb.TxnResponse:
        self.requests += 1
        began_s = asyncio.get_running_loop().time()
        reply = await self._send(request)
        self._way.take(asyncio.get_running_loop().time() - began_s)
        return reply

    def _go_on(self) -> None:
        """Begin with those that wait, if they may wait no longer; else see to it when they may."""
        self._disarm()
        from_s = self._may_begin_s()
        if not self._waiting or from_s == inf:
            return  # what is on its way goes on when it is back
        loop = asyncio.get_running_loop()
        at_s = max(from_s, min(each.due_s for each in self._waiting))
        if at_s > loop.time():
            self._alarm = loop.call_at(at_s, self._go_on)
            return
        self._began_s = loop.time()
        drain = asyncio.create_task(self._drain())
        self._drains.add(drain)
        drain.add_done_callback(self._drained)

    def _may_begin_s(self) -> float:
        """Return from when on one more request may begin, by the loop's clock."""
        under_way = max(len(self._away), len(self._drains))
        if not under_way:
            return -inf
        if under_way >= MOST_AWAY or not self._way.is_far:
            return inf
        return self._began_s + PACE_S

    def _is_due(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        return any(each.due_s <= now_s for each in self._waiting)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _drain(self) -> None:
        while self._is_due():
            together = self._next()
            if not together:
                return  # all who wait share a key with what is on its way
            keys = frozenset(chain.from_iterable(each.keys for each in together))
            self._away.append(keys)
            try:
                await self._carry_out(together)
            finally:
                self._away.remove(keys)

    def _drained(self, drain: asyncio.Task[None]) -> None:
        self._drains.discard(drain)
        self._go_on()

    def _next(self) -> list[_Asked]:
        """Take those from the front that may go together; what shares a key with one stays."""
        together: list[_Asked] = []
        left: deque[_Asked] = deque()
        keys: set[str] = set(chain.from_iterable(self._away))
        while self._waiting and len(together) < MOST_TOGETHER:
            asked = self._waiting.popleft()
            if asked.answer.done():
                continue  # who asked has gone, and nothing was done
            if keys.isdisjoint(asked.keys):
                together.append(asked)
            else:
                left.append(asked)
            # Also of one that stays: a later one must not overtake it.
            keys |= asked.keys
        self._waiting.extendleft(reversed(left))
        return together

    async def _carry_out(self, together: list[_Asked]) -> None:
        if len(together) == 1:
            await self._carry_out_alone(together[0])
            return
        try:
            reply = await self._sent(wire.joined_request([each.request for each in together]))
        except RejectedError:
            # One of them cannot be done, and etcd has done none.
            for each in together:
                await self._carry_out_alone(each)
        except StoreError as error:
            self._fail(together, error)
        else:
            results = wire.joined_results(reply)
            for asked, result in zip(together, results, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(result)
        finally:
            # Cut off, or a fault of ours: nobody is to wait for ever.
            self._fail(
                together, OutcomeUnknownError("etcd txn: broken off; read before asking again")
            )

    async def _carry_out_alone(self, asked: _Asked) -> None:
        try:
            result = wire.txn_result(await self._sent(asked.request))
        except StoreError as error:
            self._fail([asked], error)
        else:
            if not asked.answer.done():
                asked.answer.set_result(result)

    def _fail(self, together: Sequence[_Asked], error: StoreError) -> None:
        for asked in together:
            if not asked.answer.done():
                asked.answer.set_exception(error)
        if isinstance(error, UnavailableError):
            # Nobody is there: the rest need not wait in line to hear it.
            self._fail_waiting(error)

    def _fail_waiting(self, error: UnavailableError) -> None:
        while self._waiting:
            asked = self._waiting.popleft()
            if not asked.answer.done():
                asked.answer.set_exception(error)


def _may_join(
    compares: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> bool:
    if max(len(compares), len(success), len(failure)) > MOST_OPERATIONS:
        return False
    return not any(
        isinstance(each, Put) and each.lease is not None
        for part in (success, failure)
        for each in part
    )
