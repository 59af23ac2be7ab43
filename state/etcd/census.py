"""Asks every member of the cluster by itself whether it takes part.

A client's own requests tell little of that: they go to the first member that answers. Who the
members are the cluster says; each is asked where we reach it, else where it says that it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

import grpc.aio  # type: ignore[import-untyped]  # ships neither stubs nor py.typed

from state.errors import UnavailableError
from state.etcd.member import Member
from state.etcd.settings import Pem
from state.etcd.verdict import BrokenStreamError, reason_of, unless_cut
from state.etcdpb import rpc_pb2 as pb
from state.members import EtcdMember

ASK_S: Final = 1.5
"""A member that has not answered within so long does not take part."""


class Census:
    """Asks `members`, those to which a store goes anyway, and the others that they name."""

    def __init__(self, members: Sequence[Member], pem: Callable[[], Pem | None]) -> None:
        self._members = members
        self._pem = pem
        self._others: dict[str, Member] = {}
        """Those to which the store never goes, by address."""

    async def look(self) -> tuple[EtcdMember, ...]:
        """Return who has a vote, by name. Raises UnavailableError if nobody answers."""
        listed = await self._listed()
        up = await self._up(self._members)
        away = [each for each in listed if each.ID not in up]
        up |= await self._up(await self._of(away))
        return tuple(
            EtcdMember(name=each.name, hosts=_hosts(each), is_up=each.ID in up)
            for each in sorted(listed, key=lambda each: (each.name, each.ID))
        )

    async def close(self) -> None:
        """Let go of the connections that are not the store's."""
        for member in self._others.values():
            await member.channel.close()

    async def _listed(self) -> list[pb.Member]:
        """Return the members with a vote, as the first says that answers."""
        troubles = []
        for member in self._members:
            try:
                reply: pb.MemberListResponse = await unless_cut(
                    member.member_list(pb.MemberListRequest(), timeout=ASK_S)
                )
            except (grpc.aio.AioRpcError, BrokenStreamError) as error:
                troubles.append(f"{member.address}: {reason_of(error)}")
                continue
            return [each for each in reply.members if not each.isLearner]
        raise UnavailableError(f"no etcd member says who the members are ({'; '.join(troubles)})")

    async def _up(self, members: Iterable[Member]) -> set[int]:
        """Return the ids of those that answer, and know who leads."""
        found = await asyncio.gather(*map(_id_if_up, members))
        return {each for each in found if each}

    async def _of(self, listed: Iterable[pb.Member]) -> list[Member]:
        """Return ways to members at the addresses at which the store does not ask.

        Certificates are rotated: the one that counts is that of now.
        """
        known = {each.address for each in self._members}
        addresses = {urlsplit(url).netloc for each in listed for url in each.clientURLs}
        addresses -= {"", *known}
        pem = self._pem() if addresses else None
        for address in addresses:
            if address not in self._others:
                self._others[address] = Member(address, pem)
            elif pem is not None:
                await self._others[address].renew(pem)
        return [self._others[address] for address in addresses]


async def _id_if_up(member: Member) -> int:
    try:
        reply: pb.StatusResponse = await unless_cut(
            member.status(pb.StatusRequest(), timeout=ASK_S)
        )
    except (grpc.aio.AioRpcError, BrokenStreamError):
        return 0
    return int(reply.header.member_id) if reply.leader else 0


def _hosts(member: pb.Member) -> tuple[str, ...]:
    """Return where a member says that it is, to clients and to others like it."""
    urls = (*member.clientURLs, *member.peerURLs)
    hosts = {urlsplit(url).hostname for url in urls}
    return tuple(sorted(each for each in hosts if each))
