"""A store whose space is used up: what it refuses, how it says so, and how anybody finds out."""

from __future__ import annotations

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]
import pytest

from state.clock import ManualClock
from state.errors import OutcomeUnknownError, RejectedError, StoreFullError
from state.etcd import wire
from state.etcd.verdict import judge
from state.etcdpb import rpc_pb2 as pb
from state.memory import MemoryStore
from state.space import NEARLY_FULL, QUOTA_BYTES, UNDONE, Space
from state.store import Absent, Delete, Exists, Get, Nested, Put

FULL = "etcdserver: mvcc: database space exceeded"


def says(details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), grpc.aio.Metadata(), details
    )


def test_a_full_store_may_have_done_what_it_refuses_and_the_way_out_is_named() -> None:
    with pytest.raises(StoreFullError, match=r"\./everline state mend") as caught:
        judge("txn", says(FULL))
    assert isinstance(caught.value, OutcomeUnknownError)


def test_what_else_is_too_much_is_refused_for_good() -> None:
    with pytest.raises(RejectedError):
        judge("txn", says("grpc: received message larger than max"))


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore(ManualClock())
    await made.txn((), (Put(key="a", value=b"1"),))
    return made


@pytest.mark.parametrize(
    ("compares", "success", "failure"),
    [
        ((), (Put(key="b", value=b""),), ()),
        ((Exists(key="b"),), (Put(key="b", value=b""),), ()),
        ((Exists(key="a"),), (), (Put(key="b", value=b""),)),
        ((), (Nested(compares=(), success=(Put(key="b", value=b""),)),), ()),
    ],
)
async def test_whatever_might_write_is_refused(
    store: MemoryStore, compares: tuple[Exists], success: tuple[Put], failure: tuple[Put]
) -> None:
    store.is_full = True
    with pytest.raises(StoreFullError):
        await store.txn(compares, success, failure)


async def test_no_lease_is_granted_and_those_that_stand_are_kept(store: MemoryStore) -> None:
    lease = await store.lease_grant(8)
    store.is_full = True
    assert await store.lease_keepalive(lease) == 8
    with pytest.raises(StoreFullError):
        await store.lease_grant(8)
    await store.lease_revoke(lease)


async def test_it_is_read_and_deletes(store: MemoryStore) -> None:
    store.is_full = True
    assert (await store.txn((), (Get(key="a"),))).succeeded
    assert (await store.txn((Absent(key="b"),), (Delete(key="a"),))).succeeded
    assert not (await store.range("a")).records


async def test_whether_there_is_room_is_asked_by_a_write_that_is_never_done(
    store: MemoryStore,
) -> None:
    before = (await store.range("", prefix=True)).revision
    assert not (await store.txn(*UNDONE)).succeeded
    store.is_full = True
    with pytest.raises(StoreFullError):
        await store.txn(*UNDONE)
    assert not await store.takes_writes()
    assert (await store.range("", prefix=True)).revision == before


@pytest.mark.parametrize(
    ("size", "quota", "is_full", "is_nearly"),
    [
        (0, 0, False, False),
        (int(QUOTA_BYTES * NEARLY_FULL) - 1, 0, False, False),
        (int(QUOTA_BYTES * NEARLY_FULL) + 1, 0, False, True),
        (80, 100, False, True),
        (79, 100, False, False),
        (1, 100, True, True),
    ],
)
def test_somebody_is_told_before_there_is_no_room(
    size: int, quota: int, *, is_full: bool, is_nearly: bool
) -> None:
    space = Space(size_bytes=size, used_bytes=0, quota_bytes=quota, is_full=is_full)
    assert space.is_nearly_full() is is_nearly


def test_a_member_says_how_full_it_is_and_whether_the_alarm_stands() -> None:
    reply = pb.StatusResponse(db_size=10, db_size_in_use=4, errors=["memberID:1 alarm:NOSPACE "])
    assert wire.space(reply) == Space(size_bytes=10, used_bytes=4, is_full=True)
    assert not wire.space(pb.StatusResponse(errors=["etcdserver: no leader"])).is_full
