"""Which sites and edges served meanwhile, each figure broken on its own."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from drills.demo.scenario import PlannedCall
from drills.fault import Fault, FaultKind
from drills.figures import figures
from drills.packets import Dialled
from drills.seen import Seen
from state.model import CallRecord, EdgeId
from tests.demo.invented import CALLERS, DEAD, KILL_MS, RECORDS, SCENARIO
from tests.drills.good_run import KILL_SITE, course, seen

DRAIN = Fault(kind=FaultKind.DRAIN, target=DEAD, ttl_s=8.0)
NO_TRUNK = Fault(kind=FaultKind.CUT, target=f"carrier-{DEAD}", ttl_s=8.0)


def of(healed_ms: int, *method: Fault, records: tuple[CallRecord, ...] = RECORDS) -> Seen:
    """Return the run in which a method was mended at some time."""
    return replace(seen(*method, records=records), course=course(*method, healed_ms=healed_ms))


def where(is_one: Callable[[PlannedCall], bool], **changes: object) -> tuple[CallRecord, ...]:
    """Return the records, those of some calls otherwise."""
    return tuple(
        replace(record, **changes) if is_one(call) else record
        for call, record in zip(SCENARIO.calls, RECORDS, strict=True)
    )


def meant(from_s: float, to_s: float) -> list[int]:
    """Return which callers the carrier tries at the site first, placed so long after the fault."""
    return [
        call.index
        for call, caller in zip(SCENARIO.calls, CALLERS, strict=True)
        if call.first_site == DEAD
        and KILL_MS + from_s * 1000 <= caller.invite_ms < KILL_MS + to_s * 1000 - 20
    ]


def test_a_site_that_drains_serves_nobody_and_others_serve_its_callers() -> None:
    mine = meant(0.5, 6.0)
    assert mine
    found = figures(of(KILL_MS + 8_000, DRAIN))
    assert (found["served_there"], found["served_elsewhere"]) == (0, len(mine))
    one = where(lambda call: call.index == mine[0], site=DEAD)
    found = figures(of(KILL_MS + 8_000, DRAIN, records=one))
    assert (found["served_there"], found["served_elsewhere"]) == (1, len(mine) - 1)


def test_a_drain_that_did_nothing_shows() -> None:
    there = where(lambda call: call.first_site == DEAD, site=DEAD, via=DEAD)
    found = figures(of(KILL_MS + 8_000, DRAIN, records=there))
    assert (found["served_there"], found["served_elsewhere"]) == (len(meant(0.5, 6.0)), 0)


def test_who_comes_in_by_way_of_a_site_that_drains_is_served_elsewhere() -> None:
    passed_on = where(lambda call: call.first_site == DEAD, via=DEAD)
    found = figures(of(KILL_MS + 8_000, DRAIN, records=passed_on))
    assert found["served_there"] == 0


def test_nobody_comes_in_by_a_trunk_that_is_cut() -> None:
    passed_on = where(lambda call: call.first_site == DEAD, via=DEAD)
    found = figures(of(KILL_MS + 8_000, NO_TRUNK, records=passed_on))
    assert (found["served_there"], found["served_elsewhere"]) == (len(meant(0.5, 6.0)), 0)
    found = figures(of(KILL_MS + 8_000, NO_TRUNK))
    assert (found["served_there"], found["served_elsewhere"]) == (0, len(meant(0.5, 6.0)))


def test_what_nobody_came_for_is_not_measured() -> None:
    found = figures(of(KILL_MS + 2_000, DRAIN))
    assert (found["served_there"], found["served_elsewhere"]) == (None, None)
    assert "served_there" not in figures(seen())


def test_a_site_that_comes_back_serves_its_own_callers_again() -> None:
    after = meant(6.0, 1000.0)
    assert after
    assert figures(of(KILL_MS + 6_000, KILL_SITE))["served_again"] == 0
    late = where(lambda call: call.index in after[1:], site=DEAD)
    assert figures(of(KILL_MS + 6_000, KILL_SITE, records=late))["served_again"] == len(after) - 1


def test_how_soon_a_killed_edges_calls_are_taken_over_is_told_of_those_that_held_any() -> None:
    killed = Fault(kind=FaultKind.KILL, target="edge-b1")
    on = [
        call.index
        for call, caller in zip(SCENARIO.calls, CALLERS, strict=True)
        if caller.ok_ms is not None
        and caller.ok_ms < KILL_MS - 1000
        and (caller.ended_ms or 0) > KILL_MS
    ]
    held = of(
        KILL_MS + 5_000, killed, records=where(lambda call: call.index in on, edge=EdgeId("b1"))
    )
    assert figures(held)["takeover_s"] == math.inf, "nobody says so"
    before, after = (EdgeId("b1"), KILL_MS - 500), (EdgeId("b1"), KILL_MS + 1_250)
    another = (EdgeId("b2"), KILL_MS + 100)
    assert figures(replace(held, taken_over=(before, another)))["takeover_s"] == math.inf
    told = replace(held, taken_over=(before, another, after))
    assert figures(told)["takeover_s"] == 1.25
    none = of(KILL_MS + 5_000, killed, records=where(lambda _: True, edge=EdgeId("b2")))
    assert figures(none)["takeover_s"] is None
    assert "takeover_s" not in figures(of(KILL_MS + 5_000, KILL_SITE))


def test_the_next_life_of_a_killed_edge_is_known_by_what_it_answered_meanwhile() -> None:
    quorum = Fault(kind=FaultKind.HOLD_DOWN, target="etcd-a", ttl_s=26.0)
    killed = Fault(kind=FaultKind.KILL, target="edge-a2")
    assert figures(of(KILL_MS + 5_000, quorum, killed))["served_by_next_life"] == 0
    early = where(lambda call: call.index == 0, edge=EdgeId("a2"))
    found = figures(of(KILL_MS + 5_000, quorum, killed, records=early))
    assert found["served_by_next_life"] == 0, "by the life before"
    (mine, *_) = meant(0.0, 5.0)
    its = where(lambda call: call.index == mine, edge=EdgeId("a2"))
    assert figures(of(KILL_MS + 5_000, quorum, killed, records=its))["served_by_next_life"] == 1
    late = where(lambda call: call.index == meant(5.1, 1000.0)[0], edge=EdgeId("a2"))
    found = figures(of(KILL_MS + 5_000, quorum, killed, records=late))
    assert found["served_by_next_life"] == 0, "when all was mended"


def test_short_calls_show_an_edges_next_life_too() -> None:
    killed = Fault(kind=FaultKind.KILL, target="edge-a2")
    whole = of(KILL_MS + 5_000, Fault(kind=FaultKind.HOLD_DOWN, target="etcd-a", ttl_s=5.0), killed)
    came_ns = {"before": -1, "then": 1_000, "unanswered": 1_000, "late": 4_999}
    calls = tuple(
        Dialled(
            sip_call_id=name,
            number="1",
            first_site="a",
            invite_ns=(KILL_MS + after_ms) * 1_000_000,
            status=None if name == "unanswered" else 200,
            final_ns=None if name == "unanswered" else (KILL_MS + after_ms + 20) * 1_000_000,
        )
        for name, after_ms in came_ns.items()
    )
    records = tuple(replace(RECORDS[0], sip_call_id=e, edge=EdgeId("a2")) for e in came_ns)
    whole = replace(whole, short_calls=calls, short_records=records)
    assert figures(whole)["served_by_next_life"] == 1


def test_calls_that_were_on_where_it_was_broken_are_those_that_a_fault_can_show_in() -> None:
    shape = Fault(kind=FaultKind.SHAPE, target="a-b", ttl_s=5.0, delay_ms=80.0)
    found = figures(of(KILL_MS + 5_000, shape))["calls_met"]
    on = [e for e in CALLERS if e.invite_ms < KILL_MS + 5_000 and (e.ended_ms or 0) > KILL_MS]
    assert found == len(on), "each of them is served at a"
    elsewhere = replace(shape, target="b-x")
    rest = figures(of(KILL_MS + 5_000, elsewhere))["calls_met"]
    assert rest == 0
