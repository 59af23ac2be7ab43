"""A load that was cut short is told so, and not judged by what it has left."""

from __future__ import annotations

from loadtests.load.ran import Ran, log_lines, why_incomplete, why_not_begun


def ran(
    ran_s: float = 61.0,
    stood_still_s: float = 1.1,
    workers_lost: int = 0,
    never_began: str = "",
) -> Ran:
    return Ran(
        ran_s=ran_s,
        stood_still_s=stood_still_s,
        workers_lost=workers_lost,
        never_began=never_began,
    )


def test_a_load_that_ran_to_its_end_is_whole() -> None:
    assert why_incomplete(ran(), 60.0) is None


def test_a_load_that_ended_early_says_when() -> None:
    assert why_incomplete(ran(ran_s=7.2), 60.0) == "Locust ended after 7 of 60 s"


def test_a_lost_worker_is_named_even_if_the_time_is_over() -> None:
    why = why_incomplete(ran(workers_lost=1), 60.0)
    assert why is not None
    assert "1 of its workers" in why


def test_a_master_that_stood_still_says_for_how_long() -> None:
    assert why_incomplete(ran(stood_still_s=52.0), 60.0) == "Locust stood still for 52 s"


def test_a_master_that_left_nothing_is_no_load() -> None:
    assert why_incomplete(None, 60.0) is not None


def test_of_locusts_log_the_tables_are_left_out_and_a_traceback_is_not() -> None:
    log = """[19:50:25] vm/INFO/locust.main: Starting Locust 2.47.0
Traceback (most recent call last):
  File "locustfile.py", line 1, in <module>
ZeroDivisionError: division by zero
[19:50:27] vm/INFO/locust.main: Shutting down (exit code 0)
Type     Name      # reqs      # fails
--------|---------|-----------|-------
SIP      ring      2           0(0.00%)
"""
    assert log_lines(log) == log.splitlines()[:5]


def test_a_load_whose_callers_get_no_telephones_never_begins_and_says_who_has_none() -> None:
    assert why_not_begun(2, {0}, {}, 119.0) == ""
    assert why_not_begun(2, {0}, {}, 121.0) == (
        "the callers of worker 1 have no telephones after 121 s"
    )
    assert why_incomplete(ran(ran_s=0.0, never_began="no telephones"), 60.0) == "no telephones"


def test_a_worker_that_says_why_it_gets_none_is_believed_at_once() -> None:
    why = why_not_begun(2, set(), {1: "the telephones at callers do not start"}, 61.0)
    assert why == "worker 1: the telephones at callers do not start"
