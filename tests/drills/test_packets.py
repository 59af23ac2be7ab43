"""What a capture says of calls, from bytes as they are on a wire."""

from __future__ import annotations

import io
import math
import os
import socket
import struct
from types import SimpleNamespace

import pytest

from drills import capture
from drills.capture import is_whole
from drills.packets import Wire, heard, longest_gap_ms, packets, read_wire, rto_s

CALLER, CARRIER = "198.18.11.10", "198.18.10.10"
T0_S = 1_700_000_000


def frame(source: str, target: str, payload: bytes, ports: tuple[int, int] = (5060, 5060)) -> bytes:
    ip = struct.pack(
        "!BBHHHBBH4s4s",
        *(0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0),
        bytes(map(int, source.split("."))),
        bytes(map(int, target.split("."))),
    )
    udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    return b"\0" * 12 + b"\x08\x00" + ip + udp + payload


def pcap(*frames: tuple[float, bytes]) -> bytes:
    out = struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 4096, 1)
    for at_s, content in frames:
        nanos = round(at_s * 1e9)
        stamp = (T0_S + nanos // 10**9, nanos % 10**9)
        out += struct.pack("=IIII", *stamp, len(content), len(content)) + content
    return out


def invite(call: str, site: str, *, to_tag: str = "") -> bytes:
    head = (
        "INVITE sip:15550100@carrier SIP/2.0\r\n"
        f"From: <sip:1555020{call}@carrier>;tag=f{call}\r\nTo: <sip:15550100@carrier>{to_tag}\r\n"
        f"Call-ID: {call}\r\nCSeq: 1 INVITE\r\nX-First-Site: {site}\r\n\r\n"
        "v=0\r\nm=audio 7000 RTP/AVP 0\r\n"
    )
    return frame(CALLER, CARRIER, head.encode())


def answer(call: str, status: int, method: str = "INVITE") -> bytes:
    head = f"SIP/2.0 {status} X\r\ni: {call}\r\nCSeq: 1 {method}\r\n\r\n"
    return frame(CARRIER, CALLER, head.encode())


def audio(port: int = 7000) -> bytes:
    return frame(CARRIER, CALLER, b"\x80\x00" + b"\0" * 10, (30000, port))


def test_calls_are_read_with_their_first_final_answer() -> None:
    wire = read_wire(
        pcap(
            (1.0, invite("1", "a")),
            (1.01, answer("1", 100)),
            (1.2, answer("1", 200)),
            (1.3, invite("1", "a", to_tag=";tag=x")),
            (1.4, answer("1", 200)),
            (2.0, invite("2", "b")),
            (2.5, answer("2", 503)),
            (3.0, invite("3", "b")),
            (3.5, answer("3", 200, "BYE")),
        ),
        CALLER,
    )
    assert [(call.sip_call_id, call.first_site, call.status) for call in wire.calls] == [
        ("1", "a", 200),
        ("2", "b", 503),
        ("3", "b", None),
    ]
    assert wire.calls[0].setup_ms == pytest.approx(200.0)
    assert wire.calls[1].setup_ms is None
    assert wire.calls[1].final_s == pytest.approx(0.5)
    assert (wire.calls[0].number, wire.calls[0].audio_port) == ("15550201", 7000)


def test_calls_that_come_to_callers_are_read_by_themselves_with_the_callers_own_answer() -> None:
    head = "Call-ID: back\r\nCSeq: 1 INVITE\r\n\r\n"
    rung = f"INVITE sip:1555020@callers SIP/2.0\r\nTo: <sip:1555020@callers>\r\n{head}"
    frames = (
        (0.0, invite("back", "a", to_tag=";tag=x")),
        (0.1, frame(CARRIER, CALLER, rung.encode())),
        (0.2, frame(CALLER, CARRIER, f"SIP/2.0 180 X\r\n{head}".encode())),
        (1.1, frame(CALLER, CARRIER, f"SIP/2.0 200 X\r\n{head}".encode())),
        (2.0, frame(CARRIER, CALLER, f"SIP/2.0 500 X\r\n{head}".encode())),
        (3.0, frame(CARRIER, CARRIER, rung.replace("back", "else").encode())),
    )
    found = read_wire(pcap(*frames), CALLER)
    assert found.calls == ()
    (came,) = found.came
    assert (came.sip_call_id, came.status) == ("back", 200)
    assert came.setup_ms == pytest.approx(1000.0)


def test_of_a_gap_counts_what_somebody_had_sent() -> None:
    times = [0, 20, 40, 400, 420]
    assert longest_gap_ms([each * 10**6 for each in times], 0, 420 * 10**6) == 360

    def gap_ms(*unsent: tuple[int, int]) -> float | None:
        stretches = [(begin * 10**6, end * 10**6) for begin, end in unsent]
        return longest_gap_ms([each * 10**6 for each in times], 0, 420 * 10**6, stretches)

    assert gap_ms((60, 260)) == 160
    assert gap_ms((60, 260), (100, 300)) == 120, "what two telephones did not send counts once"
    assert gap_ms((390, 500)) == 350
    assert gap_ms((420, 900), (-500, 0)) == 360


def test_service_is_back_with_the_first_call_after_which_all_are_good() -> None:
    wire = read_wire(
        pcap(
            (0.5, invite("0", "a")),
            (1.0, invite("1", "a")),
            (1.2, answer("1", 200)),
            (2.0, invite("2", "a")),
            (2.5, invite("3", "b")),
            (3.0, invite("4", "a")),
            (3.1, answer("4", 200)),
            (6.0, answer("3", 200)),
        ),
        CALLER,
    )
    t0_ns = (T0_S * 10 + 9) * 10**8
    after = {call.sip_call_id for call in wire.calls if call.invite_ns >= t0_ns}
    assert rto_s(wire, t0_ns, after, 2.0, {"a"}) == pytest.approx(2.2), "to the 200, not the INVITE"
    # Over all sites the slow one of site b counts too, and none came after the last good one.
    assert rto_s(wire, t0_ns, after, 2.0, {"a", "b"}) == pytest.approx(2.2)
    assert rto_s(wire, t0_ns, after, 2.0, ()) == pytest.approx(2.2)
    slow = read_wire(
        pcap((2.0, invite("1", "b")), (2.1, invite("2", "a")), (2.2, answer("2", 200))), CALLER
    )
    assert rto_s(slow, t0_ns, {"1", "2"}, 2.0, {"a", "b"}) == pytest.approx(1.3)
    assert rto_s(wire, t0_ns, after, 2.0, {"b"}) == math.inf, (
        "it came, and was not answered in time"
    )
    assert rto_s(wire, t0_ns, after, 2.0, {"c"}) is None


def test_the_longest_gap_counts_the_ends_of_the_stretch() -> None:
    wire = read_wire(pcap(*((at_s, audio()) for at_s in (0.0, 0.02, 0.3, 0.32))), CALLER)
    times = wire.audio_ns[7000]
    base = T0_S * 10**9
    assert longest_gap_ms(times, base, base + 330_000_000) == pytest.approx(280.0)
    assert longest_gap_ms(times, base, base + 900_000_000) == pytest.approx(580.0)
    assert longest_gap_ms([], base, base + 1) is None


def test_what_is_no_capture_of_ours_is_refused_and_a_cut_one_read_as_far_as_it_goes() -> None:
    with pytest.raises(ValueError, match="no capture"):
        list(packets(b"rubbish" * 9))
    whole = pcap((1.0, audio()), (2.0, audio()))
    assert len(list(packets(whole))) == 2
    assert len(list(packets(whole[:-3]))) <= 2


def test_a_capture_that_never_told_its_end_says_nothing() -> None:
    whole = pcap((1.0, invite("1", "a")), (1.2, answer("1", 200)))
    assert heard(whole, CALLER, dropped=0) == read_wire(whole, CALLER)
    # Whoever stopped in between has not seen what failed afterwards.
    for cut in (whole, whole[:-3], b""):
        assert heard(cut, CALLER, dropped=None) == Wire(calls=(), audio_ns={})


def test_whoever_is_told_to_end_still_takes_all_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, end = os.pipe()
    os.close(end)
    waiting = iter([(audio(), [(0, 0, struct.pack("@qq", T0_S, 0))], 0, None)] * 1000)

    def recvmsg(*_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        if (found := next(waiting, None)) is None:
            raise BlockingIOError
        return found

    tap = SimpleNamespace(
        bind=lambda _: None,
        close=lambda: None,
        fileno=lambda: ready,
        getsockopt=lambda *_: struct.pack("=II", 1000, 3),
        recvmsg=recvmsg,
        setblocking=lambda _: None,
        setsockopt=lambda *_: None,
    )
    monkeypatch.setattr(socket, "socket", lambda *_: tap)
    file = io.BytesIO()
    # Both can be read from the beginning: more waits than is taken at once.
    assert capture.record(["any"], file, ready) == (1000, 3)
    os.close(ready)
    assert len(list(packets(file.getvalue()))) == 1000


def test_a_packet_that_says_it_has_a_longer_head_than_it_is_long_is_left_out_and_recorded() -> None:
    strange = bytearray(frame(CARRIER, CALLER, b"x" * 12))
    strange[14] = 0x4F
    whole = pcap((1.0, bytes(strange)), (2.0, audio()))
    assert len(list(packets(whole))) == 1
    assert is_whole(bytes(strange))
