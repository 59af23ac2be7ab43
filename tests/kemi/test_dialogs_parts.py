"""Requests inside dialogs through a real Kamailio: all pass that belong there, and no others."""

from __future__ import annotations

import re
import signal
import socket
from dataclasses import dataclass, replace

import pytest

from tests.kemi.phone import offer, register
from tests.kemi.sip_peer import SDP, Message, SipPeer, ha1_of
from tests.kemi.site import Site

pytestmark = pytest.mark.parts

METHODS = ["INVITE", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY", "BYE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """Two ends of a call through the site, and what each needs to speak to the other."""

    near: SipPeer
    far: SipPeer
    far_uri: str
    near_uri: str
    routes: str
    call_id: str
    cseq: int = 5

    def ask(
        self, method: str, *, from_far: bool = False, status: int = 200
    ) -> tuple[Message, Message]:
        """Send a request to the other end, which says `status`; return both as they arrived."""
        speaker, hearer = (self.far, self.near) if from_far else (self.near, self.far)
        self.say(method, from_far=from_far)
        request = hearer.wait(method)
        hearer.respond(request, status)
        return request, speaker.final()

    def say(self, method: str, *, from_far: bool = False, body: str = "") -> None:
        """Send a request to the other end."""
        speaker, uri = (self.far, self.near_uri) if from_far else (self.near, self.far_uri)
        speaker.send(
            speaker.request(
                method,
                uri,
                call_id=self.call_id,
                cseq=self.cseq,
                to_tag="t",
                headers=self.routes,
                body=body,
            )
        )


def uri_of(message: Message) -> str:
    """Return the URI in Contact."""
    found = re.search(r"<(.*)>", message["Contact"])
    assert found
    return found[1]


def branch_of(message: Message) -> int:
    """Return which of its transaction's branches the proxy has made of a request."""
    found = re.search(r"branch=z9hG4bK[^;]*\.(\d+)", message["Via"])
    assert found
    return int(found[1])


def routes_of(message: Message) -> str:
    """Return Record-Route as Route."""
    return "".join(f"Route: {route}\r\n" for route in message.all("Record-Route"))


@pytest.fixture
def from_trunk(site: Site) -> Dialog:
    """Return a call from a trunk to an edge."""
    trunk, edge = site.trunk(), site.edge()
    site.put("steer", "4930111", edge.address)
    trunk.send(trunk.request("INVITE", f"sip:4930111@{site.address}", body=SDP))
    invite = edge.wait("INVITE")
    edge.respond(invite, 200, body=SDP)
    answer = trunk.wait(200)
    return Dialog(
        near=trunk,
        far=edge,
        far_uri=uri_of(answer),
        near_uri=uri_of(invite),
        routes=routes_of(answer),
        call_id=invite["Call-ID"],
    )


@pytest.fixture(params=["routable", "behind a NAT"])
def to_agent(site: Site, request: pytest.FixtureRequest) -> Dialog:
    """Return a call from an edge to an agent's phone."""
    return answered_by(site, "alice", "" if request.param == "routable" else "192.168.1.2:5060")


def answered_by(
    site: Site, agent: str, where: str = "", behind: str = "", *, is_restarted: bool = False
) -> Dialog:
    """Return a call from an edge to the phone of an agent who has just signed in.

    `where`: what their phone takes its address for, if not for what it is. `behind`: what it writes
    behind its address when it answers. `is_restarted`: Kamailio is, while it rings.
    """
    edge, phone = site.edge(), site.peer()
    contact = f"sip:{agent}@{where or phone.address}"
    site.put("ha1", agent, ha1_of(agent, "pw"))
    site.put("home", agent, "0.0")
    assert register(phone, agent, contact=contact).status == 200
    offer(edge, agent, "c", (1, 7))
    invite = phone.wait("INVITE")
    assert invite.uri == contact
    if is_restarted:
        site.stop(signal.SIGKILL)
        site.start()
        site.put("peers", edge.address, "edge")
    phone.respond(invite, 200, body=SDP, contact=f"{contact}{behind}")
    answer = edge.wait(200)
    return Dialog(
        near=edge,
        far=phone,
        far_uri=uri_of(answer),
        near_uri=uri_of(invite),
        routes=routes_of(answer),
        call_id=invite["Call-ID"],
    )


def test_an_agent_is_not_rung_until_their_telephone_has_heard_that_the_last_call_is_over(
    site: Site,
) -> None:
    ended = answered_by(site, "alice")
    edge, phone = ended.near, ended.far
    ended.say("BYE")
    phone.wait("BYE")
    again = phone.wait("BYE")  # tm's, after half a second
    assert site.row("gate", "alice") == "1.7.idle."
    offer(edge, "alice", "d", (1, 8))
    assert edge.final().start == "SIP/2.0 486 busy"
    phone.respond(again, 200)
    assert edge.final().method == "BYE"
    offer(edge, "alice", "e", (1, 9))
    assert phone.wait("INVITE")["Call-ID"] != ended.call_id


@pytest.mark.parametrize("from_far", [False, True], ids=["from trunk", "from edge"])
def test_a_trunk_and_an_edge_speak_both_ways(from_trunk: Dialog, from_far: bool) -> None:  # noqa: FBT001 - a parameter of the test
    for method in METHODS:
        request, answer = from_trunk.ask(method, from_far=from_far)
        assert request["Route"] == ""
        assert (answer.status, answer.method) == (200, method)


def test_a_hold_that_an_edge_did_not_live_to_answer_is_answered_by_its_next_life(
    from_trunk: Dialog,
) -> None:
    trunk, edge = from_trunk.near, from_trunk.far
    from_trunk.say("INVITE", body=SDP)
    for _ in range(2):
        edge.wait("INVITE", timeout_s=1)  # lost on a process that is dead
    edge.respond(edge.wait("INVITE", timeout_s=1), 200, body=SDP)
    assert trunk.final().status == 200


def test_a_hold_that_no_edge_answers_leaves_the_call_as_it_was(from_trunk: Dialog) -> None:
    from_trunk.say("INVITE", body=SDP)
    refused = from_trunk.near.final(timeout_s=8)
    assert (refused.status, refused["Retry-After"]) == (500, "2")


def test_what_is_said_in_a_call_goes_its_own_way_after_late_replies_to_another(
    site: Site, from_trunk: Dialog
) -> None:
    trunk, frozen, live = site.trunk(), site.edge(), site.edge()
    site.put("steer", "4930112", f"{frozen.address}|{live.address}")
    trunk.send(trunk.request("INVITE", f"sip:4930112@{site.address}", body=SDP))
    invite = frozen.wait("INVITE")
    live.respond(live.wait("INVITE"), 200, body=SDP)
    trunk.wait(200)
    # Each worker is to hear of both, whichever gets what.
    for number in range(40):
        frozen.respond(invite, 200, body=SDP)
        call = replace(from_trunk, cseq=10 + number)
        request, answer = call.ask("INFO", from_far=True)
        assert branch_of(request) == 0
        assert answer["CSeq"] == f"{call.cseq} INFO"


@pytest.mark.parametrize("from_far", [False, True], ids=["from edge", "from phone"])
def test_an_edge_and_a_phone_speak_both_ways(to_agent: Dialog, from_far: bool) -> None:  # noqa: FBT001 - a parameter of the test
    for method in METHODS:
        request, answer = to_agent.ask(method, from_far=from_far)
        assert ";alias=" not in request.uri
        assert (answer.status, answer.method) == (200, method)


def test_a_phones_goodbye_frees_the_gate_when_the_edge_has_taken_it(
    site: Site, to_agent: Dialog
) -> None:
    for cseq, status in enumerate((500, 481), start=5):
        _, answer = replace(to_agent, cseq=cseq).ask("BYE", from_far=True, status=status)
        assert answer.status == status
        assert site.row("gate", "alice") == "1.7.talking.c"
    replace(to_agent, cseq=7).ask("BYE", from_far=True)
    assert site.row("gate", "alice") == "1.7.idle."


@pytest.mark.parametrize("agent", ["anna+1", "+1", "_x.B-c"])
def test_an_agent_with_any_sign_of_an_id_signs_in_is_rung_talks_and_hangs_up(
    site: Site, agent: str
) -> None:
    dialog = answered_by(site, agent)
    for cseq, (method, from_far) in enumerate((("INFO", True), ("INFO", False)), start=5):
        _, answer = replace(dialog, cseq=cseq).ask(method, from_far=from_far)
        assert answer.status == 200
    assert site.row("gate", agent) == "1.7.talking.c"
    replace(dialog, cseq=8).ask("BYE", from_far=True)
    assert site.row("gate", agent) == "1.7.idle."


def goodbye(to_agent: Dialog) -> str:
    """Return the BYE of the agent's phone."""
    return to_agent.far.request(
        "BYE",
        to_agent.near_uri,
        call_id=to_agent.call_id,
        cseq=5,
        to_tag="t",
        headers=to_agent.routes,
    )


@pytest.mark.parametrize("to_agent", ["routable"], indirect=True)
def test_a_phones_goodbye_whose_answer_is_lost_frees_the_gate_when_it_is_said_again(
    site: Site, to_agent: Dialog
) -> None:
    edge, phone = to_agent.near, to_agent.far
    phone.send(goodbye(to_agent))
    edge.wait("BYE")
    assert site.row("gate", "alice") == "1.7.talking.c"
    edge.respond(edge.wait("BYE"), 200)
    assert phone.final().status == 200
    assert site.row("gate", "alice") == "1.7.idle."


@pytest.mark.parametrize("to_agent", ["routable"], indirect=True)
def test_a_phones_goodbye_to_a_dead_edge_frees_no_gate(site: Site, to_agent: Dialog) -> None:
    phone = to_agent.far
    phone.send(goodbye(to_agent))
    assert phone.final(timeout_s=6).status == 408
    assert site.row("gate", "alice") == "1.7.talking.c"


def test_acks_pass(from_trunk: Dialog, to_agent: Dialog) -> None:
    for dialog in (from_trunk, to_agent):
        dialog.near.send(
            dialog.near.request(
                "ACK",
                dialog.far_uri,
                call_id=dialog.call_id,
                to_tag="t",
                headers=dialog.routes,
            )
        )
        assert dialog.far.wait("ACK").method == "ACK"


def test_a_reinvite_may_be_cancelled(from_trunk: Dialog) -> None:
    parts = {"call_id": from_trunk.call_id, "cseq": 6, "to_tag": "t", "branch": "z9hG4bKre"}
    near, far = from_trunk.near, from_trunk.far
    near.send(near.request("INVITE", from_trunk.far_uri, headers=from_trunk.routes, **parts))  # type: ignore[arg-type]
    invite = far.wait("INVITE")
    far.respond(invite, 180)
    near.wait(180)
    near.send(near.request("CANCEL", from_trunk.far_uri, headers=from_trunk.routes, **parts))  # type: ignore[arg-type]
    far.respond(far.wait("CANCEL"), 200)
    far.respond(invite, 487)
    assert near.wait(487).method == "INVITE"


@pytest.mark.parametrize("to_agent", ["routable"], indirect=True)
def test_a_dead_phone_does_not_hold_a_request_for_half_a_minute(to_agent: Dialog) -> None:
    to_agent.say("INFO")
    assert to_agent.near.final(timeout_s=6).status == 408


def test_our_headers_are_taken_off_inside_dialogs_too(to_agent: Dialog) -> None:
    phone, edge = to_agent.far, to_agent.near
    headers = to_agent.routes + "X-Everline-Via : evil\r\n"
    phone.send(
        phone.request(
            "INFO", to_agent.near_uri, call_id=to_agent.call_id, cseq=7, to_tag="t", headers=headers
        )
    )
    assert edge.wait("INFO")["X-Everline-Via"] == ""


def test_a_stranger_does_not_get_into_a_dialog(site: Site, from_trunk: Dialog) -> None:
    stranger = site.peer()
    for uri, target in (
        (from_trunk.far_uri, from_trunk.far),
        (from_trunk.near_uri, from_trunk.near),
    ):
        for method in ("BYE", "INVITE", "ACK"):
            stranger.send(
                stranger.request(
                    method,
                    uri,
                    call_id=from_trunk.call_id,
                    cseq=9,
                    to_tag="t",
                    headers=from_trunk.routes,
                )
            )
        assert stranger.receive(0.1) is None
        assert target.receive(0.1) is None


def test_no_peer_may_use_a_dialog_to_reach_elsewhere(
    site: Site, from_trunk: Dialog, to_agent: Dialog
) -> None:
    """The other end of every dialog that we carry is an edge: we are nobody's relay."""
    victim = site.peer()
    for speaker, dialog in ((from_trunk.near, from_trunk), (to_agent.far, to_agent)):
        for headers, uri in (
            (dialog.routes, f"sip:x@{victim.address}"),
            (f"{dialog.routes}Route: <sip:{victim.address};lr>\r\n", dialog.far_uri),
        ):
            speaker.send(
                speaker.request(
                    "INFO", uri, call_id=dialog.call_id, cseq=8, to_tag="t", headers=headers
                )
            )
            assert speaker.final().status == 403
    assert victim.receive(0.1) is None


@pytest.mark.parametrize("where", ["", "192.168.1.2:5060"], ids=["routable", "behind a NAT"])
def test_a_phone_does_not_choose_where_edges_speak_to(site: Site, where: str) -> None:
    victim = site.peer()
    alias = f";alias={victim.address.replace(':', '~')}~1"
    dialog = answered_by(site, "alice", where, alias)
    onward = f"{dialog.routes}Route: <sip:{victim.address};lr>\r\n"
    for cseq, routes in enumerate((dialog.routes, onward), start=5):
        _, answer = replace(dialog, cseq=cseq, routes=routes).ask("INFO")
        assert answer.status == 200
    assert victim.receive(0.1) is None


def test_a_dialog_outlives_a_restart_of_kamailio(site: Site, to_agent: Dialog) -> None:
    """The seal's key is in a file: the phone may hang up, and the edge may hold the call."""
    site.stop()
    site.start()
    site.put("peers", to_agent.near.address, "edge")
    for method, from_far in (("INFO", True), ("INFO", False), ("BYE", True)):
        _, answer = to_agent.ask(method, from_far=from_far)
        assert answer.status == 200


@pytest.mark.parametrize("where", ["", "192.168.1.2:5060"], ids=["routable", "behind a NAT"])
def test_a_phone_that_is_answered_after_a_restart_hears_the_edge_all_the_same(
    site: Site, where: str
) -> None:
    """No transaction knows the answer, and the phone has not registered anew."""
    victim = site.peer()
    alias = f";alias={victim.address.replace(':', '~')}~1"
    dialog = answered_by(site, "alice", where, alias, is_restarted=True)
    for method in ("INFO", "BYE"):
        _, answer = dialog.ask(method)
        assert answer.status == 200
    assert victim.receive(0.1) is None


def test_a_request_for_no_dialog_of_ours_is_told_so(site: Site) -> None:
    trunk = site.trunk()
    trunk.send(trunk.request("BYE", f"sip:x@{site.address}", to_tag="t"))
    assert trunk.final().status == 481
    trunk.send(trunk.request("ACK", f"sip:x@{site.address}", to_tag="t"))
    assert trunk.receive(0.1) is None


class TcpPhone(SipPeer):
    """A phone on one TCP connection; a message a segment is enough on loopback."""

    def __init__(self, site: Site) -> None:
        self.socket = socket.create_connection((site.address, 5060), timeout=2)
        self.host, self.port = self.socket.getsockname()[:2]
        self.proxy = (site.address, 5060)

    def send(self, text: str | bytes) -> None:
        """Send a message over the connection."""
        message = text if isinstance(text, bytes) else text.encode()
        self.socket.sendall(message.replace(b"SIP/2.0/UDP 127.0.0.1:", b"SIP/2.0/TCP 127.0.0.1:"))


def test_a_phone_on_tcp_is_rung_and_speaks_over_its_connection(site: Site) -> None:
    edge, phone = site.edge(), TcpPhone(site)
    site.put("ha1", "alice", ha1_of("alice", "pw"))
    site.put("home", "alice", "0.0")
    contact = f"sip:alice@{phone.address};transport=tcp"
    assert register(phone, "alice", contact=contact).status == 200
    offer(edge, "alice", "c", (1, 7))
    invite = phone.wait("INVITE")
    phone.respond(invite, 200, body=SDP, contact=contact)
    answer = edge.wait(200)
    dialog = Dialog(
        near=edge,
        far=phone,
        far_uri=uri_of(answer),
        near_uri=uri_of(invite),
        routes=routes_of(answer),
        call_id=invite["Call-ID"],
    )
    backwards = "".join(f"Route: {route}\r\n" for route in invite.all("Record-Route"))
    assert backwards.count("Route") == 2, "one for each transport"
    dialog.ask("INFO")
    dialog = replace(dialog, routes=backwards)
    dialog.ask("BYE", from_far=True)
    assert site.row("gate", "alice") == "1.7.idle."
    phone.close()
