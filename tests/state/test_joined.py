"""Transactions that wait go to etcd together, and nobody can tell but by the revisions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from state.errors import OutcomeUnknownError, RejectedError, StoreError, UnavailableError
from state.etcd import EtcdStore, wire
from state.etcd.joined import (
    FIRST,
    MOST_AWAY,
    MOST_OPERATIONS,
    MOST_TOGETHER,
    PACE_S,
    Joiner,
)
from state.etcdpb import rpc_pb2 as pb
from state.store import Absent, LeaseId, Operation, Put, TxnResult
from tests.edge.virtual_time import in_virtual_time
from tests.state.cluster import Cluster


class Member:
    """Takes requests, holds them back until `answer`, and writes down what came."""

    def __init__(self) -> None:
        self.came: list[pb.TxnRequest] = []
        self.revision = 100
        self._gate = asyncio.Semaphore(0)
        self.errors: list[StoreError | None] = []

    async def send(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Be the one that carries requests out."""
        self.came.append(request)
        await self._gate.acquire()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.revision += 1
        header = pb.ResponseHeader(revision=self.revision)
        return pb.TxnResponse(
            header=header, succeeded=True, responses=map(self._do, request.success)
        )

    def _do(self, operation: pb.RequestOp) -> pb.ResponseOp:
        if operation.WhichOneof("request") != "request_txn":
            return pb.ResponseOp(response_put=pb.PutResponse())
        inner = operation.request_txn
        # A condition on this key does not hold here.
        is_so = all(compare.key != b"taken" for compare in inner.compare)
        done = [self._do(each) for each in inner.success] if is_so else []
        return pb.ResponseOp(response_txn=pb.TxnResponse(succeeded=is_so, responses=done))

    def answer(self, count: int = 1, *errors: StoreError | None) -> None:
        """Let `count` more requests be answered, with these errors."""
        self.errors.extend(errors)
        for _ in range(count):
            self._gate.release()

    def written(self) -> list[list[str]]:
        """Return the keys written by each request that came."""
        return [[key for each in request.success for key in _keys(each)] for request in self.came]


def _keys(operation: pb.RequestOp) -> list[str]:
    if operation.WhichOneof("request") == "request_txn":
        return [key for each in operation.request_txn.success for key in _keys(each)]
    return [wire.key_text(operation.request_put.key)]


def put(
    joiner: Joiner, *keys: str, when: Sequence[Absent] = (), patience_s: float = 0.0
) -> asyncio.Task[TxnResult]:
    success: list[Operation] = [Put(key=key, value=b"") for key in keys]
    return asyncio.create_task(joiner.txn(when, success, (), patience_s))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_with_nobody_else_there_it_goes_at_once_and_as_it_is() -> None:
    member = Member()
    joiner = Joiner(member.send)
    for key in ("a", "b"):
        asked = put(joiner, key)
        member.answer()
        assert (await asked).succeeded
    assert member.written() == [["a"], ["b"]]
    assert all(request.success[0].WhichOneof("request") == "request_put" for request in member.came)


async def test_those_asked_meanwhile_go_together_and_each_has_its_own_outcome() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    second, third = put(joiner, "b", "c"), put(joiner, "d", when=[Absent(key="taken")])
    await settle()
    member.answer(2)
    results = await asyncio.gather(first, second, third)
    assert member.written() == [["a"], ["b", "c", "d"]]
    assert [each.succeeded for each in results] == [True, True, False]
    assert [len(each.responses) for each in results] == [1, 2, 0]
    assert results[1].revision == results[2].revision > results[0].revision


@in_virtual_time
async def test_one_that_may_wait_goes_with_the_next_that_may_not() -> None:
    member = Member()
    joiner = Joiner(member.send)
    patient = [put(joiner, "a", patience_s=5.0), put(joiner, "b", patience_s=9.0)]
    await settle()
    assert member.written() == []
    urgent = put(joiner, "c")
    member.answer()
    await asyncio.gather(urgent, *patient)
    assert member.written() == [["a", "b", "c"]]


@in_virtual_time
async def test_one_that_may_wait_goes_by_itself_when_nothing_comes_in_its_time() -> None:
    member = Member()
    joiner = Joiner(member.send)
    began_s = asyncio.get_running_loop().time()
    member.answer(9)
    later, sooner = put(joiner, "a", patience_s=7.0), put(joiner, "b", patience_s=2.0)
    await asyncio.gather(sooner, later)
    assert asyncio.get_running_loop().time() == pytest.approx(began_s + 2.0)
    assert member.written() == [["a", "b"]]


@in_virtual_time
async def test_one_that_may_wait_does_so_too_after_a_request_that_was_under_way() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    patient = put(joiner, "b", patience_s=5.0)
    member.answer()
    await first
    await settle()
    assert member.written() == [["a"]]
    member.answer()
    assert (await patient).succeeded
    assert member.written() == [["a"], ["b"]]


