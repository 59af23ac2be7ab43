from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtests.bench import report
from loadtests.bench.cpu import Look
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import Climb, Climbs
from loadtests.bench.relay import anchored, measure
from loadtests.bench.relay.compared import Compared, Cost
from loadtests.bench.relay.proxies import (
    ALL,
    CONTROL,
    KEMI,
    KEMI_DIR,
    NATIVE,
    PLAIN,
    native_configuration,
    specification,
    with_rtpengine,
)
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
    python = ("app_python3", "event_callback")
    assert all(any(word in line for word in python) for line in dropped)
    assert len(dropped) == 5
    assert "cfgengine" not in native
    assert "request_route {" in native


def test_a_configuration_that_has_changed_its_engine_is_refused() -> None:
    with pytest.raises(BenchError, match=r"native\.cfg"):
        native_configuration('loadmodule "tm.so"\n', "")


SHIPPED = (KEMI_DIR / "kamailio.cfg").read_text()


def test_routes_that_the_shipped_configuration_calls_by_name_are_native_ones_too() -> None:
    native = native_configuration(SHIPPED, NATIVE.read_text())
    named = set(re.findall(r"route=(\w+)", native)) | set(re.findall(r"route\((\w+)\)", native))
    assert "ksr_beat" in named
    assert named == set(re.findall(r"^route\[(\w+)\]", native, re.MULTILINE))


@pytest.mark.parametrize("proxy", ALL, ids=lambda each: each.name)
def test_with_media_each_proxy_has_the_module_once_and_what_else_it_has_without(
    proxy: Any,  # noqa: ANN401 - of the parameters
    tmp_path: Path,
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    without = specification(proxy, tmp_path / "without")
    managed = specification(proxy, tmp_path / "with", media=True)
    before, after = (Path(each.argv[each.argv.index("-f") + 1]) for each in (without, managed))
    more = set(after.read_text().splitlines()) - set(before.read_text().splitlines())
    assert more == {
        "#!define MANAGED",
        'loadmodule "rtpengine.so"',
        'modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:2223")',
    }
    routes = [word for word in managed.argv if word.startswith("!ROUTES!")]
    assert routes[0].endswith("/loadtests/bench/relay/managed.py!")


def test_a_configuration_with_no_place_for_the_module_is_refused() -> None:
    with pytest.raises(BenchError, match="no place"):
        with_rtpengine('loadmodule "tm.so"\n')


def test_both_routes_ask_the_module_as_often_and_with_the_same_flags() -> None:
    python = NATIVE.with_name("managed.py").read_text()
    native = re.findall(r'rtpengine_manage\("(.*)"\)', NATIVE.read_text())
    (flags,) = re.findall(r'^FLAGS = "(.*)"$', python, re.MULTILINE)
    assert native == [flags] * python.count("rtpengine_manage(FLAGS)") == [flags] * 3


def compared(*, has_media: bool, kemi_us: float = 240.0) -> Compared:
    relay_us = 800.0 if has_media else 0.0
    each_us = {KEMI.name: kemi_us, PLAIN.name: 200.0, CONTROL.name: 210.0}
    looks = Climbs(each=(Climb(highest=900.0, ended_by="a stall"),))
    return Compared(
        rate=300.0,
        has_media=has_media,
        costs={
            name: [Cost(proxy_us=us, relay_us=relay_us, sipp_us=70.0, dirt=dirt)]
            for (name, us), dirt in zip(each_us.items(), ("1 retransmissions", "", ""), strict=True)
        },
        climbs={KEMI.name: looks, PLAIN.name: looks},
    )


def test_the_ratio_is_of_the_proxies_alone_and_the_media_relay_is_told_beside_it() -> None:
    found: Any = compared(has_media=True).as_json()
    assert found["cpu_ratio"] == 1.2
    assert found["control_ratio"] == 1.05
    assert found["cpu_ratio_with_rtpengine"]["median"] == 1.04
    assert found["rtpengine_us"]["native"]["median"] == 800.0
    assert found["not_clean"] == {"kemi": ["1 retransmissions"]}
    assert "rtpengine_us" not in compared(has_media=False).as_json()


def test_figures_with_media_stand_beside_those_without(capsys: pytest.CaptureFixture[str]) -> None:
    both = measure.RelayFigures(
        effort=measure.Effort(),
        plain=compared(has_media=False, kemi_us=220.0),
        managed=compared(has_media=True),
    )
    found: Any = report.relay(both)
    assert (found["cpu_ratio"], found["rtpengine"]["cpu_ratio"]) == (1.1, 1.2)
    told = capsys.readouterr().out
    assert told.count("ratio to native") == 2
    assert told.count("CPU of rtpengine") == 1
    alone = replace(both, plain=None)
    assert set(alone.as_json()) == {"rtpengine"}


def test_with_media_the_rates_are_others() -> None:
    effort = measure.Effort()
    assert effort.of(media=False) is effort
    managed = effort.of(media=True)
    assert (managed.rate, managed.first_rate) == (effort.media_rate, effort.media_first_rate)
    assert managed.seconds == effort.media_seconds


def test_what_the_media_relay_was_asked_for_is_read_as_number_or_as_text() -> None:
    told = (
        b"counts d10:statisticsd7:proxiesld5:proxy9:127.0.0.110:offercount1:7ee"
        b"15:totaloffercount2:1716:totalanswercount1:416:totaldeletecounti3eee"
    )
    assert anchored.parse_counts(told) == {"offer": 17, "answer": 4, "delete": 3}
    with pytest.raises(BenchError, match="totaloffercount"):
        anchored.parse_counts(b"counts d6:result4:ponge")


def test_a_proxy_that_relays_calls_without_their_media_is_found_out() -> None:
    before = {"offer": 5, "answer": 4, "delete": 3}
    after = {"offer": 9, "answer": 8, "delete": 7}
    anchored.check(before, after, 4)
    with pytest.raises(BenchError, match="4 offers, 4 answers, 0 deletes, for 4 calls"):
        anchored.check(before, after | {"delete": 3}, 4)
