"""Making room in etcd: in which order, and when not."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from drills.desk.rooms import RoomRow, Rooms, shown
from drills.lab.errors import LabError
from drills.lab.room import MemberRoom, alone, in_turn, make_room, quota
from state.errors import UnavailableError
from state.etcd.upkeep import Upkeep
from state.model import SiteId
from state.space import Space
from tests.edge.virtual_time import in_virtual_time

A, B, C = SiteId("a"), SiteId("b"), SiteId("c")
ROOM = Space(size_bytes=10_000_000, used_bytes=5_000_000, quota_bytes=100_000_000)
FULL = replace(ROOM, is_full=True)
FOLLOWS, LEADS = MemberRoom(space=ROOM, leads=False), MemberRoom(space=ROOM, leads=True)


def test_who_leads_is_defragmented_last() -> None:
    assert in_turn({A: LEADS, B: FOLLOWS, C: FOLLOWS}) == (B, C, A)


def test_where_one_is_silent_no_other_is_taken_away_unless_nothing_is_written_anyway() -> None:
    with pytest.raises(LabError, match="silent at b"):
        in_turn({A: LEADS, B: None, C: FOLLOWS})
    full = MemberRoom(space=FULL, leads=False)
    assert in_turn({A: replace(full, leads=True), B: None, C: full}) == (C, A)
    with pytest.raises(LabError):
        in_turn({A: None, B: None, C: None})


class Members(Upkeep):
    """Three, of whom one leads and one may stay away once it has been defragmented."""

    def __init__(self, leader: str, stays_away: str = "") -> None:
        super().__init__(())
        self.leader, self.stays_away = leader, stays_away
        self.done: list[str] = []

    async def revision(self, address: str) -> int:
        """Say it, if it is there."""
        if address == self.stays_away and f"defragment {address}" in self.done:
            raise UnavailableError("silent")
        return 7

    async def leads(self, address: str) -> bool:
        """Tell whether that one leads."""
        return address == self.leader

    async def hand_over(self, leader: str, to: str) -> None:
        """Let the other one lead."""
        assert leader == self.leader
        self.leader = to

    async def compact(self, revision: int) -> None:
        """Note it."""
        self.done.append(f"compact {revision}")

    async def defragment(self, address: str) -> None:
        """Note it."""
        assert address != self.leader, "nobody's lease is kept while who leads is busy"
        self.done.append(f"defragment {address}")

    async def disarm(self) -> int:
        """Note it."""
        self.done.append("disarm")
        return 1


ADDRESSES = {A: "a:1", B: "b:1", C: "c:1"}
ALL = ["compact 7", "defragment a:1", "defragment b:1", "defragment c:1", "disarm"]


@pytest.mark.parametrize("leader", ["a:1", "b:1", "c:1"])
async def test_none_is_defragmented_while_it_leads_whoever_has_come_to_lead(leader: str) -> None:
    members = Members(leader)
    await make_room(members, ADDRESSES)
    assert members.done == ALL


@in_virtual_time
async def test_a_member_that_stays_away_is_told_by_its_site_and_no_other_is_taken_away() -> None:
    members = Members("c:1", stays_away="b:1")
    with pytest.raises(LabError, match="etcd at b does not read"):
        await make_room(members, ADDRESSES)
    assert members.done == ALL[:3]


def test_room_is_made_by_one_at_a_time_and_by_the_next_when_that_is_over(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(LabError, match="being made already"), alone(tmp_path):
        pytest.fail("two members would be away at a time")
    with alone(tmp_path):
        pass


def test_a_quota_is_read_from_a_members_metrics() -> None:
    metrics = b"# HELP x\netcd_server_quota_backend_bytes 8.589934592e+09\nother 1\n"
    assert quota(metrics) == 8 << 30
    assert quota(b"other 1\n") == 0


def printed(*spaces: Space | None, was: int = 0) -> str:
    rows = (
        RoomRow(site=site, leads=site == A, space=s)
        for site, s in zip((A, B, C), spaces, strict=True)
    )
    answer = Rooms(lab=1, members=tuple(rows), was={A: was} if was else {})
    console = Console(width=80, no_color=True, highlight=False)
    with console.capture() as captured:
        console.print(shown(answer))
    return captured.get()


def test_what_a_member_has_and_how_room_is_made_is_told_in_80_columns() -> None:
    text = printed(ROOM, FULL, None, was=90_000_000)
    assert max(map(len, text.splitlines())) <= 80
    first, second, third = (row for row in text.splitlines() if row[:2] in {"a ", "b ", "c "})
    assert first.split() == ["a", "leads", "yes", "10.0", "5.0", "100.0", "10.0%", "90.0"]
    assert "FULL: takes no writes" in second
    assert "silent" in third
    assert "disarm the alarm: ./everline state mend" in " ".join(text.split())
    assert "state mend" not in printed(ROOM, ROOM, ROOM)
