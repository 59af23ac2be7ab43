"""A flood of calls: that it was one, who was answered, and when all was as before."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from drills.demo.reports import OfferChange, OfferEvent
from drills.demo.scenario import Burst, Coming, plan
from drills.figures import figures
from drills.seen import Seen
from state.model import AgentId, CallId, Outcome
from tests.demo.invented import START_MS
from tests.drills.good_run import course, seen

BURST = Burst(from_s=10.0, calls_per_s=5.0, for_s=8.0)
PLAN = plan(seed=4, calls=72, coming=Coming(calls_per_s=0.5, burst=BURST))
WAITS_MS = 1_500


def run(*late: int, waits_ms: int = 9_000) -> Seen:
    """Return a run in which everybody is given an agent after 1.5 s, but for some of the calls."""
    whole = seen()
    rows = []
    offers = []
    for row, call in zip(whole.ledger.rows, PLAN.calls, strict=True):
        assert row.caller is not None
        invite_ms = START_MS + round(call.at_s * 1000)
        given_ms = invite_ms + 20 + (waits_ms if call.index in late else WAITS_MS)
        caller = replace(row.caller, invite_ms=invite_ms, ok_ms=invite_ms + 20, joined_ms=given_ms)
        rows.append(replace(row, planned=call, caller=caller, by_people=Outcome.ANSWERED))
        offers.append(
            OfferEvent(
                at_ms=given_ms,
                change=OfferChange.PUT,
                agent=AgentId("alba"),
                call=CallId(caller.call),
                revision=call.index + 1,
            )
        )
    return replace(
        whole,
        scenario=PLAN,
        ledger=replace(whole.ledger, rows=tuple(rows)),
        offers=tuple(offers),
        course=course(),
    )


def of(part: str) -> list[int]:
    """Return which calls come before the flood, in it, or after it."""
    ends = {"before": (0.0, 10.0), "during": (10.0, 18.0), "after": (18.0, 1e9)}
    least_s, most_s = ends[part]
    return [call.index for call in PLAN.calls if least_s <= call.at_s < most_s]


def test_a_flood_is_known_by_how_fast_calls_came() -> None:
    found = figures(run())
    assert found["flood_times"] == pytest.approx(10.0, rel=0.1)
    assert found["flood_s"] == pytest.approx(8.0, abs=0.6)
    assert "flood_times" not in figures(seen())
    endless = replace(run(), scenario=replace(PLAN, burst=replace(BURST, for_s=math.inf)))
    assert "flood_times" not in figures(endless)


def test_who_refuses_everybody_has_answered_nobody() -> None:
    whole = run()
    assert figures(whole)["flood_answered_share"] == 1.0
    mine = of("during")
    rows = tuple(
        replace(row, by_people=Outcome.REFUSED) if row.planned.index in mine else row
        for row in whole.ledger.rows
    )
    refused = replace(whole, ledger=replace(whole.ledger, rows=rows))
    assert figures(refused)["flood_answered_share"] == 0.0


def test_all_is_as_before_with_the_first_caller_from_whom_on_nobody_waits_longer() -> None:
    last_s = max(PLAN.calls[index].at_s for index in of("during"))
    after = of("after")
    first_s = PLAN.calls[after[0]].at_s
    assert figures(run())["usual_again_s"] == pytest.approx(first_s - last_s, abs=0.01)
    # A second more is nothing; and who waits in the flood itself is no sign.
    found = figures(run(*of("during"), after[0], waits_ms=WAITS_MS + 900))
    assert found["usual_again_s"] == pytest.approx(first_s - last_s, abs=0.01)
    third_s = PLAN.calls[after[2]].at_s
    assert figures(run(after[1]))["usual_again_s"] == pytest.approx(third_s - last_s, abs=0.01)
    assert figures(run(after[-1]))["usual_again_s"] == math.inf


def test_without_callers_before_or_after_nothing_is_as_before() -> None:
    whole = run()
    for part in ("before", "after"):
        left = set(of(part))
        rows = tuple(row for row in whole.ledger.rows if row.planned.index not in left)
        some = replace(whole, ledger=replace(whole.ledger, rows=rows))
        assert figures(some)["usual_again_s"] is None, part
