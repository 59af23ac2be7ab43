"""A dry run of an import looks at all of a file, and holds no more of a long one than of any."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from collections import deque
from typing import Any

import pytest

from control_plane.customers import files, imagined
from control_plane.customers.files import Progress
from control_plane.customers.imagined import Imagined
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person

CSV = {"Content-Type": "text/csv"}


def _file(customers: int) -> bytes:
    rows = (b"P,+49301%06d;+49302%06d\n" % (number, number) for number in range(customers))
    return b"name,numbers\n" + b"".join(rows)


def _held(progress: Progress) -> int:
    """Return the bytes of all values that are reached from `progress`."""
    seen: set[int] = set()
    waiting: deque[object] = deque([vars(progress)])
    total = 0
    while waiting:
        each = waiting.popleft()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        if isinstance(each, dict | list | tuple | set | frozenset):
            waiting.extend(gc.get_referents(each))
        elif hasattr(each, "__dict__"):
            waiting.append(vars(each))
    return total


async def _tried(manager: Person, file: bytes, query: str = "") -> list[dict[str, Any]]:
    reply = await manager.post(f"/v1/customer-import?dry_run=true{query}", file, CSV)
    assert reply.status == 200, reply.body
    return [json.loads(each) for each in reply.body.splitlines()]


async def test_a_dry_run_holds_no_more_of_a_long_file_than_of_a_short_one(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH", 100)
    tell, held = Progress.told, []

    def weighed(progress: Progress, *, is_done: bool) -> bytes:
        held.append(_held(progress))
        return tell(progress, is_done=is_done)

    monkeypatch.setattr(Progress, "told", weighed)
    manager = await center.person(Role.MANAGER)
    *_, last = await _tried(manager, _file(2000))
    assert last == {"records": 2000, "added": 2000, "known": 0, "faulty": 0, "done": True}
    assert len(held) == 21
    assert max(held) < held[0] + 1000, "bytes, after 19 further batches"


async def test_a_number_of_a_line_far_before_is_known_in_a_dry_run(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH", 100)
    manager = await center.person(Role.MANAGER)
    again = b"Q,+49302000007\nR,+49309999999\n"
    *_, left_out, last = await _tried(manager, _file(1000) + again, "&known=skip")
    assert (left_out["line"], left_out["fault"]) == (1002, files.KNOWN)
    assert (last["added"], last["known"]) == (1001, 1)


async def test_a_dry_run_that_has_no_room_for_its_numbers_says_so(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagined, "MOST_PAGES", 10)
    manager = await center.person(Role.MANAGER)
    *_, last = await _tried(manager, _file(2000))
    assert (last["field"], last["fault"]) == ("", files.NO_ROOM)


async def test_of_many_numbers_it_is_told_exactly_which_are_here() -> None:
    with contextlib.closing(Imagined()) as numbers:
        assert await numbers.among({"+4930"}) == set()
        await numbers.add(f"+4930{number}" for number in range(1200))
        asked = {f"+4930{number}" for number in range(1190, 1800)}
        assert await numbers.among(asked) == {f"+4930{number}" for number in range(1190, 1200)}
    assert await numbers.among({"+49300"}) == set(), "closed"
