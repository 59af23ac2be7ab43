"""Somebody is told before the shared state has no room left."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from control_plane.api.metrics import Metrics
from control_plane.configuration.room import RoomWatch
from state.clock import ManualClock
from state.errors import UnavailableError
from state.members import EtcdMember
from state.space import Space

QUOTA = 1000


class Member:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.says: Space | None = Space(size_bytes=500, used_bytes=100)

    async def space(self) -> Space:
        """Say it."""
        if self.says is None:
            raise UnavailableError("silent")
        return self.says

    async def takes_writes(self) -> bool:
        """Say nothing: nobody asks."""
        raise AssertionError


def figures(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("everline_etcd_"))
    return {name.removeprefix("everline_etcd_"): float(value) for name, _, value in found}


async def test_the_alarm_comes_at_four_fifths_of_the_quota_and_goes_when_room_is_made() -> None:
    member, metrics = Member(), Metrics()
    watch = RoomWatch(member, metrics, QUOTA, ManualClock())
    assert figures(metrics)["has_room"] == 1, "nobody has looked"
    with capture_logs() as logged:
        await watch.look()
        assert figures(metrics) == {
            "file_bytes": 500, "used_bytes": 100, "quota_bytes": QUOTA, "has_room": 1,
            "members": 0, "members_silent": 0,
        }  # fmt: skip
        member.says = Space(size_bytes=800, used_bytes=100)
        await watch.look()
        await watch.look()
        assert figures(metrics)["has_room"] == 0
        member.says = None
        await watch.look()
        assert figures(metrics)["has_room"] == 0, "who says nothing says nothing new"
        member.says = Space(size_bytes=100, used_bytes=100)
        await watch.look()
        assert figures(metrics)["has_room"] == 1
    assert [(line["event"], line["is_on"]) for line in logged] == [
        ("etcd_room_alarm", True),
        ("etcd_room_alarm", False),
    ]
    assert "./everline state mend" in logged[0]["remedy"]


@pytest.mark.parametrize(("quota", "has_room"), [(0, 1), (100, 0)])
async def test_a_quota_that_a_member_tells_is_the_one_that_counts(
    quota: int, has_room: int
) -> None:
    member, metrics = Member(), Metrics()
    member.says = Space(size_bytes=90, used_bytes=10, quota_bytes=quota)
    await RoomWatch(member, metrics, QUOTA, ManualClock()).look()
    assert figures(metrics)["has_room"] == has_room


async def test_a_store_that_is_full_has_no_room_whatever_its_size() -> None:
    member, metrics = Member(), Metrics()
    member.says = Space(size_bytes=1, used_bytes=1, is_full=True)
    await RoomWatch(member, metrics, QUOTA, ManualClock()).look()
    assert figures(metrics)["has_room"] == 0


class Cluster(Member):
    """Names its members, too."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = ""
        self.answers = True

    async def members(self) -> tuple[EtcdMember, ...]:
        """Name them, unless none answers."""
        if not self.answers:
            raise UnavailableError("silent")
        return tuple(
            EtcdMember(name=each, hosts=(), is_up=each not in self.silent) for each in "abc"
        )


async def test_members_that_do_not_take_part_are_counted_and_said_once() -> None:
    cluster, metrics = Cluster(), Metrics()
    watch = RoomWatch(cluster, metrics, QUOTA, ManualClock())
    with capture_logs() as logged:
        for silent in ("", "b", "b", ""):
            cluster.silent = silent
            await watch.look()
            told = figures(metrics)
            assert (told["members"], told["members_silent"]) == (3, len(silent))
            assert [each.name for each in watch.room.members if not each.is_up] == list(silent)
    assert [(line["is_on"], line["silent"]) for line in logged] == [(True, ("b",)), (False, ())]


async def test_where_no_member_answers_nobody_knows_who_takes_part() -> None:
    cluster, metrics = Cluster(), Metrics()
    watch = RoomWatch(cluster, metrics, QUOTA, ManualClock())
    await watch.look()
    cluster.answers = False
    await watch.look()
    assert watch.room.members == ()
    assert figures(metrics)["members"] == 0


def since(watch: RoomWatch) -> int | None:
    return watch.room.no_room_since_ms


async def test_since_when_there_is_no_room_is_kept_until_there_is() -> None:
    member, clock = Member(), ManualClock()
    watch = RoomWatch(member, Metrics(), QUOTA, clock)
    await watch.look()
    assert since(watch) is None
    member.says = Space(size_bytes=900, used_bytes=100)
    began_ms = clock.now().wall_ms
    for _ in range(2):
        await watch.look()
        assert since(watch) == began_ms
        clock.advance(5)
    member.says = Space(size_bytes=100, used_bytes=100)
    await watch.look()
    assert since(watch) is None
