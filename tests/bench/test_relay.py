from __future__ import annotations

import pytest
from msgspec.structs import replace

from loadtests.bench.cpu import Look
from loadtests.bench.errors import BenchError
from loadtests.bench.relay.proxies import KEMI_DIR, NATIVE, native_configuration
from loadtests.bench.relay.sipp import Run, Span, Tally, parse_statistics

HEAD = "StartTime;TotalCallCreated;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);"
HEAD += "Retransmissions(P);Retransmissions(C)"


def test_the_last_row_of_the_statistics_counts() -> None:
    text = f"{HEAD}\n1;10;10;10;0;0;0\n2;80;70;78;2;5;7\n"
    assert parse_statistics(text) == Tally(created=80, succeeded=78, failed=2, retransmissions=7)


def test_served_a_second_is_of_the_seconds_in_which_calls_were_placed_all_the_time() -> None:
    counts = [(0, 0, 0), (1, 2000, 150), (2, 4000, 560), (3, 6000, 950), (4, 7000, 1300)]
    rows = [f"1;{made};0;{done};0;0;0;00:00:0{at_s}:000000" for at_s, made, done in counts]
    text = "\n".join((f"{HEAD};ElapsedTime(C)", *rows, rows[-1].replace("0:04:", "0:09:"))) + "\n"
    found = parse_statistics(text)
    assert found.steady.succeeded_per_s == (950 - 150) / 2
    assert found.steady.placed_per_s == 2000
    assert found.elapsed_s == 9
    short = parse_statistics("\n".join((f"{HEAD};ElapsedTime(C)", *rows[:2])))
    assert (short.steady.succeeded_per_s, short.steady.placed_per_s) == (0.0, 0.0)


def test_cores_are_those_while_calls_were_placed_and_not_those_of_the_wait_for_the_last() -> None:
    looks = [(0.0, 0.0), (1.0, 0.2), (2.1, 1.3), (3.0, 2.2), (9.0, 2.2)]
    run = Run(
        tally=Tally(
            created=9,
            succeeded=9,
            failed=0,
            retransmissions=0,
            steady=Span(first_s=1.0, last_s=3.0),
        ),
        own_s=0.0,
        looks=tuple(Look(at_s=at_s, spent_s={"edge": spent_s}) for at_s, spent_s in looks),
    )
    assert run.steady_cores() == {"edge": pytest.approx(1.0)}
    assert replace(run, looks=run.looks[:1]).steady_cores() == {}


def test_a_row_that_sipp_is_just_writing_does_not_count() -> None:
    whole = f"{HEAD}\n2;80;70;78;2;5;7\n"
    assert parse_statistics(f"{whole}3;160;80") == parse_statistics(whole)
    with pytest.raises(ValueError, match="no row"):
        parse_statistics(f"{HEAD}\n8")


def test_a_file_without_rows_is_no_result() -> None:
    with pytest.raises(ValueError, match="no row"):
        parse_statistics(HEAD + "\n")


def test_clean_is_every_call_done_and_nothing_sent_twice() -> None:
    clean = Tally(created=9, succeeded=9, failed=0, retransmissions=0)
    assert clean.dirt == ""
    assert clean.plus_retransmissions(1).dirt == "1 retransmissions"
    late = Tally(created=9, succeeded=7, failed=1, retransmissions=0)
    assert late.dirt == "2 of 9 failed"


def test_the_native_configuration_is_the_shipped_one_without_python() -> None:
    shipped = (KEMI_DIR / "kamailio.cfg").read_text()
    native = native_configuration(shipped, NATIVE.read_text())
    kept = [line for line in shipped.splitlines() if line.startswith(("modparam", "loadmodule"))]
    dropped = [line for line in kept if line not in native]
    python = ("app_python3", "event_callback", '"rtimer", "exec"')
    assert all(any(word in line for word in python) for line in dropped)
    assert len(dropped) == 6
    assert "cfgengine" not in native
    assert "request_route {" in native


def test_a_configuration_that_has_changed_its_engine_is_refused() -> None:
    with pytest.raises(BenchError, match=r"native\.cfg"):
        native_configuration('loadmodule "tm.so"\n', "")
