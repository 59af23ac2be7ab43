"""Agents and other strangers at a real Kamailio: who gets in, and what the others learn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kemi.phone import register
from tests.kemi.sip_peer import SDP, Message, SipPeer, challenge_of, credentials, ha1_of
from tests.kemi.site import Site, running

pytestmark = pytest.mark.parts

AOR = "sip:alice@everline"


@pytest.fixture
def agents(site: Site) -> Site:
    """Return the site with two agents homed at it, neither registered."""
    for agent in ("alice", "bob"):
        site.put("ha1", agent, ha1_of(agent, "pw"))
        site.rpc("ul.rm", "location", agent)
    return site


def contacts(site: Site, agent: str) -> list[str]:
    """Return where the agent's phones are reached."""
    answer = site.rpc("ul.lookup", "location", agent)
    return [each["Contact"]["Received"] for each in answer.get("Contacts", [])]


def test_an_agent_with_the_right_password_is_registered_where_they_speak_from(
    agents: Site,
) -> None:
    phone = agents.peer()
    answer = register(phone, "alice", contact="sip:alice@10.1.2.3:5060")
    assert answer.status == 200
    assert contacts(agents, "alice") == [f"sip:{phone.address}"]


@pytest.mark.parametrize(("asked_s", "granted_s"), [(1, 20), (60, 60), (86400, 120)])
def test_registrations_last_no_shorter_and_no_longer_than_we_can_bear(
    agents: Site, asked_s: int, granted_s: int
) -> None:
    answer = register(agents.peer(), "alice", expires_s=asked_s)
    assert f"expires={granted_s}" in answer["Contact"]


def test_an_agent_has_one_phone_the_last_one(agents: Site) -> None:
    old, new = agents.peer(), agents.peer()
    register(old, "alice")
    register(new, "alice")
    assert contacts(agents, "alice") == [f"sip:{new.address}"]


def test_signing_off_removes_the_phone(agents: Site) -> None:
    phone = agents.peer()
    register(phone, "alice")
    assert register(phone, "alice", expires_s=0).status == 200
    assert contacts(agents, "alice") == []


def test_two_agents_whose_ids_differ_in_capitals_have_a_phone_each(agents: Site) -> None:
    agents.put("ha1", "Alice", ha1_of("Alice", "pw"))
    agents.rpc("ul.rm", "location", "Alice")
    small, capital = agents.peer(), agents.peer()
    register(small, "alice")
    register(capital, "Alice")
    assert contacts(agents, "alice") == [f"sip:{small.address}"]
    assert contacts(agents, "Alice") == [f"sip:{capital.address}"]
    # That is how the edges learn who is there.
    (domain,) = agents.rpc("ul.dump", "brief")["Domains"]
    assert {each["AoR"] for each in domain["Domain"]["AoRs"]} >= {"alice", "Alice"}


def shape(answer: Message) -> str:
    """Return an answer without what differs each time: tags, nonces, what the request said."""
    fields = [
        re.sub(r'nonce="[^"]*"|tag=[^;>]*', "", f"{name}: {value}")
        for name, value in answer.headers
        if name not in {"Via", "From", "To", "Call-ID", "CSeq"}
    ]
    return "\n".join([answer.start, *fields])


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(agents: Site) -> None:
    wrong = register(agents.peer(), "alice", "guess")
    unknown = register(agents.peer(), "nobody", "guess")
    odd = register(agents.peer(), "no%20body=;x", "guess")
    assert wrong.status == 401
    assert shape(wrong) == shape(unknown) == shape(odd)
    assert "Server" not in {name for name, _ in wrong.headers}


def test_an_agent_registers_no_one_else(agents: Site) -> None:
    phone = agents.peer()
    phone.send(phone.request("REGISTER", "sip:everline", from_uri=AOR, to_uri="sip:bob@everline"))
    challenge = challenge_of(phone.final())
    proof = credentials(challenge, "REGISTER", "sip:everline", "alice", ha1_of("alice", "pw"))
    phone.send(
        phone.request(
            "REGISTER",
            "sip:everline",
            cseq=2,
            from_uri=AOR,
            to_uri="sip:bob@everline",
            headers=f"Authorization: {proof}\r\n",
        )
    )
    assert phone.final().status == 403
    assert contacts(agents, "bob") == []


def test_a_response_that_was_overheard_is_no_use(agents: Site) -> None:
    phone, thief = agents.peer(), agents.peer()
    phone.send(phone.request("REGISTER", "sip:everline", from_uri=AOR, to_uri=AOR))
    challenge = challenge_of(phone.final())
    proof = credentials(challenge, "REGISTER", "sip:everline", "alice", ha1_of("alice", "pw"))

    def send(peer: SipPeer) -> Message:
        headers = f"Authorization: {proof}\r\n"
        peer.send(
            peer.request(
                "REGISTER", "sip:everline", cseq=2, from_uri=AOR, to_uri=AOR, headers=headers
            )
        )
        return peer.final()

    assert send(phone).status == 200
    stolen = send(thief)
    assert stolen.status == 401
    assert challenge_of(stolen)["stale"] == "true"
    assert contacts(agents, "alice") == [f"sip:{phone.address}"]