@in_virtual_time
async def test_one_that_shares_a_key_with_one_that_may_wait_follows_it_at_once() -> None:
    member = Member()
    joiner = Joiner(member.send)
    began_s = asyncio.get_running_loop().time()
    patient, urgent = put(joiner, "a", patience_s=5.0), put(joiner, "a")
    member.answer(9)
    await asyncio.gather(patient, urgent)
    assert member.written() == [["a"], ["a"]]
    assert asyncio.get_running_loop().time() == pytest.approx(began_s)


@in_virtual_time
async def test_closing_fails_one_that_may_wait_and_nothing_stirs_afterwards() -> None:
    member = Member()
    joiner = Joiner(member.send)
    patient = put(joiner, "a", patience_s=5.0)
    await settle()
    joiner.close()
    with pytest.raises(UnavailableError):
        await patient
    await asyncio.sleep(60.0)
    assert member.written() == []


@in_virtual_time
async def test_one_that_may_wait_and_has_gone_is_not_sent() -> None:
    member = Member()
    joiner = Joiner(member.send)
    gone = put(joiner, "a", patience_s=5.0)
    await settle()
    gone.cancel()
    await asyncio.sleep(60.0)
    member.answer()
    assert (await put(joiner, "b")).succeeded
    assert member.written() == [["b"]]


async def test_those_that_share_a_key_go_one_after_the_other() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "x")
    await settle()
    later = [
        put(joiner, "a"),
        put(joiner, "b", when=[Absent(key="a")]),
        put(joiner, "c"),
        put(joiner, "b"),
    ]
    await settle()
    member.answer(9)
    await asyncio.gather(first, *later)
    assert member.written() == [["x"], ["a", "c"], ["b"], ["b"]]


async def test_no_request_holds_more_than_its_share() -> None:
    member = Member()
    joiner = Joiner(member.send)
    asked = [put(joiner, f"k{number}") for number in range(MOST_TOGETHER + 5)]
    await settle()
    member.answer(9)
    await asyncio.gather(*asked)
    assert [len(keys) for keys in member.written()] == [1, MOST_TOGETHER, 4]


async def test_what_names_a_lease_or_is_large_goes_alone_and_does_not_wait() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    leased = asyncio.create_task(joiner.txn((), [Put(key="life", value=b"", lease=LeaseId(7))], ()))
    large = put(joiner, *(f"k{number}" for number in range(MOST_OPERATIONS + 1)))
    await settle()
    assert len(member.came) == 3
    member.answer(3)
    await asyncio.gather(first, leased, large)


async def test_a_refusal_of_all_is_not_taken_for_a_refusal_of_each() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    good, bad = put(joiner, "b"), put(joiner, "c")
    no = RejectedError("no")
    member.answer(9, None, no, None, no)
    assert (await first).succeeded
    assert (await good).succeeded
    with pytest.raises(RejectedError):
        await bad


async def test_an_unknown_outcome_is_that_of_those_in_the_request_only() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    second, third = put(joiner, "b"), put(joiner, "c")
    await settle()
    member.answer(1, OutcomeUnknownError("cut"))
    with pytest.raises(OutcomeUnknownError):
        await first
    member.answer()
    assert (await second).succeeded
    assert (await third).succeeded


async def test_when_nobody_is_there_all_who_wait_hear_it_at_once() -> None:
    member = Member()
    joiner = Joiner(member.send)
    asked = [put(joiner, "a")]
    await settle()
    asked += [put(joiner, "b"), put(joiner, "b"), put(joiner, "c")]
    await settle()
    member.answer(1, UnavailableError("nobody"))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in results] == [UnavailableError] * 4
    again = put(joiner, "a")
    member.answer()
    assert (await again).succeeded


async def test_one_who_has_gone_before_it_was_sent_is_left_out() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    gone, stays = put(joiner, "b"), put(joiner, "c")
    await settle()
    gone.cancel()
    member.answer(9)
    assert (await first).succeeded
    assert (await stays).succeeded
    assert member.written() == [["a"], ["c"]]


async def test_the_first_one_gone_does_not_stop_the_others() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    second = put(joiner, "b")
    await settle()
    first.cancel()
    member.answer(9)
    assert (await second).succeeded


async def test_closing_lets_nobody_wait_for_ever() -> None:
    member = Member()
    joiner = Joiner(member.send)
    first = put(joiner, "a")
    await settle()
    waiting = put(joiner, "b")
    await settle()
    joiner.close()
    with pytest.raises(UnavailableError):
        await waiting
    first.cancel()


