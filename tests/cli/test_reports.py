from __future__ import annotations

import datetime as dt
import random

import pytest
from msgspec.structs import replace

from drills.cli.calls import moment_ms
from drills.cli.errors import CommandError
from drills.desk.asks import ReportAsk
from drills.desk.ledger import Ledger
from drills.desk.reports import of_agents, report, shown
from edge.acd.service_level import SERVICE_LEVELS
from state.model import CallRecord, EdgeId, QueueId
from tests.acd.worlds import NOW
from tests.cli.test_tables import printed
from tests.replay.days import WRAP_UP_S, line_of, queue, staff


def ledger(records: list[CallRecord]) -> Ledger:
    return Ledger(records=tuple(records), bad={}, revisions={})


def asked(interval_s: float, since_ms: int | None = None, until_ms: int | None = None) -> ReportAsk:
    return ReportAsk(interval_s=interval_s, target_s=20.0, since_ms=since_ms, until_ms=until_ms)


def calls() -> list[CallRecord]:
    """Return the calls of two queues over some hours."""
    records = line_of(200, 2, seed=5)
    return [
        replace(record, queue=QueueId("help")) if number % 3 == 0 else record
        for number, record in enumerate(records)
    ]


def test_a_report_is_the_same_after_a_failover_that_changes_holders_and_order() -> None:
    snapshot, records = staff(2, queue()).snapshot, calls()
    before = report(1, snapshot, ledger(records), NOW, asked(1800.0))
    moved = [replace(record, edge=EdgeId("b2")) for record in records]
    random.Random(1).shuffle(moved)  # noqa: S311 - an order, no secret
    after = report(1, snapshot, ledger(moved), NOW, asked(1800.0))
    assert [(row.queue, row.from_ms) for row in after.rows] == [
        (row.queue, row.from_ms) for row in before.rows
    ]
    for one, other in zip(before.rows, after.rows, strict=True):
        assert one.figures.service_level == other.figures.service_level
        assert (one.figures.calls, one.figures.abandoned) == (
            other.figures.calls,
            other.figures.abandoned,
        )
        assert one.figures.wait_p95_s == other.figures.wait_p95_s
        assert abs((one.figures.asa_s or 0) - (other.figures.asa_s or 0)) < 1e-9


def test_every_call_is_in_one_interval_of_one_queue() -> None:
    snapshot, records = staff(2, queue()).snapshot, calls()
    told = report(1, snapshot, ledger(records), NOW, asked(900.0))
    assert sum(row.figures.calls for row in told.rows) == len(records) == told.total.calls
    assert {row.queue for row in told.rows} == {"sales", "help"}
    assert all(row.from_ms % 900_000 == 0 for row in told.rows)
    assert len({(row.queue, row.from_ms) for row in told.rows}) == len(told.rows)
    assert told.total.service_level.keys() == SERVICE_LEVELS.keys()


def test_handling_time_counts_the_wrap_up_of_each_queue() -> None:
    snapshot = staff(1, queue()).snapshot
    (record, *_) = [each for each in line_of(5, 5, seed=1) if each.connected_ms is not None]
    assert record.connected_ms is not None
    told = report(1, snapshot, ledger([record]), NOW, asked(900.0))
    talked_s = (record.ended_ms - record.connected_ms) / 1000
    assert told.total.aht_s == talked_s + WRAP_UP_S


def test_what_each_agent_did_is_told_and_fits() -> None:
    snapshot, records = staff(2, queue()).snapshot, calls()
    talked = [replace(r, idle_s=30.0, wrap_up_s=7.0) for r in records if r.agent is not None]
    told = report(1, snapshot, ledger(talked), NOW, asked(1800.0))
    assert sum(work.calls for work in told.agents.values()) == len(talked)
    assert all(work.wrap_up_s == 7.0 * work.calls for work in told.agents.values())
    assert 0.0 < (told.total.occupancy or 0.0) < 1.0
    text = printed(of_agents(told))
    assert max(map(len, text.splitlines())) <= 80
    assert all(agent in text for agent in told.agents)
    nobody = report(1, snapshot, ledger([]), NOW, asked(1800.0))
    assert "No call is over yet" in printed(of_agents(nobody))


