"""Our values as etcd's messages, and back. PURE.

Owns which message and field says what; knows nothing of connections. Keys that are no UTF-8 (nobody
of ours writes such) come through with surrogates, so that nothing dies of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from state.etcdpb import rpc_pb2 as pb
from state.raw import Change, KeyValue
from state.space import Space
from state.store import (
    Absent,
    Compare,
    CreatedAt,
    Delete,
    Deleted,
    Exists,
    Get,
    Got,
    ModIs,
    Nested,
    Operation,
    Put,
    PutDone,
    Response,
    TxnResult,
    ValueIs,
)


def key_bytes(key: str) -> bytes:
    """Return the key as etcd keeps it."""
    return key.encode("utf-8", "surrogateescape")


def key_text(key: bytes) -> str:
    """Return the key as we name it."""
    return key.decode("utf-8", "surrogateescape")


def end_of_prefix(prefix: str) -> bytes:
    """Return the `range_end` of the range of all keys that start with `prefix`."""
    raw = key_bytes(prefix).rstrip(b"\xff")
    return raw[:-1] + bytes([raw[-1] + 1]) if raw else b"\0"


def record(kv: pb.KeyValue) -> KeyValue:
    """Return a key as it stands."""
    return KeyValue(
        key=key_text(kv.key),
        value=kv.value,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )


def changes(events: Iterable[pb.Event]) -> tuple[Change, ...]:
    """Return what a watch told."""
    return tuple(
        Change(
            key=key_text(event.kv.key),
            value=event.kv.value if event.type == pb.Event.PUT else None,
            create_revision=event.kv.create_revision,
            mod_revision=event.kv.mod_revision,
        )
        for event in events
    )


def txn_request(
    compares: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> pb.TxnRequest:
    """Return the message for a transaction."""
    return pb.TxnRequest(
        compare=[_compare(each) for each in compares],
        success=[_operation(each) for each in success],
        failure=[_operation(each) for each in failure],
    )


def txn_result(reply: pb.TxnResponse) -> TxnResult:
    """Return what a transaction did."""
    return _result(reply, reply.header.revision)


def _result(reply: pb.TxnResponse, revision: int) -> TxnResult:
    """Return what a transaction did; a nested one has no header of its own."""
    return TxnResult(
        succeeded=reply.succeeded,
        revision=revision,
        responses=tuple(_response(each, revision) for each in reply.responses),
    )


def joined_request(requests: Sequence[pb.TxnRequest]) -> pb.TxnRequest:
    """Return one unconditional transaction that has each of these nested in it."""
    return pb.TxnRequest(success=[pb.RequestOp(request_txn=each) for each in requests])


def joined_results(reply: pb.TxnResponse) -> tuple[TxnResult, ...]:
    """Return what each nested transaction did; the revision is one for all."""
    revision = reply.header.revision
    return tuple(_result(each.response_txn, revision) for each in reply.responses)


def _compare(compare: Compare) -> pb.Compare:
    key = key_bytes(compare.key)
    match compare:
        case ModIs():
            revision = compare.mod_revision
            return pb.Compare(target=pb.Compare.MOD, key=key, mod_revision=revision)
        case CreatedAt():
            revision = compare.create_revision
            return pb.Compare(target=pb.Compare.CREATE, key=key, create_revision=revision)
        case Absent():
            return pb.Compare(target=pb.Compare.VERSION, key=key, version=0)
        case Exists():
            return pb.Compare(
                target=pb.Compare.VERSION, result=pb.Compare.GREATER, key=key, version=0
            )
        case ValueIs():
            return pb.Compare(target=pb.Compare.VALUE, key=key, value=compare.value)


def _operation(operation: Operation) -> pb.RequestOp:
    match operation:
        case Put(key=key, value=value, lease=lease):
            put = pb.PutRequest(key=key_bytes(key), value=value, lease=lease or 0)
            return pb.RequestOp(request_put=put)
        case Delete(key=key):
            return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key_bytes(key)))
        case Get(key=key):
            return pb.RequestOp(request_range=pb.RangeRequest(key=key_bytes(key)))
        case Nested(compares=compares, success=success, failure=failure):
            return pb.RequestOp(request_txn=txn_request(compares, success, failure))


def _response(response: pb.ResponseOp, revision: int) -> Response:
    match response.WhichOneof("response"):
        case "response_range":
            kvs = response.response_range.kvs
            return Got(record=record(kvs[0]) if kvs else None)
        case "response_delete_range":
            return Deleted(count=response.response_delete_range.deleted)
        case "response_txn":
            return _result(response.response_txn, revision)
        case _:
            return PutDone()


def space(reply: pb.StatusResponse) -> Space:
    """Return how full a member says that it is."""
    return Space(
        size_bytes=reply.db_size,
        used_bytes=reply.db_size_in_use,
        quota_bytes=reply.db_size_quota,
        is_full=any("NOSPACE" in each for each in reply.errors),
    )
