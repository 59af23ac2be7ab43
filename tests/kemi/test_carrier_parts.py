"""The carrier of the lab: it probes the sites, sends calls to the first choice, and hunts on."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.kemi.sip_peer import SDP, Message, SipPeer
from tests.kemi.site import PROJECT, Kamailio, running

pytestmark = pytest.mark.parts

SITES = "abc"
_networks = itertools.count(os.getpid())


class FakeSite:
    """A site's proxy as the carrier sees it: it answers probes while it lives, and takes calls."""

    def __init__(self, peer: SipPeer) -> None:
        self.peer = peer
        self.lives = True

    def next_invite(self, timeout_s: float = 2.0) -> Message | None:
        """Return the next INVITE, answering the probes that come before it."""
        for message in self.peer.messages(timeout_s):
            if message.status:
                continue
            if message.method == "INVITE":
                return message
            if message.method == "OPTIONS" and self.lives:
                self.peer.respond(message, 200)
        return None


@dataclass(slots=True, kw_only=True)
class Wan:
    """A carrier with its three sites, and a caller behind it."""

    carrier: Kamailio
    address: str
    sites: dict[str, FakeSite]
    caller: SipPeer

    def answer_probes(self, until: Callable[[], bool], timeout_s: float = 6.0) -> None:
        """Let the living sites answer probes until something holds."""
        end = time.monotonic() + timeout_s
        while not until():
            assert time.monotonic() < end, self.states()
            for site in self.sites.values():
                site.next_invite(0.02)

    def states(self) -> dict[str, str]:
        """Return what the carrier thinks of each site, in all sets: AP is well, IP is not."""
        states: dict[str, set[str]] = {name: set() for name in self.sites}
        for record in self.carrier.rpc("dispatcher.list")["RECORDS"]:
            for target in record["SET"]["TARGETS"]:
                uri = target["DEST"]["URI"]
                (name,) = (n for n, site in self.sites.items() if f"{site.peer.host}:" in uri)
                states[name].add(target["DEST"]["FLAGS"])
        return {name: "/".join(sorted(flags)) for name, flags in states.items()}

    def who_rings(self) -> tuple[str, Message]:
        """Return the site that a call has reached, and its INVITE."""
        for _ in range(100):
            for name, site in self.sites.items():
                invite = site.next_invite(0.01)
                if invite:
                    return name, invite
        raise AssertionError("the call reached no site")

    def call(self, headers: str = "", parameter: str = "") -> str:
        """Call a number; return the Request-URI."""
        uri = f"sip:4930111@{self.address}{parameter}"
        self.caller.send(self.caller.request("INVITE", uri, headers=headers, body=SDP))
        return uri


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wan]:
    number = next(_networks)
    network = f"127.{130 + number // 250 % 40}.{1 + number % 250}"
    address = f"{network}.1"
    proxy = (address, 5060)
    sites = {
        name: FakeSite(SipPeer(f"{network}.{last}", 5060, proxy))
        for last, name in enumerate(SITES, start=2)
    }
    run_dir = tmp_path_factory.mktemp("carrier")
    real = (PROJECT / "drills" / "lab" / "carrier" / "sites.list").read_text()
    for last, name in enumerate(SITES, start=2):
        real = real.replace(f"198.18.{SITES.index(name) + 1}.10", f"{network}.{last}")
    (run_dir / "dispatcher.list").write_text(real)
    carrier = Kamailio(
        PROJECT / "drills" / "lab" / "carrier" / "kamailio.cfg",
        run_dir,
        {
            "CARRIER_ADDR": address,
            "CALLERS_ADDR": f"{network}.8",
            "RUN_DIR": str(run_dir),
            "DISPATCHER": str(run_dir / "dispatcher.list"),
        },
        last_process="JSONRPCS DATAGRAM",
    )
    caller = SipPeer(f"{network}.9", 5070, proxy)
    with running(carrier):
        wan = Wan(carrier=carrier, address=address, sites=sites, caller=caller)
        yield wan
    for peer in (wan.caller, *(site.peer for site in sites.values())):
        peer.close()


@pytest.fixture(autouse=True)
def all_well(wan: Wan) -> None:
    """Begin with three sites that live, and nothing on the way."""
    for site in wan.sites.values():
        site.lives = True
    wan.answer_probes(lambda: set(wan.states().values()) == {"AP"})
    # A new one each time: what is repeated to the one before is not for this test.
    wan.caller.close()
    wan.caller = SipPeer(wan.caller.host, 0, wan.caller.proxy)


@pytest.mark.parametrize("name", SITES)
def test_a_caller_names_the_first_choice(wan: Wan, name: str) -> None:
    for headers, parameter in ((f"X-First-Site: {name}\r\n", ""), ("", f";first={name}")):
        wan.call(headers, parameter)
        reached, invite = wan.who_rings()
        site = wan.sites[name]
        assert reached == name
        assert invite.uri == f"sip:4930111@{site.peer.host}:5060"
        assert invite["X-First-Site"] == ""
        site.peer.respond(invite, 200, body=SDP)
        assert wan.caller.final().status == 200