class Away(Member):
    """Answers by itself, after the time that the way takes."""

    def __init__(self, way_s: float) -> None:
        super().__init__()
        self.way_s = way_s
        self.began_s: list[float] = []
        self.away: list[set[str]] = []
        self.most_away = 0
        self.shared: set[str] = set()
        """Keys that two requests named which were on their way at one time."""

    async def send(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Carry out, and be heard of later."""
        self.began_s.append(asyncio.get_running_loop().time())
        keys = {key for each in request.success for key in _keys(each)}
        self.shared.update(*(keys & each for each in self.away))
        self.away.append(keys)
        self.most_away = max(self.most_away, len(self.away))
        await asyncio.sleep(self.way_s)
        self.away.remove(keys)
        self.answer()
        return await super().send(request)


async def known(joiner: Joiner) -> None:
    """Let the joiner learn how far it is."""
    for number in range(FIRST):
        await put(joiner, f"known{number}")


@in_virtual_time
async def test_to_a_store_that_is_far_requests_go_on_at_their_pace() -> None:
    member = Away(0.2)
    joiner = Joiner(member.send)
    await known(joiner)
    began_s = asyncio.get_running_loop().time()
    first = put(joiner, "a")
    await asyncio.sleep(0.001)
    others = [put(joiner, "b"), put(joiner, "c")]
    await asyncio.gather(first, *others)
    assert member.written()[-2:] == [["a"], ["b", "c"]]
    assert member.began_s[-1] == pytest.approx(began_s + PACE_S)
    assert asyncio.get_running_loop().time() == pytest.approx(began_s + 0.2 + PACE_S)


@in_virtual_time
async def test_what_shares_a_key_with_what_is_on_its_way_waits_for_that() -> None:
    member = Away(0.2)
    joiner = Joiner(member.send)
    await known(joiner)
    began_s = asyncio.get_running_loop().time()
    await asyncio.gather(put(joiner, "a"), put(joiner, "a"), put(joiner, "b"))
    assert member.written()[-3:] == [["a"], ["b"], ["a"]]
    assert member.began_s[-2] == pytest.approx(began_s + PACE_S)
    assert member.began_s[-1] >= began_s + 0.2


@in_virtual_time
async def test_no_more_than_so_many_are_on_their_way() -> None:
    member = Away(1.0)
    joiner = Joiner(member.send)
    await known(joiner)
    asked = []
    for number in range(40):
        asked.append(put(joiner, f"k{number}"))
        await asyncio.sleep(PACE_S)
    await asyncio.gather(*asked)
    assert member.most_away == MOST_AWAY


@in_virtual_time
async def test_one_request_that_was_soon_back_tells_that_the_store_is_near_after_all() -> None:
    member = Away(0.5)
    joiner = Joiner(member.send)
    await known(joiner)
    member.way_s = 0.001
    await put(joiner, "soon")
    member.way_s = 0.5
    await asyncio.gather(*(put(joiner, f"k{number}") for number in range(5)))
    assert member.most_away == 1


@in_virtual_time
async def test_a_store_that_is_near_gets_one_at_a_time_however_slow_it_is_now() -> None:
    member = Away(2 * PACE_S * 0.9)
    joiner = Joiner(member.send)
    await known(joiner)
    member.way_s = 5.0
    await asyncio.gather(*(put(joiner, f"k{number}") for number in range(9)))
    assert member.most_away == 1


@in_virtual_time
async def test_whatever_the_way_all_is_carried_out_and_nothing_that_shares_a_key_at_once() -> None:
    for way_s in (0.001, 0.05, 0.3):
        member = Away(way_s)
        joiner = Joiner(member.send)
        await known(joiner)
        chance = random.Random(round(way_s * 1000))  # noqa: S311 - no secret
        asked = []
        for number in range(300):
            keys = {f"k{chance.randrange(20)}" for _ in range(chance.randrange(1, 4))}
            asked.append(put(joiner, *keys, patience_s=chance.choice([0.0, 0.0, 0.025])))
            if number % 7 == 0:
                asked.pop().cancel()
            await asyncio.sleep(chance.choice([0.0, 0.001, 0.03]))
        assert all(each.succeeded for each in await asyncio.gather(*asked))
        assert not member.shared


@pytest.mark.parts
async def test_etcd_takes_as_many_together_as_go_each_as_large_as_may(cluster: Cluster) -> None:
    store = EtcdStore(cluster.addresses(), tls=cluster.authority.issue("joined"))
    sent: list[pb.TxnRequest] = []

    async def send(request: pb.TxnRequest) -> pb.TxnResponse:
        sent.append(request)
        return await store._send_txn(request)  # noqa: SLF001 - no other way to see a request

    try:
        joiner = Joiner(send)
        names = [[f"j{at}/{key}" for key in range(MOST_OPERATIONS)] for at in range(MOST_TOGETHER)]
        before = asyncio.create_task(joiner.txn((), [Put(key="j", value=b"1")], ()))
        await asyncio.sleep(0)
        puts = [[Put(key=key, value=b"1") for key in keys] for keys in names]
        absent = [[Absent(key=key) for key in keys] for keys in names]
        both = zip(absent, puts, strict=True)
        asked = [asyncio.create_task(joiner.txn(each, put, put)) for each, put in both]
        results = await asyncio.gather(before, *asked)
    finally:
        await store.close()
    assert all(each.succeeded for each in results)
    assert len(sent) == 2
