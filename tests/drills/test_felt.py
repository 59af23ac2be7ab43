"""What was noticed of the faults themselves, each broken on its own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.demo.hearing import Recorded
from drills.fault import Fault, FaultKind
from drills.figures import figures
from drills.seen import Crossing, Felt, Opening, Seen, Synced
from tests.demo.invented import KILL_MS
from tests.drills.good_run import course, seen

FLAP = Fault(kind=FaultKind.FLAP, target="a-b", ttl_s=8.0, period_s=1.0)
NO_KEYS = Fault(kind=FaultKind.LOSE_KEYS, target="a", ttl_s=8.0)
SLOW = Fault(kind=FaultKind.SLOW_SYNC, target="etcd-a", ttl_s=8.0, delay_ms=300.0)
ENDS_MS = KILL_MS + 8_000


def run(
    fault: Fault,
    *,
    crossings: tuple[Crossing, ...] = (),
    openings: tuple[Opening, ...] = (),
    synced: tuple[Synced, ...] = (),
) -> Seen:
    """Return the run in which one fault stood for eight seconds, and this was noticed of it."""
    whole = replace(seen(fault), course=course(fault, healed_ms=ENDS_MS))
    return replace(whole, felt=Felt(crossings=crossings, openings=openings, synced=synced))


def line(source: str, target: str, *took_ms: float | None) -> tuple[Crossing, ...]:
    """Return packets that were sent ten times a second."""
    return tuple(
        Crossing(source=source, target=target, sent_ms=KILL_MS + 100.0 * number, took_ms=each)
        for number, each in enumerate(took_ms)
    )


def test_a_link_that_flaps_was_gone_so_often() -> None:
    gone = (None,) * 10
    there = (1.0,) * 10
    twice = (*gone, *there, *gone, *there)
    found = figures(run(FLAP, crossings=(*line("a", "b", *twice), *line("b", "a", *twice))))
    assert (found["link_outages"], found["link_lost_share"]) == (2, 0.5)
    assert found["link_delay_ms"] == 1.0
    one_way = (*line("a", "b", *twice), *line("b", "a", *there * 4))
    assert figures(run(FLAP, crossings=one_way))["link_outages"] == 0, "the other way it was there"


def test_a_link_that_was_never_broken_was_gone_never() -> None:
    sound = line("a", "b", *(1.0,) * 40)
    found = figures(run(FLAP, crossings=sound))
    assert (found["link_outages"], found["link_lost_share"]) == (0, 0.0)
    # A few packets that a busy machine loses are no outage.
    few = line("a", "b", 1.0, None, None, 1.0, None, 1.0)
    assert figures(run(FLAP, crossings=few))["link_outages"] == 0


def test_what_was_sent_when_it_was_mended_says_nothing() -> None:
    late = Crossing(source="a", target="b", sent_ms=ENDS_MS, took_ms=None)
    found = figures(run(FLAP, crossings=(*line("a", "b", 80.0, 82.0, 78.0), late)))
    assert (found["link_lost_share"], found["link_delay_ms"]) == (0.0, 80.0)


def test_recordings_that_open_without_their_keys_show() -> None:
    def opening(after_ms: int, *, is_open: bool, site: str = "a") -> Opening:
        return Opening(site=site, at_ms=KILL_MS + after_ms, is_open=is_open)

    good = (opening(100, is_open=False), opening(1_100, is_open=False))
    after = opening(8_000, is_open=True)
    other = opening(100, is_open=True, site="b")
    found = figures(run(NO_KEYS, openings=(*good, after, other)))
    assert (found["openings_refused"], found["opened_meanwhile"]) == (2, 0)
    found = figures(run(NO_KEYS, openings=(*good, opening(2_000, is_open=True))))
    assert (found["openings_refused"], found["opened_meanwhile"]) == (2, 1)
    found = figures(run(NO_KEYS, openings=(after,)))
    assert (found["openings_refused"], found["opened_meanwhile"]) == (None, None)


def test_talks_that_began_without_the_keys_count_if_all_of_them_is_recorded() -> None:
    whole = run(NO_KEYS, openings=(Opening(site="a", at_ms=KILL_MS, is_open=False),))
    assert figures(whole)["recorded_meanwhile"] is None, "nobody listened"
    callers = [each.caller for each in whole.ledger.placed if each.caller]
    at_ms = {e.call: e.joined_ms for e in callers if e.joined_ms is not None}
    during = [call for call, ms in at_ms.items() if KILL_MS <= ms < ENDS_MS]
    before = [call for call, ms in at_ms.items() if ms < KILL_MS]
    assert during
    assert before
    good = tuple(Recorded(call=call, is_complete=True) for call in (*during, *before))
    assert figures(replace(whole, recorded=good))["recorded_meanwhile"] == len(during)
    torn = (Recorded(call=during[0]), *good[1:])
    assert figures(replace(whole, recorded=torn))["recorded_meanwhile"] == len(during) - 1


def test_a_slow_disk_is_known_by_what_etcd_says_of_it() -> None:
    def said(after_ms: int, times: int, took_s: float, site: str = "a") -> Synced:
        return Synced(site=site, at_ms=KILL_MS + after_ms, times=times, took_s=took_s)

    slow = (said(0, 100, 0.2), said(500, 102, 0.8), said(7_900, 120, 6.2), said(8_500, 400, 6.3))
    assert figures(run(SLOW, synced=slow))["sync_ms"] == pytest.approx(300.0)
    quick = (said(0, 100, 0.2), said(7_900, 600, 0.7))
    assert figures(run(SLOW, synced=quick))["sync_ms"] == pytest.approx(1.0)
    assert (
        figures(run(SLOW, synced=(said(0, 9, 1.0, "b"), said(9, 10, 2.0, "b"))))["sync_ms"] is None
    )
    assert figures(run(SLOW, synced=(said(0, 100, 0.2), said(500, 100, 0.2))))["sync_ms"] is None


def test_where_nobody_tried_nothing_is_said() -> None:
    assert not {"link_outages", "openings_refused", "sync_ms"} & figures(seen()).keys()