@pytest.mark.parametrize(
    "method", ["OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "BYE", "INFO", "FOO"]
)
def test_a_stranger_gets_no_answer(agents: Site, method: str) -> None:
    stranger = agents.peer()
    stranger.send(stranger.request(method, AOR))
    assert stranger.receive(0.15) is None


def invite_as_agent(phone: SipPeer, number: str, *, claims: str = "alice") -> Message:
    """Call a number with alice's digest; return the final answer to the second request."""
    uri = f"sip:{number}@everline"
    me = f"sip:{claims}@everline"
    phone.send(phone.request("INVITE", uri, from_uri=me, body=SDP, call_id=f"out-{phone.port}"))
    challenge = phone.wait(407)
    proof = credentials(challenge_of(challenge), "INVITE", uri, "alice", ha1_of("alice", "pw"))
    headers = f"Proxy-Authorization: {proof}\r\nX-Everline-Trunk: t9\r\n"
    phone.send(
        phone.request(
            "INVITE",
            uri,
            cseq=2,
            from_uri=me,
            body=SDP,
            headers=headers,
            call_id=f"out2-{phone.port}",
        )
    )
    return challenge


def test_an_agent_may_call_a_number_of_ours(agents: Site) -> None:
    phone, edge = agents.peer(), agents.edge()
    agents.put("steer", "4930111", edge.address)
    invite_as_agent(phone, "4930111")
    invite = edge.wait("INVITE")
    assert invite["X-Everline-Agent"] == "alice"
    assert invite["X-Everline-Trunk"] == ""
    assert invite["Proxy-Authorization"] == ""
    edge.respond(invite, 200, body=SDP)
    assert phone.wait(200).body == SDP


def test_an_agent_who_talks_with_a_caller_calls_a_colleague_by_the_edge_that_holds_them(
    agents: Site,
) -> None:
    phone, edge, other = agents.peer(), agents.edge(), agents.edge()
    agents.put("steer", "*", other.address)
    agents.put("gate", "alice", "1.7.talking.c")
    agents.put("served_by", "alice", edge.address)
    invite_as_agent(phone, "bob")
    invite = edge.wait("INVITE")
    assert invite["X-Everline-Agent"] == "alice"
    edge.respond(invite, 480)
    phone.wait(480)
    assert other.receive(0.1) is None


@pytest.mark.parametrize("number", ["00881612345678", "112", "bob", "4930999"])
def test_an_agent_may_call_nothing_else(agents: Site, number: str) -> None:
    phone, edge = agents.peer(), agents.edge()
    agents.put("steer", "4930111", edge.address)
    agents.put("steer", "*", edge.address)
    invite_as_agent(phone, number)
    phone.wait(403)
    assert edge.receive(0.1) is None


def test_an_agent_calls_under_no_other_name(agents: Site) -> None:
    phone, edge = agents.peer(), agents.edge()
    agents.put("steer", "4930111", edge.address)
    invite_as_agent(phone, "4930111", claims="bob")
    phone.wait(403)
    assert edge.receive(0.1) is None


def test_a_stranger_who_calls_is_asked_for_a_digest_whatever_the_number(agents: Site) -> None:
    agents.put("steer", "4930111", "127.0.0.1:1")
    answers = []
    for number in ("4930111", "4930999", "alice", "nobody"):
        stranger = agents.peer()
        stranger.send(stranger.request("INVITE", f"sip:{number}@everline", body=SDP))
        answers.append(shape(stranger.final()))
    assert set(answers) == {answers[0]}
    assert answers[0].startswith("SIP/2.0 407")


def test_guessing_passwords_is_cut_off_after_ten(agents: Site) -> None:
    guesser = agents.peer()
    for number in range(10):
        assert register(guesser, "alice", f"guess{number}").status == 401
    guesser.send(guesser.request("REGISTER", "sip:everline", from_uri=AOR, to_uri=AOR))
    assert guesser.receive(0.3) is None


def test_one_phone_with_an_old_password_does_not_silence_its_office(agents: Site) -> None:
    """Many agents behind one NAT share an address."""
    office = agents.peer()
    assert register(office, "bob").status == 200
    for number in range(12):
        guess = office.request("REGISTER", "sip:everline", from_uri=AOR, to_uri=AOR)
        office.send(guess)
        challenge = challenge_of(office.final())
        proof = credentials(challenge, "REGISTER", "sip:everline", "alice", "0" * 32)
        headers = f"Authorization: {proof}\r\n"
        office.send(
            office.request(
                "REGISTER", "sip:everline", cseq=2, from_uri=AOR, to_uri=AOR, headers=headers
            )
        )
        answer = office.receive(0.3)
        assert (answer is None) == (number >= 10)
    assert register(office, "bob").status == 200


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Site]:
    """Run a site that takes only 50 requests in 2 s from a stranger."""
    site = Site(tmp_path / "strict", flood=50)
    with running(site):
        yield site


def test_a_flood_from_one_address_is_cut_off_and_others_are_served(strict: Site) -> None:
    flooder, trunk, phone = strict.peer(), strict.trunk(), strict.peer()
    strict.put("ha1", "alice", ha1_of("alice", "pw"))
    for _ in range(200):
        flooder.send(flooder.request("REGISTER", "sip:everline", from_uri=AOR, to_uri=AOR))
    answered = sum(1 for _ in flooder.messages(0.5))
    assert 40 <= answered <= 100
    assert register(phone, "alice").status == 200
    for _ in range(100):
        trunk.send(trunk.request("OPTIONS", f"sip:{strict.address}"))
        assert trunk.final().status == 200
