"""Who comes again in a drill: whoever was cut off, as they waited or as they talked."""

from __future__ import annotations

from drills.demo.phones import Line
from drills.drill.redial import CutOff, cut_off, sent_again
from state.keys import call_id_for
from state.model import SiteId, Ticket
from tests.drills.good_run import ticket_at


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


# ---- by their carrier ----------------------------------------------------------------------------

A, B = SiteId("a"), SiteId("b")


def on(phone: str, *events: str) -> list[Line]:
    """Return what a telephone says that has been answered, and these events."""
    dialled = Line(
        event="invite", phone=phone, role="caller", sip_call_id=f"call-{phone}", local_tag="t"
    )
    return [dialled, *(line(event, phone) for event in ("answered", *events))]


def held(site: SiteId, *phones: str, via: SiteId | None = None) -> dict[str, Ticket]:
    found: dict[str, Ticket] = {}
    for phone in phones:
        ticket = ticket_at(0, "x", 1, site=site, via=via or site).ticket
        assert ticket is not None
        found[call_id_for(f"call-{phone}", "t")] = ticket
    return found


def test_a_carrier_sends_in_every_second_one_of_those_who_wait_and_of_those_who_talk() -> None:
    lines = [*on("1"), *on("2"), *on("3"), *on("4", "joined"), *on("5", "joined")]
    found = sent_again(lines, held(A, "1", "2", "3", "4", "5"), A)
    assert {each.number: each.had_talked for each in found.values()} == {
        "1": False,
        "3": False,
        "4": True,
    }
    assert all(each.by_carrier for each in found.values())


def test_it_leaves_those_alone_who_are_served_elsewhere_or_gone_or_not_answered_yet() -> None:
    tickets = held(A, "1", "2", "3", "4") | held(B, "5") | held(B, "6", via=A)
    dialled = on("2")[:1]
    gone = [*on("1", "joined", "hanging_up"), *dialled, *on("3", "call")]
    assert sent_again([*gone, *on("5"), *on("6"), *on("7")], tickets, A) == {}
    agents = [line("answered", "4", role="agent")]
    assert sent_again(agents, tickets, A) == {}
