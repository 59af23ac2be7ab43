"""Errors that programs logged under load, and what explains them."""

from __future__ import annotations

import pytest

from drills.fault import Fault, FaultKind
from loadtests.load.complaints import SETTLES_MS, complaints, figures
from loadtests.load.faults import Done

AT_MS = 1_795_953_600_000
"""12:00:00 on 29 November 2026."""
FAULT = b'{"event":"call_fault","call":"c","fault":"KeyError","at":"call.py:3","level":"error"}'
FINE = b'{"event":"call_ended","cause":"an error","level":"info"}'
OTHERS = b"kamailio[3]: ERROR: something else"


def dead(time: str = "2026-11-29T12:00:00.500000Z") -> bytes:
    return b'{"event":"relay_dead","edge":"a1","level":"error","timestamp":"%b"}' % time.encode()


def done(
    kind: FaultKind = FaultKind.KILL,
    target: str = "rtpengine-a",
    *,
    after_s: float = 0.0,
    problem: str = "",
) -> Done:
    from_ms = AT_MS + round(1000 * after_s)
    fault = Fault(kind=kind, target=target)
    return Done(
        at_s=0.0, drill="x", fault=fault, from_ms=from_ms, until_ms=from_ms + 5_000, problem=problem
    )


def is_explained(line: bytes, *faults: Done) -> bool:
    (found,) = complaints({"edge-a1": [line]}, faults)
    return found.explained


def test_error_is_explained_by_a_fault_that_brings_it_about_and_by_no_other() -> None:
    assert is_explained(dead(), done(FaultKind.KILL))
    assert not is_explained(dead(), done(FaultKind.SHAPE))
    assert not is_explained(dead())


@pytest.mark.parametrize(
    ("after_s", "explained"),
    [
        pytest.param(1.0, False, id="before-it"),
        pytest.param(0.0, True, id="while-it-stands"),
        pytest.param(-4.0 - SETTLES_MS / 1000, True, id="as-it-settles"),
        pytest.param(-6.0 - SETTLES_MS / 1000, False, id="long-after"),
    ],
)
def test_fault_explains_nothing_before_it_nor_long_after(
    after_s: float, *, explained: bool
) -> None:
    assert is_explained(dead(), done(after_s=after_s)) is explained


@pytest.mark.parametrize(
    ("kind", "target", "explained"),
    [
        (FaultKind.KILL, "rtpengine-a", True),
        (FaultKind.KILL, "rtpengine-b", False),
        (FaultKind.KILL, "edge-a1", False),
        (FaultKind.FREEZE_SITE, "a", True),
        (FaultKind.KILL_SITE, "b", False),
        (FaultKind.FREEZE, "kamailio-carrier", False),
    ],
)
def test_fault_explains_errors_of_its_own_site_by_what_it_takes_away(
    kind: FaultKind, target: str, *, explained: bool
) -> None:
    assert is_explained(dead(), done(kind, target)) is explained


def test_call_that_is_not_recorded_as_its_relay_is_killed_is_explained_by_that() -> None:
    line = dead().replace(b"relay_dead", b"call_not_recorded")
    assert is_explained(line, done(FaultKind.KILL, "rtpengine-a"))
    assert not is_explained(line, done(FaultKind.KILL, "rtpengine-b"))
    assert not is_explained(line, done(FaultKind.CUT_OFF, "a"))


@pytest.mark.parametrize("target", ["a-b", "b>a", "a"])
def test_fault_of_a_link_is_one_of_both_its_sites(target: str) -> None:
    line = dead().replace(b"relay_dead", b"manifest_not_sent")
    assert is_explained(line, done(FaultKind.SHAPE, target))


def test_fault_that_was_refused_explains_nothing() -> None:
    assert not is_explained(dead(), done(problem="the safety lever is pulled"))


def test_error_that_does_not_say_when_is_explained_by_nothing() -> None:
    assert not is_explained(dead("noon"), done())
    assert not is_explained(b'{"event":"relay_dead","level":"error"}', done())


def test_explained_and_unexplained_errors_of_one_kind_are_told_apart() -> None:
    lines = [dead(), dead("2026-11-29T13:00:00Z"), dead("2026-11-29T12:00:01Z")]
    found = complaints({"edge-a1": lines}, [done()])
    assert [(each.count, each.explained) for each in found] == [(2, True), (1, False)]


def test_errors_of_one_kind_are_counted_together_and_named_by_their_fault() -> None:
    found = complaints({"edge-a1": [FAULT, FINE, FAULT, OTHERS], "edge-b1": [FAULT]}, ())
    told = [(each.program, each.event, each.why, each.count) for each in found]
    assert told == [
        ("edge-a1", "call_fault", "KeyError call.py:3", 2),
        ("edge-b1", "call_fault", "KeyError call.py:3", 1),
    ]


def test_figures_are_all_errors_those_that_nothing_explains_and_logs_that_lost_lines() -> None:
    found = complaints({"edge-a1": [dead(), FAULT]}, [done(FaultKind.KILL_SITE, "a")])
    told = {"errors.all": 2.0, "errors.unexplained": 1.0, "errors.logs_cut": 3.0}
    assert figures(found, {"edge-a1": 2, "edge-b1": 1}) == told


KEMI = (
    b" 7(3141) ERROR: <core> [core/kemi.c:103]: sr_kemi_core_err(): request not served: KeyError()"
)
ETCD = (
    b'{"level":"%b","ts":"2026-11-30T09:15:50.1Z","caller":"x.go:1","msg":"failed to defragment",'
    b'"error":"no space"}'
)


@pytest.mark.parametrize(
    ("program", "line", "told"),
    [
        ("kamailio-a", KEMI, ("sr_kemi_core_err", "request not served: KeyError()")),
        (
            "kamailio-a",
            b"0(9) CRITICAL: <core> [core/mem/fm_malloc.c:5]: fm_realloc(): no memory",
            ("fm_realloc", "no memory"),
        ),
        ("rtpengine-a", b"[1764493890.1] CRIT: [core] no ports", ("rtpengine", "[core] no ports")),
        ("etcd-a", ETCD % b"error", ("failed to defragment", "no space")),
        ("etcd-a", ETCD % b"panic", ("failed to defragment", "no space")),
    ],
)  # fmt: skip
def test_errors_of_programs_that_are_not_ours_are_found_and_nothing_explains_them(
    program: str, line: bytes, told: tuple[str, str]
) -> None:
    (found,) = complaints({program: [line]}, [done(FaultKind.KILL_SITE, "a")])
    assert (found.event, found.why, found.explained) == (*told, False)


@pytest.mark.parametrize(
    "line",
    [
        ETCD % b"warn",
        b" 9(7) ERROR: evapi [evapi_dispatch.c:5]: evapi_recv_client(): cannot read the message",
        KEMI.replace(b"ERROR", b"WARNING").replace(b"core_err", b"core_warn"),
        KEMI.replace(b"request not served", b"gate not opened: 1 of 2 offers came; the edge tries"),
        b"[1764493890.1] ERR: [a1:x]: [core] Error sending DTMF event info",
    ],
)
def test_what_programs_put_right_by_themselves_is_no_error(line: bytes) -> None:
    assert complaints({"x-a": [line]}, ()) == ()


def test_nothing_logged_is_nothing_found() -> None:
    assert figures(complaints({"edge-a1": [FINE, b"", b"{"]}, ()), {}) == {
        "errors.all": 0.0,
        "errors.unexplained": 0.0,
        "errors.logs_cut": 0.0,
    }
