"""Calls that a real Kamailio hands on from one trunk to another: no edge takes part."""

from __future__ import annotations

import pytest

from tests.kemi.sip_peer import SDP, Message, SipPeer
from tests.kemi.site import Site
from tests.kemi.test_dialogs_parts import Dialog, routes_of, uri_of

pytestmark = pytest.mark.parts

DID, OUT = "4930111", "+493012345678"
PAI = "P-Asserted-Identity: <sip:+4989777@carrier.example>\r\n"


def between(site: Site) -> tuple[SipPeer, SipPeer]:
    """Return two carriers, of which the second takes what is handed on."""
    one, other = site.trunk("t1"), site.trunk("t2")
    site.put("steer", DID, "|")
    site.put("dial", "t2", f"{other.address} +4930")
    site.put("forward", DID, f"t2 {OUT}")
    return one, other


def call(site: Site, trunk: SipPeer, headers: str = PAI) -> None:
    """Dial the number."""
    trunk.send(trunk.request("INVITE", f"sip:{DID}@{site.address}", body=SDP, headers=headers))


def answered(site: Site, contact: str = "") -> Dialog:
    """Return a call that was handed on and answered."""
    one, other = between(site)
    call(site, one)
    invite = other.wait("INVITE")
    other.respond(invite, 200, body=SDP, contact=contact)
    answer = one.wait(200)
    return Dialog(
        near=one,
        far=other,
        far_uri=uri_of(answer),
        near_uri=uri_of(invite),
        routes=routes_of(answer),
        call_id=invite["Call-ID"],
    )


def test_a_call_goes_out_while_no_edge_lives(site: Site) -> None:
    one, other = between(site)
    call(
        site, one, f"{PAI}X-Everline-Trunk: forged\r\nDiversion: <sip:4989@h>;reason=user-busy\r\n"
    )
    invite = other.wait("INVITE")
    assert invite.uri == f"sip:{OUT}@{other.address}"
    assert invite.body == SDP
    assert invite["P-Asserted-Identity"] == "<sip:+4989777@carrier.example>"
    assert f"sip:test@{one.host}" in invite["From"]
    assert int(invite["Max-Forwards"]) == 69
    assert not [name for name, _ in invite.headers if name.lower().startswith("x-everline")]
    ours = f"<sip:{DID}@{site.address}>;reason=unconditional;counter=1"
    assert invite.all("Diversion") == [ours, "<sip:4989@h>;reason=user-busy"]
    other.respond(invite, 180)
    assert one.wait(180).to_tag
    other.respond(invite, 200, body=SDP)
    assert one.wait(200).body == SDP
    site.until_there("tally", "sent")


@pytest.mark.parametrize("from_far", [False, True], ids=["from the first", "from the second"])
def test_both_carriers_speak_and_end_it(site: Site, from_far: bool) -> None:  # noqa: FBT001 - a parameter of the test
    dialog = answered(site)
    for method in ("INVITE", "UPDATE", "BYE"):
        request, answer = dialog.ask(method, from_far=from_far)
        assert request["Route"] == ""
        assert (answer.status, answer.method) == (200, method)


def test_the_ack_passes_and_a_carrier_is_reached_that_has_a_name(site: Site) -> None:
    dialog = answered(site, contact="sip:far@sbc.carrier.invalid:5060")
    near = dialog.near
    near.send(
        near.request(
            "ACK",
            dialog.far_uri,
            call_id=dialog.call_id,
            to_tag="t",
            headers=dialog.routes,
        )
    )
    assert dialog.far.wait("ACK").uri == "sip:far@sbc.carrier.invalid:5060"
    assert dialog.ask("BYE")[1].status == 200


def refused(dialog: Dialog, speaker: SipPeer, uri: str, call_id: str) -> Message:
    """Return what is said to a BYE."""
    speaker.send(
        speaker.request("BYE", uri, call_id=call_id, cseq=5, to_tag="t", headers=dialog.routes)
    )
    return speaker.final()


def test_trunks_reach_nobody_else_by_it_and_nothing_in_another_dialog(site: Site) -> None:
    dialog = answered(site)
    edge = site.edge()
    assert refused(dialog, dialog.near, f"sip:x@{edge.address}", dialog.call_id).status == 403
    assert refused(dialog, dialog.near, dialog.far_uri, "another").status == 403
    stranger = site.peer()
    stranger.send(
        stranger.request(
            "BYE", dialog.far_uri, call_id=dialog.call_id, to_tag="t", headers=dialog.routes
        )
    )
    assert stranger.receive(0.2) is None
    assert edge.receive(0.1) is None
    assert dialog.far.receive(0.1) is None


@pytest.mark.parametrize("status", [486, 404, 603, 500])
def test_the_carriers_own_word_goes_back(site: Site, status: int) -> None:
    one, other = between(site)
    call(site, one)
    other.respond(other.wait("INVITE"), status)
    assert one.final().status == status


def test_a_carrier_that_cannot_lets_the_caller_hunt_on(site: Site) -> None:
    one, other = between(site)
    call(site, one)
    other.respond(other.wait("INVITE"), 503)
    answer = one.final()
    assert (answer.status, answer["Retry-After"]) == (503, "2")


def test_a_silent_carrier_lets_the_caller_hunt_on(site: Site) -> None:
    one, _ = between(site)
    call(site, one)
    answer = one.final(6.0)
    assert (answer.status, answer["Retry-After"]) == (503, "2")


def test_a_caller_may_give_up(site: Site) -> None:
    one, other = between(site)
    text = one.request("INVITE", f"sip:{DID}@{site.address}", body=SDP)
    one.send(text)
    invite = other.wait("INVITE")
    other.respond(invite, 180)
    one.wait(180)
    head = text.split("\r\n\r\n")[0].replace("INVITE", "CANCEL")
    head = "\r\n".join(line for line in head.split("\r\n") if not line.startswith("Content-Length"))
    one.send(f"{head}\r\nContent-Length: 0\r\n\r\n")
    other.wait("CANCEL")
    other.respond(invite, 487)
    one.wait(487)


def test_what_comes_back_is_ended(site: Site) -> None:
    one, other = between(site)
    call(site, one)
    invite = other.wait("INVITE")
    back = "".join(f"Diversion: {each}\r\n" for each in invite.all("Diversion"))
    call(site, other, f"Diversion: <sip:4989@h>;reason=user-busy\r\n{back}")
    assert other.final().status == 482


def test_a_diversion_that_is_no_utf8_is_passed_over_and_ours_is_found_beside_it(
    site: Site,
) -> None:
    one, other = between(site)
    foreign = '"M\xfcller" <sip:4989@h>;reason=user-busy'
    ours = f"<sip:{DID}@{site.address}>;reason=unconditional;counter=1"
    for back, final in ("", 0), (f"Diversion: {ours}\r\n", 482):
        headers = f"{PAI}Diversion: {foreign}\r\n{back}"
        uri = f"sip:{DID}@{site.address}"
        text = one.request("INVITE", uri, body=SDP, headers=headers)
        one.send(text.encode("latin-1"))
        if final:
            assert one.final().status == final
        else:
            other.respond(other.wait("INVITE"), 486)
            assert one.final().status == 486


def test_strangers_and_edges_are_not_handed_on(site: Site) -> None:
    _, other = between(site)
    for speaker in (site.peer(), site.edge()):
        call(site, speaker)
        answer = speaker.receive(0.3)
        assert answer is None or answer.status in {401, 403, 407}
    assert other.receive(0.2) is None
