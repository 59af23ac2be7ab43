"""One member of the cluster: its channel and its methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]
from google.protobuf.message import Message

from state.etcd.settings import Pem
from state.etcdpb import rpc_pb2 as pb

_OPTIONS: Final = (
    # etcd refuses pings more often than every 5 s. Without ping_timeout_ms grpc 1.85 did not notice
    # a stopped member in 45 s. This is the second line: deadlines and heartbeats notice sooner.
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.http2.ping_timeout_ms", 2000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # Two stores in one process (tests, tools) are not to share a connection.
    ("grpc.use_local_subchannel_pool", 1),
)
METADATA: Final = (("hasleader", "true"),)
"""A member without a leader then says so at once, and ends its watches, instead of hanging on."""
_Method = TypeVar("_Method")


class Member:
    """One member of the cluster: its channel, its methods, and whether it is benched."""

    def __init__(self, address: str, pem: Pem | None) -> None:
        self.address = address
        self.is_benched = False
        self.trouble = "not tried yet"
        """Why it could not be used the last time it could not."""
        self._connect(pem)

    async def renew(self, pem: Pem) -> None:
        """Connect anew if that is another certificate than the one it was last tried with."""
        if pem != self._pem:
            old = self.channel
            self._connect(pem)
            await old.close()

    def _connect(self, pem: Pem | None) -> None:
        self._pem = pem
        if pem is None:
            self.channel = grpc.aio.insecure_channel(self.address, options=_OPTIONS)
        else:
            tls = grpc.ssl_channel_credentials(pem.ca, pem.key, pem.cert)
            self.channel = grpc.aio.secure_channel(self.address, tls, options=_OPTIONS)
        unary, stream = self.channel.unary_unary, self.channel.stream_stream
        self.range = _method(unary, "KV/Range", pb.RangeRequest, pb.RangeResponse)
        self.txn = _method(unary, "KV/Txn", pb.TxnRequest, pb.TxnResponse)
        self.compact = _method(unary, "KV/Compact", pb.CompactionRequest, pb.CompactionResponse)
        self.grant = _method(unary, "Lease/LeaseGrant", pb.LeaseGrantRequest, pb.LeaseGrantResponse)
        self.revoke = _method(
            unary, "Lease/LeaseRevoke", pb.LeaseRevokeRequest, pb.LeaseRevokeResponse
        )
        self.status = _method(unary, "Maintenance/Status", pb.StatusRequest, pb.StatusResponse)
        self.alarm = _method(unary, "Maintenance/Alarm", pb.AlarmRequest, pb.AlarmResponse)
        self.move_leader = _method(
            unary, "Maintenance/MoveLeader", pb.MoveLeaderRequest, pb.MoveLeaderResponse
        )
        self.member_list = _method(
            unary, "Cluster/MemberList", pb.MemberListRequest, pb.MemberListResponse
        )
        self.defragment = _method(
            unary, "Maintenance/Defragment", pb.DefragmentRequest, pb.DefragmentResponse
        )
        self.keepalive = _method(
            stream, "Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse
        )
        self.watch = _method(stream, "Watch/Watch", pb.WatchRequest, pb.WatchResponse)

    def is_connected(self) -> bool:
        """Say whether a connection stands; if not, begin to make one."""
        state = self.channel.get_state(try_to_connect=True)
        return bool(state == grpc.ChannelConnectivity.READY)

    async def is_ready(self, timeout_s: float) -> bool:
        """Say whether a connection stands, waiting for one that is being made."""
        state = self.channel.get_state(try_to_connect=True)
        if state == grpc.ChannelConnectivity.READY:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                while state in _CONNECTING:
                    await self.channel.wait_for_state_change(state)
                    state = self.channel.get_state(try_to_connect=True)
        except TimeoutError:
            return False
        return bool(state == grpc.ChannelConnectivity.READY)


def _method(
    make: Callable[..., _Method], name: str, asks: type[Message], answers: type[Message]
) -> _Method:
    """Make a method by its name, such as KV/Range, and by what it asks and is answered."""
    return make(
        f"/etcdserverpb.{name}",
        request_serializer=asks.SerializeToString,
        response_deserializer=answers.FromString,
    )


_CONNECTING: Final = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)
