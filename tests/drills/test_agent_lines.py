"""What a capture at the agents' links says, from bytes as they are on a wire."""

from __future__ import annotations

from drills.agent_lines import SignIn, read_lines
from tests.drills.test_packets import T0_S, frame, pcap

AGENT, OTHER_AGENT, HOME, AWAY = "198.18.21.10", "198.18.22.10", "198.18.1.10", "198.18.2.10"
AGENTS = (AGENT, OTHER_AGENT)


def sound(source: str, target: str, voice: int, port: int, kind: int = 0) -> bytes:
    head = bytes([0x80, kind]) + b"\0" * 6 + voice.to_bytes(4, "big")
    return frame(source, target, head, (30000, port))


def taken(leg: str, port: int) -> bytes:
    head = (
        f"SIP/2.0 200 OK\r\nCall-ID: {leg}\r\nCSeq: 1 INVITE\r\n\r\n"
        f"v=0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
    return frame(AGENT, HOME, head.encode())


def register(number: int, registrar: str = HOME, expires: int = 30) -> bytes:
    head = (
        f"REGISTER sip:everline SIP/2.0\r\nFrom: <sip:alba@everline>;tag=t\r\n"
        f"To: <sip:alba@everline>\r\nCall-ID: r\r\nCSeq: {number} REGISTER\r\n"
        f"Expires: {expires}\r\n\r\n"
    )
    return frame(AGENT, registrar, head.encode())


def registered(number: int, status: int = 200, registrar: str = HOME) -> bytes:
    head = f"SIP/2.0 {status} X\r\nCall-ID: r\r\nCSeq: {number} REGISTER\r\n\r\n"
    return frame(registrar, AGENT, head.encode())


def signed_in(*frames: tuple[float, bytes]) -> list[tuple[float, bool]]:
    found: tuple[SignIn, ...] = read_lines(pcap(*frames, (60.0, b"")), AGENTS).sign_ins
    assert all(each.agent == "alba" for each in found)
    return [((each.at_ns - T0_S * 10**9) / 10**9, each.is_registered) for each in found]


def test_what_an_agent_hears_is_found_by_the_port_that_their_telephone_named() -> None:
    lines = read_lines(
        pcap(
            (1.0, taken("leg", 4002)),
            (1.1, sound(HOME, AGENT, 7, 4002)),
            # Another link's packet is written later, and came before.
            (1.3, sound(AGENT, HOME, 9, 30000)),
            (1.2, sound(HOME, OTHER_AGENT, 8, 4002)),
            (1.4, sound(HOME, AGENT, 7, 4003, kind=200)),
            (1.5, taken("leg", 4444)),
        ),
        AGENTS,
    )
    assert lines.ears == {"leg": (AGENT, 4002)}
    assert lines.audio_ns == {
        (AGENT, 4002): [T0_S * 10**9 + 1_100_000_000],
        (OTHER_AGENT, 4002): [T0_S * 10**9 + 1_200_000_000],
    }
    assert lines.voices == {9}, "what is told of sound (RTCP) has no voice"
    assert lines.sent_ns == {HOME: [T0_S * 10**9 + 1_100_000_000, T0_S * 10**9 + 1_200_000_000]}


def test_a_registrar_is_lost_when_it_does_not_answer_and_had_again_with_the_next_answer() -> None:
    challenged = [(1.0, register(1)), (1.1, registered(1, 401)), (1.2, register(2))]
    bound = (1.3, registered(2))
    assert signed_in(*challenged, bound) == [(1.3, True)]
    lost = [(9.0, register(3)), (9.5, register(3)), (12.0, register(4, AWAY))]
    away = (12.1, registered(4, registrar=AWAY))
    assert signed_in(*challenged, bound, *lost, away) == [(1.3, True), (11.0, False), (12.1, True)]
    # A proxy that stood still answers when nobody waits any more.
    late = (11.5, registered(3))
    assert signed_in(*lost[:2], late, lost[2], away) == [(11.0, False), (12.1, True)]


def test_what_takes_a_binding_back_goes_home_in_vain_or_is_put_off_loses_no_registrar() -> None:
    bound = [(1.0, register(1)), (1.1, registered(1))]
    for harmless in (
        [(5.0, register(2, expires=0))],
        [(5.0, register(2, AWAY))],
        [(5.0, register(2)), (5.1, registered(2, 503))],
        [(59.0, register(2))],  # the capture ends before anybody could know
    ):
        assert signed_in(*bound, *harmless) == [(1.1, True)]
    refused = [(5.0, register(2)), (5.1, registered(2, 403))]
    assert signed_in(*bound, *refused) == [(1.1, True), (5.1, False)]
