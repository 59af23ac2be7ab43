"""Looks after the members of a cluster: how full each is, and how room is made.

For operators' tools, which go to each member by name; an edge asks `EtcdStore.space` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import grpc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import grpc.aio  # type: ignore[import-untyped]

from state.errors import UnavailableError
from state.etcd import wire
from state.etcd.member import METADATA, Member
from state.etcd.settings import Tls
from state.etcd.verdict import BrokenStreamError, reason_of, unless_cut
from state.etcdpb import rpc_pb2 as pb
from state.space import Space

ASK_S: Final = 2.0
DEFRAGMENT_S: Final = 300.0
"""It rewrites the whole file, at some 50 to 100 MB a second."""

T = TypeVar("T")


class Upkeep:
    """The members, one by one. Make it inside a running event loop; `close` it at the end."""

    def __init__(self, endpoints: Sequence[str], *, tls: Tls | None = None) -> None:
        """Take `host:port` endpoints."""
        pem = None if tls is None else tls.read()
        self._members = {address: Member(address, pem) for address in endpoints}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the members are."""
        return tuple(self._members)

    async def space(self, address: str) -> Space:
        """Return how full a member is, by its own word."""
        return wire.space(await self._status(address))

    async def revision(self, address: str) -> int:
        """Return the newest revision, with a quorum behind it."""
        request = pb.RangeRequest(key=b"\0", count_only=True)
        member = self._members[address]
        reply: pb.RangeResponse = await self._asked(
            address, member.range(request, timeout=ASK_S, metadata=METADATA)
        )
        return int(reply.header.revision)

    async def leads(self, address: str) -> bool:
        """Tell whether a member is the leader."""
        reply = await self._status(address)
        return bool(reply.leader and reply.leader == reply.header.member_id)

    async def hand_over(self, leader: str, to: str) -> None:
        """Have the member that leads hand that over to another."""
        target = (await self._status(to)).header.member_id
        request = pb.MoveLeaderRequest(target_id=target)
        member = self._members[leader]
        await self._asked(leader, member.move_leader(request, timeout=ASK_S, metadata=METADATA))

    async def compact(self, revision: int) -> None:
        """Forget every revision before this one, on all members, and wait until that is done."""
        request = pb.CompactionRequest(revision=revision, physical=True)
        for address, member in self._members.items():
            try:
                await self._asked(
                    address, member.compact(request, timeout=DEFRAGMENT_S, metadata=METADATA)
                )
            except UnavailableError as error:
                # The members do so by themselves, too, and may just have done.
                if "has been compacted" not in str(error):
                    raise
            return

    async def defragment(self, address: str) -> None:
        """Let a member give back the room that nothing stands in. It answers nobody meanwhile.

        Nor are leases kept while that is the one that leads: `hand_over` first.
        """
        member = self._members[address]
        await self._asked(address, member.defragment(pb.DefragmentRequest(), timeout=DEFRAGMENT_S))

    async def disarm(self) -> int:
        """End the alarms for which nothing is written; return how many stood."""
        found = await self._alarm(pb.AlarmRequest(action=pb.AlarmRequest.GET))
        full = [each for each in found.alarms if each.alarm == pb.NOSPACE]
        for each in full:
            off = pb.AlarmRequest.DEACTIVATE
            await self._alarm(
                pb.AlarmRequest(action=off, member_id=each.member_id, alarm=pb.NOSPACE)
            )
        return len(full)

    async def arm(self) -> None:
        """Raise that alarm though there is room, as a drill does."""
        on = pb.AlarmRequest.ACTIVATE
        await self._alarm(pb.AlarmRequest(action=on, member_id=DRILLED, alarm=pb.NOSPACE))

    async def close(self) -> None:
        """Let go of the connections."""
        for member in self._members.values():
            await member.channel.close()

    async def _status(self, address: str) -> pb.StatusResponse:
        member = self._members[address]
        return await self._asked(address, member.status(pb.StatusRequest(), timeout=ASK_S))

    async def _alarm(self, request: pb.AlarmRequest) -> pb.AlarmResponse:
        """Ask the first member that answers: it concerns all of them."""
        troubles = []
        for address, member in self._members.items():
            try:
                return await self._asked(address, member.alarm(request, timeout=ASK_S))
            except UnavailableError as error:
                troubles.append(str(error))
        raise UnavailableError("; ".join(troubles))

    @staticmethod
    async def _asked(address: str, asking: Awaitable[T]) -> T:
        try:
            return await unless_cut(asking)
        except (grpc.aio.AioRpcError, BrokenStreamError) as error:
            raise UnavailableError(f"etcd at {address}: {reason_of(error)}") from error


DRILLED: Final = 0xE7E2
"""The member whose alarm a drill raises: none has that id, and disarming ends it as any other."""
