"""Processes that end while they are loaded, and whether a fault ended them."""

from __future__ import annotations

import pytest

from drills.fault import Fault, FaultKind
from loadtests.load.deaths import deaths
from loadtests.load.faults import Done
from loadtests.load.growth import Sample

BEGAN_MS = 1_000_000_000


def rounds(*lives: tuple[str, int, float, float]) -> list[dict[str, dict[int, Sample]]]:
    """Return a look every 5 s for five minutes: program, PID, from when and until when it is."""
    found: list[dict[str, dict[int, Sample]]] = []
    for at_s in range(100, 401, 5):
        now: dict[str, dict[int, Sample]] = {}
        for program, pid, first_s, last_s in (("etcd", 1, 0.0, 999.0), *lives):
            if first_s <= at_s <= last_s:
                now.setdefault(program, {})[pid] = Sample(
                    at_s=at_s, memory_mb=80.0, descriptors=9, threads=8, sockets=3
                )
        found.append(now)
    return found


def done(kind: FaultKind, target: str, at_s: float = 200.0, *, problem: str = "") -> Done:
    from_ms = BEGAN_MS + round(1000 * at_s)
    fault = Fault(kind=kind, target=target)
    return Done(
        at_s=0.0,
        drill="x",
        fault=fault,
        from_ms=from_ms,
        until_ms=from_ms + 12_000,
        problem=problem,
    )


CRASH = (("edge", 7, 0.0, 202.0), ("edge", 8, 210.0, 999.0))
TOLD = ("edge 7 ended 100 s after the first look",)


def test_processes_that_live_have_not_ended() -> None:
    assert deaths(rounds(("edge", 7, 0.0, 999.0)), (), BEGAN_MS) == ()
    assert deaths((), (), BEGAN_MS) == ()


def test_process_that_ends_without_a_fault_is_told() -> None:
    assert deaths(rounds(*CRASH), (), BEGAN_MS) == TOLD


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (done(FaultKind.KILL, "edge-a1"), ()),
        (done(FaultKind.HOLD_DOWN, "edge-a1"), ()),
        (done(FaultKind.KILL_SITE, "a"), ()),
        (done(FaultKind.FREEZE_SITE, "a", at_s=170.0), ()),
        (done(FaultKind.KILL, "edge-a1", at_s=205.5), ()),
        (done(FaultKind.KILL, "etcd-a"), TOLD),
        (done(FaultKind.SHAPE, "a"), TOLD),
        (done(FaultKind.KILL, "edge-a1", at_s=140.0), TOLD),
        (done(FaultKind.KILL, "edge-a1", at_s=230.0), TOLD),
        (done(FaultKind.KILL, "edge-a1", problem="the lever is pulled"), TOLD),
    ],
)
def test_only_a_fault_of_that_time_that_ends_it_explains_an_end(
    fault: Done, told: tuple[str, ...]
) -> None:
    assert deaths(rounds(*CRASH), (fault,), BEGAN_MS) == told


def test_control_plane_goes_by_the_name_of_its_process() -> None:
    looks = rounds(("control_plane", 7, 0.0, 202.0))
    assert deaths(looks, (done(FaultKind.KILL, "control-plane-b"),), BEGAN_MS) == ()
    assert len(deaths(looks, (), BEGAN_MS)) == 1


def test_program_that_another_runs_for_a_moment_is_no_death() -> None:
    assert deaths(rounds(("kamailio", 7, 200.0, 211.0)), (), BEGAN_MS) == ()


def test_process_that_one_look_has_missed_lives_on() -> None:
    looks = rounds(("edge", 7, 0.0, 999.0))
    del looks[20]["edge"]
    assert deaths(looks, (), BEGAN_MS) == ()


LOOPING = tuple(("edge", 20 + each, 210.0 + 10 * each, 216.0 + 10 * each) for each in range(4))


def test_program_that_crashes_as_often_as_it_is_begun_is_told_once() -> None:
    looks = rounds(*LOOPING)
    told = "edge began 4 times and never lived for 15 s, from 110 s after the first look on"
    assert deaths(looks, (), BEGAN_MS) == (told,)
    assert deaths(looks, (done(FaultKind.KILL_SITE, "a", at_s=215.0),), BEGAN_MS) == ()
    assert deaths(rounds(*LOOPING[:2]), (), BEGAN_MS) == ()


def test_short_lives_that_begin_at_once_or_far_apart_are_no_loop() -> None:
    at_once = [("kamailio", 30 + each, 210.0, 216.0) for each in range(9)]
    apart = [("edge", 50 + each, 110.0 + 90 * each, 116.0 + 90 * each) for each in range(3)]
    assert deaths(rounds(*at_once, *apart), (), BEGAN_MS) == ()
