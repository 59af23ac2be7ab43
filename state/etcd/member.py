"""One member of the cluster: its channel and its methods."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]

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
        unary = self.channel.unary_unary
        self.range = unary(
            "/etcdserverpb.KV/Range",
            request_serializer=pb.RangeRequest.SerializeToString,
            response_deserializer=pb.RangeResponse.FromString,
        )
        self.txn = unary(
            "/etcdserverpb.KV/Txn",
            request_serializer=pb.TxnRequest.SerializeToString,
            response_deserializer=pb.TxnResponse.FromString,
        )
        self.compact = unary(
            "/etcdserverpb.KV/Compact",
            request_serializer=pb.CompactionRequest.SerializeToString,
            response_deserializer=pb.CompactionResponse.FromString,
        )
        self.grant = unary(
            "/etcdserverpb.Lease/LeaseGrant",
            request_serializer=pb.LeaseGrantRequest.SerializeToString,
            response_deserializer=pb.LeaseGrantResponse.FromString,
        )
        self.revoke = unary(
            "/etcdserverpb.Lease/LeaseRevoke",
            request_serializer=pb.LeaseRevokeRequest.SerializeToString,
            response_deserializer=pb.LeaseRevokeResponse.FromString,
        )
        self.status = unary(
            "/etcdserverpb.Maintenance/Status",
            request_serializer=pb.StatusRequest.SerializeToString,
            response_deserializer=pb.StatusResponse.FromString,
        )
        self.alarm = unary(
            "/etcdserverpb.Maintenance/Alarm",
            request_serializer=pb.AlarmRequest.SerializeToString,
            response_deserializer=pb.AlarmResponse.FromString,
        )
        self.move_leader = unary(
            "/etcdserverpb.Maintenance/MoveLeader",
            request_serializer=pb.MoveLeaderRequest.SerializeToString,
            response_deserializer=pb.MoveLeaderResponse.FromString,
        )
        self.member_list = unary(
            "/etcdserverpb.Cluster/MemberList",
            request_serializer=pb.MemberListRequest.SerializeToString,
            response_deserializer=pb.MemberListResponse.FromString,
        )
        self.defragment = unary(
            "/etcdserverpb.Maintenance/Defragment",
            request_serializer=pb.DefragmentRequest.SerializeToString,
            response_deserializer=pb.DefragmentResponse.FromString,
        )
        self.keepalive = self.channel.stream_stream(
            "/etcdserverpb.Lease/LeaseKeepAlive",
            request_serializer=pb.LeaseKeepAliveRequest.SerializeToString,
            response_deserializer=pb.LeaseKeepAliveResponse.FromString,
        )
        self.watch = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )

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


_CONNECTING: Final = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)