def test_calls_of_which_nothing_is_said_go_everywhere(wan: Wan) -> None:
    reached = set()
    for _ in range(60):
        wan.call()
        name, invite = wan.who_rings()
        wan.sites[name].peer.respond(invite, 486)
        reached.add(name)
        if reached == set(SITES):
            return
    raise AssertionError(f"only {reached} were reached")


@pytest.mark.parametrize("status", [503, 500, 408])
def test_the_carrier_hunts_on_after_a_failure(wan: Wan, status: int) -> None:
    wan.call("X-First-Site: b\r\n")
    invite = wan.sites["b"].next_invite()
    assert invite
    wan.sites["b"].peer.respond(invite, status)
    invite = wan.sites["c"].next_invite()
    assert invite
    wan.sites["c"].peer.respond(invite, 200, body=SDP)
    assert wan.caller.final().status == 200


@pytest.mark.parametrize("status", [404, 486, 603])
def test_the_carrier_does_not_hunt_on_after_a_refusal(wan: Wan, status: int) -> None:
    """Which is why a failing site must never say one of these."""
    wan.call("X-First-Site: b\r\n")
    invite = wan.sites["b"].next_invite()
    assert invite
    wan.sites["b"].peer.respond(invite, status)
    assert wan.caller.final().status == status
    assert wan.sites["c"].next_invite(0.1) is None


def test_a_silent_site_costs_one_second_and_only_the_first_call(wan: Wan) -> None:
    start = time.monotonic()
    wan.call("X-First-Site: a\r\n")
    wan.sites["a"].lives = False
    invite = wan.sites["b"].next_invite(3)
    assert invite
    assert 0.8 < invite.at_s - start < 3
    wan.sites["b"].peer.respond(invite, 200, body=SDP)
    assert wan.caller.final().status == 200

    start = time.monotonic()
    wan.call("X-First-Site: a\r\n")
    invite = wan.sites["b"].next_invite()
    assert invite
    assert invite.at_s - start < 0.7, "the dead one was asked again"
    wan.sites["b"].peer.respond(invite, 200, body=SDP)
    assert wan.caller.final().status == 200


def test_probes_find_a_dead_site_without_a_call_and_see_it_come_back(wan: Wan) -> None:
    wan.sites["c"].lives = False
    start = time.monotonic()
    wan.answer_probes(lambda: wan.states()["c"] == "IP")
    assert time.monotonic() - start < 10
    assert wan.states()["a"] == "AP"
    wan.sites["c"].lives = True
    start = time.monotonic()
    wan.answer_probes(lambda: wan.states()["c"] == "AP")
    assert time.monotonic() - start < 8


def test_a_site_that_drains_gets_no_new_calls(wan: Wan) -> None:
    site = wan.sites["a"]
    site.lives = False
    end = time.monotonic() + 6
    while wan.states()["a"] != "IP":
        assert time.monotonic() < end
        probe = site.peer.receive(0.3)
        if probe and probe.method == "OPTIONS":
            site.peer.respond(probe, 503)
        for name in "bc":
            wan.sites[name].next_invite(0.01)
    wan.call("X-First-Site: a\r\n")
    invite = wan.sites["b"].next_invite()
    assert invite
    wan.sites["b"].peer.respond(invite, 486)


def test_requests_pass_inside_the_dialog_both_ways(wan: Wan) -> None:
    site = wan.sites["a"].peer
    wan.call("X-First-Site: a\r\n")
    invite = wan.sites["a"].next_invite()
    assert invite
    site.respond(invite, 200, body=SDP)
    answer = wan.caller.wait(200)
    routes = "".join(f"Route: {route}\r\n" for route in answer.all("Record-Route"))
    assert routes
    for method in ("ACK", "INVITE", "INFO", "BYE"):
        for speaker, hearer, uri in (
            (wan.caller, site, f"sip:uas@{site.address}"),
            (site, wan.caller, f"sip:test@{wan.caller.address}"),
        ):
            parts = {"call_id": invite["Call-ID"], "to_tag": "t", "headers": routes}
            speaker.send(speaker.request(method, uri, cseq=7, **parts))  # type: ignore[arg-type]
            request = hearer.wait(method)
            if method != "ACK":
                hearer.respond(request, 200)
                while speaker.final().method != method:
                    pass


@pytest.mark.parametrize(
    ("number", "port"), [("4930777", 5060), ("15550200042", 20_042), ("155502000421", 5060)]
)
def test_a_site_that_calls_out_reaches_the_callers_host_and_nobody_else_does(
    wan: Wan, number: str, port: int
) -> None:
    callee = SipPeer(f"{wan.caller.host.rpartition('.')[0]}.8", port, wan.caller.proxy)
    try:
        site = wan.sites["a"].peer
        site.send(site.request("INVITE", f"sip:{number}@{wan.address}", body=SDP))
        invite = callee.wait("INVITE")
        assert invite.uri == f"sip:{number}@{wan.address}"
        callee.respond(invite, 200, body=SDP)
        for message in site.messages(2):
            if message.status == 200:
                assert message.body == SDP
                return
            if not message.status:
                site.respond(message, 200)  # a probe
        raise AssertionError("no answer came")
    finally:
        callee.close()
