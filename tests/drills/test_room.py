"""Making room in etcd: in which order, and when not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from rich.console import Console

from drills.desk.rooms import RoomRow, Rooms, shown
from drills.lab.errors import LabError
from drills.lab.room import MemberRoom, in_turn, quota
from state.model import SiteId
from state.space import Space

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
