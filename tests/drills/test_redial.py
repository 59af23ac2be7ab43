"""Who dials again in a drill: whoever was cut off, as they waited or as they talked."""

from __future__ import annotations

from drills.demo.phones import Line
from drills.drill.redial import CutOff, cut_off


def line(event: str, phone: str = "1", *, role: str = "caller", cause: str = "") -> Line:
    return Line(event=event, phone=phone, role=role, sip_call_id=f"call-{phone}", cause=cause)


CUT = line("hanging_up", cause="no_media")


def test_who_hears_nothing_any_more_dials_again_whether_they_waited_or_talked() -> None:
    waited = CutOff(number="1", sip_call_id="call-1", had_talked=False)
    talked = CutOff(number="2", sip_call_id="call-2", had_talked=True)
    heard = line("joined", "2"), line("hanging_up", "2", cause="no_media")
    assert cut_off([CUT, *heard]) == {"1": waited, "2": talked}
    assert cut_off([CUT, CUT]) == {"1": waited}


def test_who_has_talked_or_is_tired_of_waiting_and_an_agent_do_not() -> None:
    assert cut_off([line("joined"), line("hanging_up", cause="talked")]) == {}
    assert cut_off([line("hanging_up", cause="impatient")]) == {}
    assert cut_off([line("hanging_up", role="agent", cause="no_media")]) == {}
