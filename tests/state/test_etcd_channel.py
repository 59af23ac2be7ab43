"""What becomes of requests whose channel is closed under them: no task of ours may end of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]
import pytest

from state.errors import OutcomeUnknownError, UnavailableError
from state.etcd import EtcdSettings, EtcdStore
from state.etcdpb import rpc_pb2 as pb
from state.store import Absent, Put
from tests.state.cluster import HOST, Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.parts

PATIENCE_S = 10.0
QUICK = EtcdSettings(attempt_s=0.4, total_s=3.0, probe_every_s=0.05)


class FakeMember(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """A member that leaves some of its requests without an answer."""

    def __init__(self) -> None:
        self.silent = {b"frozen", b"late"}
        """Keys that are not answered for."""
        self.watches = 0
        self.written: list[bytes] = []
        self.told: asyncio.Queue[pb.Event] = asyncio.Queue()

    async def range(self, request: pb.RangeRequest, _: object) -> pb.RangeResponse:
        """Read nothing."""
        await self._wait_if_silent(request.key)
        return pb.RangeResponse()

    async def txn(self, request: pb.TxnRequest, _: object) -> pb.TxnResponse:
        """Note what is to be written."""
        self.written.append(request.success[0].request_put.key)
        await self._wait_if_silent(request.success[0].request_put.key)
        return pb.TxnResponse(succeeded=True)

    async def watch(
        self, requests: AsyncIterator[pb.WatchRequest], _: object
    ) -> AsyncIterator[pb.WatchResponse]:
        """Tell what the test wants told."""
        await anext(aiter(requests))
        self.watches += 1
        yield pb.WatchResponse(created=True)
        while True:
            yield pb.WatchResponse(events=[await self.told.get()])

    async def _wait_if_silent(self, key: bytes) -> None:
        if key in self.silent:
            self.silent.discard(key)
            await asyncio.Event().wait()

    def service(self, details: Any) -> Any:  # noqa: ANN401 - grpc has no types
        """Return who answers."""
        match details.method:
            case "/etcdserverpb.KV/Range":
                return grpc.unary_unary_rpc_method_handler(
                    self.range, pb.RangeRequest.FromString, pb.RangeResponse.SerializeToString
                )
            case "/etcdserverpb.KV/Txn":
                return grpc.unary_unary_rpc_method_handler(
                    self.txn, pb.TxnRequest.FromString, pb.TxnResponse.SerializeToString
                )
            case _:
                return grpc.stream_stream_rpc_method_handler(
                    self.watch, pb.WatchRequest.FromString, pb.WatchResponse.SerializeToString
                )


@dataclass(slots=True)
class World:
    """A fake member behind TLS, and a store that speaks to it with certificates of a folder."""

    authority: Authority
    member: FakeMember
    store: EtcdStore

    async def renew_under_way(self) -> None:
        """Put new certificates there, and let the member fall silent, so that they are taken up."""
        self.authority.issue("edge")
        await self.store.range("frozen")
        assert self.store.benched_total == 1


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[World]:
    authority = Authority(tmp_path)
    tls = authority.issue("edge")
    pem, member, server = tls.read(), FakeMember(), grpc.aio.server()
    server.add_generic_rpc_handlers((member,))
    ours = grpc.ssl_server_credentials([(pem.key, pem.cert)], pem.ca, require_client_auth=True)
    port = server.add_secure_port(f"{HOST}:0", ours)
    await server.start()
    store = EtcdStore([f"{HOST}:{port}"], tls=tls, settings=QUICK)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await store.range("a")
            yield World(authority, member, store)
    finally:
        await store.close()
        await server.stop(0)


async def test_a_watch_goes_on_when_its_connection_is_renewed_under_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world, aclosing(world.store.watch("a", 1)) as batches:
        assert not (await anext(batches)).changes
        renewing = asyncio.create_task(world.renew_under_way())
        while world.member.watches < 2:
            await anext(batches)
        kv = pb.KeyValue(key=b"ab", value=b"v", create_revision=5, mod_revision=5)
        world.member.told.put_nowait(pb.Event(kv=kv))
        while not (batch := await anext(batches)).changes:
            pass
        assert [each.key for each in batch.changes] == ["ab"]
        await renewing


async def test_a_read_under_way_is_asked_again_when_its_connection_is_renewed(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        renewing = asyncio.create_task(world.renew_under_way())
        await asyncio.sleep(QUICK.attempt_s / 2)
        await world.store.range("late")
        await renewing


async def test_a_write_under_way_is_of_unknown_outcome_when_its_connection_is_renewed(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        renewing = asyncio.create_task(world.renew_under_way())
        await asyncio.sleep(QUICK.attempt_s / 2)
        with pytest.raises(OutcomeUnknownError):
            await world.store.txn([Absent(key="late")], [Put(key="late", value=b"v")])
        await renewing
        assert world.member.written == [b"late"]


async def test_what_is_under_way_fails_when_the_store_is_closed(tmp_path: Path) -> None:
    async with running(tmp_path) as world, aclosing(world.store.watch("a", 1)) as batches:
        await anext(batches)
        asked = [
            asyncio.ensure_future(world.store.range("frozen")),
            asyncio.ensure_future(anext(batches)),
        ]
        while b"frozen" in world.member.silent:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.005)
        await world.store.close()
        for each in asked:
            with pytest.raises(UnavailableError):
                await each
        with pytest.raises(UnavailableError):
            await world.store.range("a")
