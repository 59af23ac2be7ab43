from __future__ import annotations

from msgspec.structs import replace

from drills.demo.reports import End
from drills.demo.scenario import Behaviour, Dialler
from drills.demo.sipp_log import injection, parse, reports
from state.keys import call_id_for
from tests.demo import invented


def line(step: str, second: float, detail: str = "", call: str = "1-9@host") -> str:
    stamp = f"2026-11-23\t06:20:30.655563\t{1795414830 + second:.6f}"
    return f"{step}|{call}|15550200001|{stamp}|{detail}\n"


def test_a_call_that_the_agent_ends_is_read_step_by_step() -> None:
    (report,) = reports(
        parse(
            line("invite", 0, "9x1")
            + line("ok", 0.25)
            + line("joined", 2)
            + line("joined", 4)
            + line("bye_received", 9.5, ' everline;text="agent_hung_up"')
        )
    )
    assert report.number == "15550200001"
    assert report.call == call_id_for("1-9@host", "9x1")
    assert report.dialler is Dialler.SIPP
    assert report.ok_ms is not None
    assert report.ok_ms - report.invite_ms == 250
    assert report.joined_ms is not None
    assert report.joined_ms - report.invite_ms == 2000
    assert report.ended_ms is not None
    assert report.ended_ms - report.invite_ms == 9500
    assert report.end is End.FAR_END
    assert report.reason == 'everline;text="agent_hung_up"'
    assert report.sent is None


def test_no_call_waits_for_less_than_no_time() -> None:
    first = replace(invented.SCENARIO.calls[0], at_s=-0.049)
    second = replace(first, at_s=0.0)
    _, *lines = injection([first, second]).splitlines()
    assert [line.split(";")[3] for line in lines] == ["0", "0"]


def test_each_way_to_end_is_told_apart() -> None:
    ends = {
        "bye_answered": End.HUNG_UP,
        "bye_crossed": End.HUNG_UP,
        "bye_failed": End.UNHEARD,
        "bye_received": End.FAR_END,
        "silence": End.SILENCE,
    }
    for step, end in ends.items():
        (report,) = reports(parse(line("invite", 0) + line("hangs_up", 1) + line(step, 2)))
        assert report.end is end
        assert report.crossed is (step == "bye_crossed")


def test_a_report_says_when_the_caller_said_goodbye_and_when_that_was_answered() -> None:
    steps = line("invite", 0) + line("hangs_up", 1) + line("bye_answered", 6.5)
    (report,) = reports(parse(steps))
    assert report.hung_up_ms is not None
    assert report.ended_ms is not None
    assert report.ended_ms - report.hung_up_ms == 5500


def test_a_refusal_has_its_status_and_no_answer() -> None:
    (report,) = reports(parse(line("invite", 0) + line("refused", 0.1, "503")))
    assert (report.end, report.status, report.ok_ms) == (End.REFUSED, 503, None)


def test_a_call_whose_end_is_missing_is_unfinished() -> None:
    (report,) = reports(parse(line("invite", 0) + line("ok", 1)))
    assert (report.end, report.ended_ms) == (End.UNFINISHED, None)


def test_a_line_cut_short_and_noise_are_left_out() -> None:
    text = line("invite", 0) + "ok|1-9@host|1555" + "\nnoise\n" + "ok|1-9@host|1|yesterday|\n"
    assert [each.step for each in parse(text)] == ["invite"]


def test_the_injection_file_has_a_line_for_each_call() -> None:
    calls = [call for call in invented.SCENARIO.calls if call.dialler is Dialler.SIPP]
    first, *lines = injection(calls).splitlines()
    assert first == "SEQUENTIAL"
    assert len(lines) == len(calls)
    number, did, site, start_ms, behaviour = lines[0].split(";")
    assert (number, did, site) == (calls[0].number, calls[0].did, calls[0].first_site)
    assert int(start_ms) == round(calls[0].at_s * 1000)
    assert Behaviour(behaviour) is calls[0].behaviour