def test_how_wrong_estimates_were_is_told() -> None:
    snapshot = staff(1, queue()).snapshot
    (record, *_) = [each for each in line_of(5, 5, seed=1) if each.connected_ms is not None]
    right, wrong = replace(record, estimate_s=1.5), replace(record, estimate_s=21.5)
    (row,) = report(1, snapshot, ledger([right, wrong]), NOW, asked(900.0)).rows
    assert row.estimates is not None
    assert (row.estimates.count, row.estimates.within_share) == (2, 0.5)
    assert row.estimates.bias_s == 10.0
    (silent,) = report(1, snapshot, ledger([record]), NOW, asked(900.0)).rows
    assert silent.estimates is None


def test_the_table_fits_and_says_when_there_is_nothing() -> None:
    snapshot = staff(1, queue()).snapshot
    text = printed(shown(report(1, snapshot, ledger(calls()), NOW, asked(1800.0))))
    assert max(map(len, text.splitlines())) <= 80
    assert "sales" in text
    assert "No call is over yet" in printed(
        shown(report(1, snapshot, ledger([]), NOW, asked(1800.0)))
    )


def test_calls_that_cannot_be_read_are_said_to_be_in_no_figure() -> None:
    snapshot, bad = staff(2, queue()).snapshot, {"/everline/ended/ab": "ab: write it anew"}
    for records in (calls(), []):
        over = Ledger(records=tuple(records), bad=bad, revisions={})
        text = printed(shown(report(1, snapshot, over, NOW, asked(1800.0))), width=100)
        assert "ab: write it anew" in text


def test_a_report_of_a_while_is_of_those_alone_who_called_then() -> None:
    snapshot, records = staff(2, queue()).snapshot, calls()
    came = sorted(record.arrived_ms for record in records)
    since_ms, until_ms = came[50], came[120]
    told = report(1, snapshot, ledger(records), NOW, asked(900.0, since_ms, until_ms))
    wanted = [at for at in came if since_ms <= at < until_ms]
    assert told.total.calls == sum(row.figures.calls for row in told.rows) == len(wanted)
    assert (told.since_ms, told.until_ms) == (since_ms, until_ms)
    nobody = report(1, snapshot, ledger(records), NOW, asked(900.0, came[-1] + 1))
    assert "Nobody called then" in printed(shown(nobody))


def test_a_report_over_several_days_says_of_which_day_each_clock_is() -> None:
    day_ms, at_ms = 86_400_000, NOW.wall_ms
    one = calls()[0]
    records = [replace(one, arrived_ms=at_ms - days * day_ms) for days in (0, 1, 2)]
    told = report(1, staff(1, queue()).snapshot, ledger(records), NOW, asked(900.0))
    text = printed(shown(told))
    today = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).date()
    days = [(today - dt.timedelta(days=days)).isoformat() for days in (2, 1, 0)]
    assert [each for each in text.split() if each in days] == days


def test_today_alone_needs_no_day() -> None:
    records = [replace(calls()[0], arrived_ms=NOW.wall_ms)]
    told = report(1, staff(1, queue()).snapshot, ledger(records), NOW, asked(900.0))
    assert "-" not in printed(shown(told)).split()[0]
    assert printed(shown(told)).count("sales") + printed(shown(told)).count("help") == 1


def test_a_moment_is_typed_as_a_time_of_today_a_day_or_both() -> None:
    today = dt.date(2026, 11, 28)
    begins = dt.datetime.combine(today, dt.time(0, 30)).timestamp() * 1000
    assert moment_ms("--since", "00:30", today) == begins
    assert moment_ms("--since", "2026-11-28T00:30", today) == begins
    assert moment_ms("--since", "2026-11-28", today) == begins - 1_800_000
    for typed in ("2026-11-28T14:30+01:00", "14:30+01:00", "08:30-05:00"):
        assert moment_ms("--since", typed, today) == 1_795_872_600_000
    assert moment_ms("--since", "", today) is None
    with pytest.raises(CommandError, match="--until noon: no moment such as 14:30"):
        moment_ms("--until", "noon", today)
