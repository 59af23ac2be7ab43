"""What people met over time, in slices, reckoned from the telephones' own lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from drills.fault import Fault, FaultKind
from loadtests.load.faults import Done
from loadtests.load.telling import Told, hear
from loadtests.load.trends import MOST_SLICES, Slice, Trends, reckon, slice_s

BEGAN_MS = 1_700_000_000_000
CALLER = {
    "event": "call",
    "role": "caller",
    "how": "hung_up",
    "cause": "talked",
    "packets_received": 400,
    "longest_gap_s": 0.06,
}


def told(**fields: object) -> Told:
    found = hear(json.dumps(fields).encode())
    assert found is not None
    return found


def caller(at_s: float, set_up_ms: int = 20, **changes: object) -> Told:
    """Return a call that was dialled then, waited for three seconds and talked for five."""
    invite_ms = BEGAN_MS + round(1000 * at_s)
    stamps = {
        "phone": f"15558000001/{at_s:g}",
        "invite_ms": invite_ms,
        "answered_ms": invite_ms + set_up_ms,
        "setup_ms": set_up_ms,
        "joined_ms": invite_ms + set_up_ms + 3_000,
        "ended_ms": invite_ms + set_up_ms + 8_000,
    }
    return told(**CALLER | stamps | changes)


def agent(at_s: float, **changes: object) -> Told:
    """Return a call that rang then for a second, and talked."""
    invite_ms = BEGAN_MS + round(1000 * at_s)
    stamps = {
        "invite_ms": invite_ms,
        "answered_ms": invite_ms + 1_000,
        "joined_ms": invite_ms + 1_020,
        "ended_ms": invite_ms + 6_000,
    }
    return told(**CALLER | {"role": "agent"} | stamps | changes)


def trends(
    lines: Iterable[Told], done: Iterable[Done] = (), began_ms: int = BEGAN_MS, seconds: float = 60
) -> Trends:
    found = reckon(lines, tuple(done), began_ms, seconds)
    assert found is not None
    return found


def slices(found: Trends, name: str) -> dict[float, Slice]:
    """Return the slices of a row of the tables by when they begin."""
    return {each.number * found.slice_s: each for each in found.rows[name]}


def test_what_only_counts_has_no_slice_and_stops_nothing() -> None:
    busy = agent(10.0, cause="busy", answered_ms=None)
    found = trends([caller(10.0), busy, agent(20.0)])
    assert "SIP agent rung in a talk" not in found.rows
    assert found.rows["SIP ring"]


def test_each_row_has_median_and_95th_percentile_of_what_was_in_the_slice() -> None:
    found = trends(caller(10.0 + n / 100, set_up_ms=n) for n in range(1, 41))
    (at_s,) = slices(found, "SIP set-up")
    only = slices(found, "SIP set-up")[at_s]
    assert at_s <= 10.0 < at_s + found.slice_s
    assert (only.count, only.failed) == (40, 0)
    assert (only.median, only.tail) == (20, 38)


def test_of_the_mean_opinion_score_the_worse_end_is_told() -> None:
    heard = [caller(10.0 + n / 100) for n in range(39)]
    (only,) = trends([*heard, caller(10.4, packets_lost=400)]).rows["RTP MOS x 100, caller"]
    assert only.median == 441
    assert only.failed == 1
    assert only.tail == 441
    (few,) = trends([*heard[:5], caller(10.4, packets_lost=400)]).rows["RTP MOS x 100, caller"]
    assert few.tail < 200


def test_everything_stands_where_it_began_and_not_where_its_call_was_over() -> None:
    began_ms = BEGAN_MS + 16_000
    found = trends(
        [
            caller(10.0, gap_from_ms=began_ms, longest_gap_s=1.5),
            agent(13.0),
            *(caller(30 + n / 100) for n in range(120)),
        ],
        seconds=40,
    )
    assert found.slice_s == 1.0
    assert max(slices(found, "RTP longest gap, caller").values(), key=lambda each: each.tail) == (
        Slice(number=16, count=1, failed=0, median=1_500.0, tail=1_500.0)
    )
    assert list(slices(found, "SIP ring")) == [13.0]
    assert list(slices(found, "SIP answer until the caller is heard")) == [14.0]
    assert found.ended["talked"][10] == 0
    assert found.ended["talked"][18] == 1


def test_calls_that_ended_are_counted_by_how_in_each_slice() -> None:
    turned_away: dict[str, Any] = {
        "how": "refused",
        "cause": "rejected",
        "status": 503,
        "answered_ms": None,
        "joined_ms": None,
    }
    lines = [caller(1.0), caller(2.0), caller(31.0, cause="no_media"), caller(32.0, **turned_away)]
    found = trends(lines)
    assert {how: sum(counts) for how, counts in found.ended.items()} == {
        "talked": 2,
        "cut off": 1,
        "refused": 1,
    }
    lengths = {len(counts) for counts in found.ended.values()}
    assert lengths == {found.slices}
    assert sum(each.failed for each in found.rows["SIP set-up"]) == 1


def test_calls_whose_telephones_died_are_counted_as_untold() -> None:
    lost = told(event="invite", role="caller", phone="15558000002/1", wall_ms=BEGAN_MS + 5_000)
    invited = told(event="invite", role="caller", phone="15558000001/0", wall_ms=BEGAN_MS)
    assert trends([invited, lost, caller(0.0)]).untold == 1
    assert trends([invited, caller(0.0)]).untold == 0


def test_faults_that_were_made_are_marked_and_refused_ones_are_not() -> None:
    kill = Fault(kind=FaultKind.KILL, target="edge-a1")
    cut = Fault(kind=FaultKind.CUT_ETCD, target="c", ttl_s=15.0)
    at_ms = BEGAN_MS + 20_100
    done = [
        Done(at_s=20.0, drill="edge_killed", fault=kill, from_ms=at_ms, until_ms=at_ms),
        Done(at_s=30.0, drill="edge_killed", fault=kill, problem="the lever is pulled"),
        Done(at_s=40.0, drill="etcd_partition", fault=cut, from_ms=at_ms, until_ms=at_ms + 15_000),
    ]
    found = trends([caller(1.0)], done).broken
    assert [(each.number, each.from_s, each.until_s) for each in found] == [
        (1, 20.1, 20.1),
        (2, 20.1, 35.1),
    ]
    assert found[1].what == "etcd_partition: cut_etcd c (for 15 s)"


def test_where_nobody_knows_when_it_began_the_first_call_is_the_beginning() -> None:
    found = trends([caller(100.0), caller(107.0)], began_ms=0)
    assert found.rows["SIP set-up"][0].number == 0


def test_without_a_call_there_is_nothing_to_draw() -> None:
    assert reckon((), (), BEGAN_MS, 60.0) is None


def test_line_with_impossible_stamps_stands_nowhere() -> None:
    found = trends([caller(1.0), caller(-40_000.0), caller(90_000.0)])
    assert sum(each.count for each in found.rows["SIP set-up"]) == 1
    assert found.slices <= MOST_SLICES


@pytest.mark.parametrize(
    ("seconds", "calls", "expected"),
    [
        (36.0, 28, 5.0),
        (960.0, 563, 10.0),
        (7_200.0, 4_200, 30.0),
        (86_400.0, 1_000_000, 600.0),
        (7_200.0, 1, 7_200.0),
    ],
)
def test_slices_are_few_and_have_some_calls_each(
    seconds: float, calls: int, expected: float
) -> None:
    assert slice_s(seconds, calls) == expected
    assert seconds / expected <= MOST_SLICES


def test_two_hours_of_soak_stay_small() -> None:
    found = trends((caller(at_s * 1.7) for at_s in range(4_200)), seconds=7_200.0)
    assert found.slices <= MOST_SLICES + 1
    assert max(len(each) for each in found.rows.values()) <= MOST_SLICES
