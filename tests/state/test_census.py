"""Who of etcd's members takes part: each is asked, also those to which the store never goes."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
import pytest

from state.errors import UnavailableError
from state.etcd import census
from state.etcd.census import Census
from state.etcdpb import rpc_pb2 as pb
from state.members import EtcdMember

IDS = {"a": 11, "b": 12, "c": 13}


class Way:
    """A way to a member, as `Member` is; the one at `host-a:1` is a's."""

    up: frozenset[str] = frozenset(IDS)
    """Those that answer."""
    leaderless: frozenset[str] = frozenset()
    learners: frozenset[str] = frozenset()
    listed = "abc"
    asked: list[str]

    def __init__(self, address: str, _pem: object = None) -> None:
        self.address = address
        self.name = address.removeprefix("host-")[:1]
        self.channel = self
        type(self).asked.append(address)

    async def renew(self, _pem: object) -> None:
        """Go on with the same."""

    async def close(self) -> None:
        """Be let go of."""
        type(self).asked.remove(self.address)

    def _answer(self) -> None:
        if self.name not in self.up:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
            )

    async def status(self, _request: object, timeout: float) -> pb.StatusResponse:  # noqa: ASYNC109, ARG002 - as grpc's
        """Say who leads."""
        await asyncio.sleep(0)
        self._answer()
        header = pb.ResponseHeader(member_id=IDS[self.name])
        return pb.StatusResponse(header=header, leader=0 if self.name in self.leaderless else 11)

    async def member_list(self, _request: object, timeout: float) -> pb.MemberListResponse:  # noqa: ASYNC109, ARG002 - as above
        """Say who there is."""
        self._answer()
        return pb.MemberListResponse(
            members=[
                pb.Member(
                    ID=IDS[each],
                    name=each,
                    peerURLs=[f"https://peer-{each}:2"],
                    clientURLs=[f"https://host-{each}:1"],
                    isLearner=each in self.learners,
                )
                for each in self.listed
            ]
        )


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> type[Way]:
    made = type("Ways", (Way,), {"asked": []})
    monkeypatch.setattr(census, "Member", made)
    return made


def of(ways: type[Way], *names: str) -> Census:
    members: Any = [ways(f"host-{each}:1") for each in names]
    return Census(members, lambda: None)


def up(told: tuple[EtcdMember, ...]) -> dict[str, bool]:
    return {each.name: each.is_up for each in told}


async def test_each_member_is_asked_by_itself(ways: type[Way]) -> None:
    ways.up = frozenset("ac")
    told = await of(ways, "a", "b", "c").look()
    assert up(told) == {"a": True, "b": False, "c": True}
    assert told[0].hosts == ("host-a", "peer-a")


async def test_one_that_does_not_know_who_leads_takes_no_part(ways: type[Way]) -> None:
    ways.leaderless = frozenset("b")
    assert up(await of(ways, "a", "b", "c").look()) == {"a": True, "b": False, "c": True}


async def test_members_to_which_the_store_never_goes_are_asked_where_they_say_they_are(
    ways: type[Way],
) -> None:
    ways.up = frozenset("ab")
    asking = of(ways, "a")
    for _ in range(2):
        assert up(await asking.look()) == {"a": True, "b": True, "c": False}
    assert sorted(ways.asked) == ["host-a:1", "host-b:1", "host-c:1"], "each way is made once"
    await asking.close()
    assert ways.asked == ["host-a:1"], "that is the store's"


async def test_who_has_no_vote_is_none_of_them(ways: type[Way]) -> None:
    ways.learners = frozenset("c")
    assert up(await of(ways, "a", "b", "c").look()) == {"a": True, "b": True}


async def test_the_next_member_says_who_there_is_if_the_first_is_silent(ways: type[Way]) -> None:
    ways.up = frozenset("bc")
    assert up(await of(ways, "a", "b").look()) == {"a": False, "b": True, "c": True}


async def test_where_none_answers_nobody_knows(ways: type[Way]) -> None:
    ways.up = frozenset()
    with pytest.raises(UnavailableError, match="host-a:1"):
        await of(ways, "a", "b").look()
