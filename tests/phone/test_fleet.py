"""Phones that call each other over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from edge.phone.line import Line
from edge.phone.session import MediaSession
from edge.phone.tones import chord_for
from edge.sip.events import Address, Answered, Ended, EndedBy, Event, IncomingInvite
from tests.media.servers import HOST, until
from tests.phone.people import Phones, Registrar
from tests.ports import free_udp_port

pytestmark = pytest.mark.parts

PASSWORDS = {"alba": "secret", "bela": "hidden"}


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    registrar = Registrar(PASSWORDS)
    yield registrar
    registrar.close()


@pytest.fixture
async def phones() -> AsyncIterator[Phones]:
    phones = Phones()
    yield phones
    await phones.fleet.stop()


async def test_caller_and_agent_hear_each_others_chord_and_say_so(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent(
        "alba", registrar=registrar.address, answer_after_s=[0.1, 0.1], talk_s=[5, 5]
    )
    phones.caller("c1", alba, talk_s=0.6, headers={"X-Everline-Offer": "call-7 1 99"})
    caller, agent = await phones.call("c1"), await phones.call("alba")
    sip_call_id = caller["sip_call_id"]
    assert agent["sip_call_id"] == sip_call_id
    assert caller["sent_chord"] == str(chord_for(f"{sip_call_id}:caller"))
    assert agent["sent_chord"] == str(chord_for(f"{sip_call_id}:agent"))
    assert list(caller["heard"]) == [agent["sent_chord"]]
    assert list(agent["heard"]) == [caller["sent_chord"]]
    assert caller["heard"][agent["sent_chord"]] >= 25
    assert (caller["how"], caller["cause"]) == ("hung_up", "talked")
    assert (agent["how"], agent["cause"]) == ("far_end", "bye")
    assert agent["call"] == "call-7"
    assert 100 <= caller["setup_ms"] < 600
    assert caller["invite_ms"] <= caller["answered_ms"] <= caller["joined_ms"] < caller["ended_ms"]
    assert caller["packets_lost"] == agent["packets_lost"] == 0


async def test_keyed_digits_arrive_as_events_beside_the_audio(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent("alba", registrar=registrar.address, talk_s=[5, 5])
    phones.caller("c1", alba, digits="42#", digits_after_s=0.1, talk_s=0.8)
    caller, agent = await phones.call("c1"), await phones.call("alba")
    assert caller["digits"] == 3
    assert agent["other_packets"] == 3 * 8
    told = [line for line in phones.lines if line["event"] == "keyed"]
    assert [each["digits"] for each in told] == [3]
    assert not any("42#" in str(value) for each in told for value in each.values())


async def test_agent_who_transfers_tells_how_it_was_answered(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent(
        "alba",
        registrar=registrar.address,
        talk_s=[0.6, 0.6],
        transfer=1.0,
        transfer_to="sip:15550101@everline",
    )
    phones.caller("c1", alba, talk_s=5)
    # Our own caller's phone is asked here, and phones transfer nobody.
    assert (await phones.event("transfer", "alba"))["status"] == 603
    assert (await phones.call("alba"))["how"] == "hung_up"


async def test_agent_hangs_up_when_the_talk_is_over(phones: Phones, registrar: Registrar) -> None:
    alba = phones.agent("alba", registrar=registrar.address, talk_s=[0.4, 0.4])
    phones.caller("c1", alba, talk_s=60)
    assert (await phones.call("c1"))["how"] == "far_end"
    assert (await phones.call("alba"))["how"] == "hung_up"


async def test_agent_who_declines_says_so_and_the_caller_is_refused(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent("alba", registrar=registrar.address, decline=1.0, decline_status=603)
    phones.caller("c1", alba)
    caller, agent = await phones.call("c1"), await phones.call("alba")
    assert (caller["how"], caller["status"]) == ("refused", 603)
    assert (agent["how"], agent["cause"]) == ("refused", "declined")


async def test_agent_who_lets_it_ring_and_a_caller_who_gives_up(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent("alba", registrar=registrar.address, ignore=1.0)
    phones.caller("c1", alba, give_up_s=0.4)
    caller, agent = await phones.call("c1"), await phones.call("alba")
    assert (caller["how"], caller["cause"]) == ("cancelled", "gave_up")
    assert agent["how"] == "cancelled"
    assert caller["ringing_ms"] is not None


@pytest.mark.parametrize("late", [False, True], ids=["early offer", "late offer"])
async def test_hold_stops_the_audio_both_ways_and_resume_brings_it_back(
    phones: Phones,
    registrar: Registrar,
    late: bool,  # noqa: FBT001 - a row of a table
) -> None:
    alba = phones.agent(
        "alba", registrar=registrar.address, answer_after_s=[0, 0], silence_s=0.5, talk_s=[9, 9]
    )
    phones.caller("c1", alba, talk_s=0.8, hold_after_s=0.4, hold_s=0.8, late_offer=late)
    caller, agent = await phones.call("c1"), await phones.call("alba")
    assert (caller["how"], caller["held"]) == ("hung_up", 1)
    assert agent["reinvites"] == 2
    assert caller["longest_gap_s"] > 0.7
    assert agent["longest_gap_s"] > 0.7
    last_chance_ms = phones.events("resumed", "c1")[0]["wall_ms"]
    assert caller["last_heard_ms"] > last_chance_ms
    assert agent["last_heard_ms"] > last_chance_ms


async def test_hold_by_the_agent_is_no_lost_media_to_the_caller(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent(
        "alba",
        registrar=registrar.address,
        answer_after_s=[0, 0],
        talk_s=[0.8, 0.8],
        hold_after_s=0.3,
        hold_s=0.8,
    )
    phones.caller("c1", alba, talk_s=60, silence_s=0.5)
    caller, agent = await phones.call("c1"), await phones.call("alba")
    assert (agent["how"], agent["held"]) == ("hung_up", 1)
    assert (caller["how"], caller["reinvites"]) == ("far_end", 2)


async def test_second_call_to_a_busy_agent_is_refused_and_reported_by_both(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent("alba", registrar=registrar.address, answer_after_s=[0, 0])
    phones.caller("c1", alba, talk_s=0.5)
    await phones.event("joined", "alba")
    phones.caller("c2", alba)
    assert (await phones.call("c2"))["status"] == 486
    await phones.call("c1")
    await until(lambda: len(phones.events("call", "alba")) == 2, "both of the agent's summaries")
    causes = {call["cause"] for call in phones.events("call", "alba")}
    assert causes == {"busy", "bye"}


class Mute:
    """Somebody who signals properly and sends no audio."""

    def __init__(self) -> None:
        self.line = Line(HOST, user="mute")
        self.events: list[Event] = []
        self.session = MediaSession(host=HOST, port=free_udp_port(), session_id=1)

    def answer(self, invite: IncomingInvite) -> None:
        """Take a call."""
        assert invite.sdp is not None
        self.line.attach(invite.leg, self.events.append)
        sdp = self.session.answer(invite.sdp)
        self.line.do(lambda stack, now: stack.answer(invite.leg, sdp, now))

    def call(self, host: str, port: int) -> None:
        """Call a phone."""
        sdp = self.session.offer()
        leg = self.line.do(
            lambda stack, now: stack.invite(
                request_uri=f"sip:alba@{host}:{port}",
                from_uri=f"sip:mute@{HOST}",
                to_uri=f"sip:alba@{host}:{port}",
                next_hop=Address(host, port),
                sdp=sdp,
                now=now,
            )
        )
        self.line.attach(leg, self.events.append)


async def test_caller_without_agent_audio_leaves_when_patience_ends(phones: Phones) -> None:
    mute = Mute()
    mute.line.on_invite = mute.answer
    phones.caller("c1", mute.line.contact.removeprefix("sip:mute@"), patience_s=0.2)
    caller = await phones.call("c1")
    assert (caller["how"], caller["cause"]) == ("hung_up", "impatient")
    assert caller["joined_ms"] is None
    assert [event.by for event in mute.events if isinstance(event, Ended)] == [EndedBy.REMOTE]
    mute.line.close()


async def test_agent_who_hears_nothing_hangs_up(phones: Phones, registrar: Registrar) -> None:
    alba = phones.agent(
        "alba", registrar=registrar.address, answer_after_s=[0, 0], silence_s=0.4, talk_s=[60, 60]
    )
    mute = Mute()
    mute.call(HOST, int(alba.rpartition(":")[2]))
    agent = await phones.call("alba")
    assert (agent["how"], agent["cause"]) == ("hung_up", "no_media")
    await until(lambda: any(isinstance(event, Ended) for event in mute.events), "BYE")
    assert any(isinstance(event, Answered) for event in mute.events)
    assert [event.by for event in mute.events if isinstance(event, Ended)] == [EndedBy.REMOTE]
    assert mute.line.legs() == 0
    mute.line.close()


async def test_agent_who_has_hung_up_on_a_vanished_caller_takes_the_next_call_at_once(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent(
        "alba", registrar=registrar.address, answer_after_s=[0, 0], silence_s=0.4, talk_s=[60, 60]
    )
    mute = Mute()
    mute.call(HOST, int(alba.rpartition(":")[2]))
    await phones.event("answered", "alba")
    mute.line.close()  # neither its ACK nor an answer to the agent's BYE will come
    hung_up = await phones.event("hanging_up", "alba")
    assert phones.events("ended", "alba") == []
    phones.caller("c1", alba, talk_s=0.3)
    caller, agent = await phones.call("c1"), await phones.call("alba")
    assert caller["sip_call_id"] == agent["sip_call_id"]
    assert agent["hung_up_ms"] is None
    assert agent["packets_at_goodbye"] is None
    assert 0 < caller["packets_at_goodbye"] <= caller["packets_received"]
    await phones.fleet.stop()
    unheard = phones.events("call", "alba")[1]
    assert (unheard["how"], unheard["hung_up_ms"]) == ("unheard", hung_up["wall_ms"])


async def test_answer_and_giving_up_in_the_same_instant_leave_no_call_half_open(
    registrar: Registrar,
) -> None:
    phones = Phones()
    for number in range(12):
        delay_s = 0.2 + number * 0.0004
        alba = phones.agent(
            f"agent-{number}", registrar=registrar.address, answer_after_s=[0.2025, 0.2025]
        )
        phones.caller(f"c{number}", alba, give_up_s=delay_s, patience_s=0.0)
    ends = set()
    for number in range(12):
        caller, agent = await phones.call(f"c{number}"), await phones.call(f"agent-{number}")
        ends.add((caller["how"], agent["how"]))
    assert ends <= {
        ("cancelled", "cancelled"),
        ("cancelled", "far_end"),
        ("hung_up", "far_end"),
    }
    await phones.fleet.stop()


async def test_phone_registers_in_time_again_and_again_and_takes_leave(phones: Phones) -> None:
    registrar = Registrar(PASSWORDS, grants_s=1)
    phones.agent("alba", registrar=registrar.address, password=PASSWORDS["alba"])
    await until(lambda: registrar.accepted >= 3, "two renewals")
    assert "alba" in registrar.bindings
    assert len(phones.events("registered", "alba")) == 1
    await phones.fleet.stop()
    assert registrar.bindings == {}
    assert phones.events("unregistered", "alba")[0]["status"] == 200
    registrar.close()


async def test_wrong_password_is_told_once_and_tried_with_pauses(
    phones: Phones, registrar: Registrar
) -> None:
    phones.agent("alba", registrar=registrar.address, password=PASSWORDS["bela"])
    failed = await phones.event("registration_failed", "alba")
    assert failed["status"] == 403
    await until(lambda: registrar.refused >= 3, "more tries")
    assert len(phones.events("registration_failed", "alba")) == 1
    assert PASSWORDS["bela"] not in json.dumps(phones.lines)


async def test_a_phone_registers_elsewhere_while_its_home_is_silent_and_goes_home_again(
    phones: Phones, registrar: Registrar
) -> None:
    home = Registrar(PASSWORDS)
    at_home = home.address
    phones.agent(
        "bela",
        registrar=at_home,
        backups=[str(registrar.address)],
        password=PASSWORDS["bela"],
    )
    await until(lambda: "bela" in home.bindings, "at home")
    await until(lambda: home.asked >= 1, "asked whether it is there", within_s=10)
    home.close()
    await until(lambda: "bela" in registrar.bindings, "elsewhere", within_s=15)
    places = [line["registrar"] for line in phones.events("registered", "bela")]
    assert places == [str(at_home), str(registrar.address)]
    again = Registrar(PASSWORDS, port=at_home.port)
    await until(lambda: "bela" in again.bindings, "home again", within_s=20)
    await until(lambda: registrar.bindings == {}, "and no longer elsewhere")
    await phones.fleet.stop()
    again.close()


async def test_a_phone_that_rings_by_way_of_a_dead_proxy_is_free_once_it_registers_elsewhere(
    phones: Phones, registrar: Registrar
) -> None:
    home = Registrar(PASSWORDS)
    bela = phones.agent(
        "bela",
        registrar=home.address,
        backups=[str(registrar.address)],
        password=PASSWORDS["bela"],
        ignore=1.0,
    )
    await until(lambda: "bela" in home.bindings, "at home")
    phones.caller("c1", bela, headers={"X-Everline-Offer": "call-7 1 99"}, patience_s=60)
    await phones.event("ringing", "bela")
    home.close()
    await until(lambda: "bela" in registrar.bindings, "elsewhere", within_s=15)
    (ended,) = phones.events("call", "bela")
    assert (ended["how"], ended["status"], ended["cause"]) == ("refused", 480, "proxy_lost")


async def test_a_proxy_that_is_given_up_just_as_the_ring_is_withdrawn_harms_no_phone(
    phones: Phones, registrar: Registrar
) -> None:
    bela = phones.agent("bela", registrar=registrar.address, ignore=1.0)
    phones.caller("c1", bela, give_up_s=0.5)
    await phones.event("ringing", "bela")
    agent = phones.fleet._agents["bela"]  # noqa: SLF001 - the moment cannot be had otherwise
    call = agent._call  # noqa: SLF001
    assert call is not None
    faults: list[Exception] = []

    def lost_at_once(item: Event) -> None:
        call.put(item)
        try:
            agent._stop_ringing()  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - whatever it is, the phone would die of it
            faults.append(error)

    call.line.attach(call.leg, lost_at_once)
    ended = await phones.call("bela")
    assert (ended["how"], faults) == ("cancelled", [])


async def test_a_phone_that_nobody_answers_rings_no_longer_than_the_invite_is_good_for(
    phones: Phones, registrar: Registrar
) -> None:
    alba = phones.agent("alba", registrar=registrar.address, ignore=1.0)
    phones.caller("c1", alba, headers={"Expires": "1"}, patience_s=60)
    ended = await phones.call("alba")
    assert (ended["how"], ended["status"], ended["cause"]) == ("refused", 487, "ignored")


async def test_registrar_that_comes_back_is_found_again(phones: Phones) -> None:
    first = Registrar(PASSWORDS, grants_s=1)
    phones.agent("alba", registrar=first.address, password=PASSWORDS["alba"])
    await phones.event("registered", "alba")
    first.close()
    await phones.event("registration_failed", "alba")
    second = Registrar(PASSWORDS, port=first_port(phones))
    await until(lambda: len(phones.events("registered", "alba")) == 2, "the second time")
    await phones.fleet.stop()
    second.close()


def first_port(phones: Phones) -> int:
    text: str = phones.events("registered", "alba")[0]["registrar"]
    return int(text.rpartition(":")[2])


CALLER = {"id": "c1", "carrier": f"{HOST}:9", "did": "15550100"}


async def start_process(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge.phone",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def line_of(**plan: object) -> bytes:
    return json.dumps(plan).encode() + b"\n"


async def test_process_takes_plans_from_stdin_and_ends_cleanly_on_sigterm(
    registrar: Registrar,
) -> None:
    port = free_udp_port()
    process = await start_process("--host", HOST, "--stdin")
    assert process.stdin is not None
    assert process.stdout is not None
    agent = {
        "id": "alba",
        "registrar": str(registrar.address),
        "password": "secret",
        "port": port,
        "talk_s": [60, 60],
    }
    caller = {"id": "c1", "carrier": f"{HOST}:{port}", "did": "15550100", "talk_s": 60}
    process.stdin.write(line_of(agents=[agent]) + line_of(callers=[caller]))
    lines = []
    joined = 0
    while joined < 2:
        line = json.loads(await asyncio.wait_for(process.stdout.readline(), 5))
        lines.append(line)
        joined += line["event"] == "joined"
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 5)
    lines += [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert err == b""
    calls = [line for line in lines if line["event"] == "call"]
    assert len(calls) == 2
    assert all(len(call["heard"]) == 1 for call in calls)
    assert [line["event"] for line in lines][-1] == "stopped"
    assert registrar.bindings == {}


async def test_caller_whose_agent_died_and_came_back_is_not_heard_when_hanging_up(
    phones: Phones, registrar: Registrar
) -> None:
    port = free_udp_port()
    process = await start_process("--host", HOST, "--stdin")
    assert process.stdin is not None
    agent = {"id": "alba", "registrar": str(registrar.address), "port": port}
    process.stdin.write(line_of(agents=[agent]))
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 5)  # ready
    await until(lambda: taken(port), "the agent's port")
    phones.caller("c1", f"{HOST}:{port}", silence_s=0.4, talk_s=60)
    await phones.event("joined", "c1")
    process.kill()
    await process.communicate()
    reborn = Line(HOST, user="alba", port=port)
    caller = await phones.call("c1")
    assert (caller["how"], caller["cause"]) == ("unheard", "no_media")
    reborn.close()


def taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


async def test_process_with_callers_alone_ends_by_itself() -> None:
    process = await start_process("--host", HOST, "--stdin")
    assert process.stdin is not None
    caller = {
        "id": "c1",
        "carrier": f"{HOST}:{free_udp_port()}",
        "did": "15550100",
        "answer_timeout_s": 0.5,
    }
    process.stdin.write(line_of(callers=[caller]))
    process.stdin.write_eof()
    out, _ = await asyncio.wait_for(process.communicate(), 5)
    assert process.returncode == 0
    calls = [json.loads(line) for line in out.splitlines() if b'"event":"call"' in line]
    assert [(call["how"], call["status"]) for call in calls] == [("silence", 408)]


@pytest.mark.parametrize(
    ("arguments", "sent", "status", "says"),
    [
        ((), b"", 2, "--host"),
        (("--host", "192.0.2.77", "--stdin"), line_of(callers=[CALLER]), 1, "192.0.2.77"),
        (("--host", HOST, "--stdin"), b'{"agents": [{}]}\n', 2, "missing required field `id`"),
        (("--config", "/no-such.json"), b"", 2, "/no-such.json"),
    ],
)
async def test_mistake_ends_in_one_line_that_names_it(
    arguments: tuple[str, ...], sent: bytes, status: int, says: str
) -> None:
    process = await start_process(*arguments)
    _, err = await asyncio.wait_for(process.communicate(sent), 5)
    assert process.returncode == status
    assert says in err.decode()
    assert err.count(b"\n") <= 1


async def test_a_phone_that_is_sent_away_comes_back_to_the_same_registrar(phones: Phones) -> None:
    busy, other = Registrar(PASSWORDS), Registrar(PASSWORDS)
    busy.busy = 1
    phones.agent(
        "alba",
        registrar=busy.address,
        backups=[str(other.address)],
        password=PASSWORDS["alba"],
    )
    began_s = asyncio.get_running_loop().time()
    await phones.event("registered", "alba")
    assert asyncio.get_running_loop().time() - began_s >= 1.0, "as it was told"
    assert (list(busy.bindings), other.accepted) == (["alba"], 0)
    assert not phones.events("registration_failed", "alba"), "it was only busy"
    await phones.fleet.stop()
    busy.close()
    other.close()
