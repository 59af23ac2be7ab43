"""Any course of a recorded call, with a death of the recorder at any step of what it writes.

Nothing that comes in a pause, in a hold or without an agent is kept, everything else is, and what
is told of it makes sense: every moment is in a segment or in a gap, and nothing ends before it
begins.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custody.frame import BLOCK, State
from custody.manifest import Manifest, Part, Span
from edge.recorder.folder import SHORTEST_GAP, Facts, finish_left, read_facts
from edge.recorder.recording import Recording
from tests.recorder.made import Archive, AtOnce

T = TypeVar("T")
CALL = "c" * 24
LONGEST = 400
"""Blocks of 20 ms."""
UNSEALED = 75
"""Blocks that a recorder may not have sealed yet when it dies: 1.4 s, and a look."""
NEVER = 10_000
AROUND = 3
"""Blocks beside a pause or a hold that may go with it."""
FACTS = Facts(
    call=CALL,
    tenant="main",
    queue="sales",
    agents=("ann",),
    media="a1:c",
    site="a",
    started_ms=1,
    started_s=0.0,
)


class DiedError(Exception):
    """The recorder has."""


class Disk(AtOnce):
    """A disk whose recorder dies at one step of what it writes."""

    def __init__(self, dies_at: int) -> None:
        self.left = dies_at

    def submit(self, what: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:  # noqa: ANN401 - as the executor
        """Do it, unless this is the step."""
        self.left -= 1
        if not self.left:
            raise DiedError
        return super().submit(what, *given, **named)


class Course:
    """One call: what goes on in it, who sends, and what may be kept."""

    def __init__(self, archive: Archive, disk: Disk) -> None:
        self.archive, self.disk = archive, disk
        self.agent, self.is_paused, self.is_held, self.wish = "ann", False, False, 0
        self.recording: Recording | None = None
        self.forbidden: tuple[set[int], set[int]] = (set(), set())
        self.lost: set[int] = set()

    def live(self, now: int) -> None:
        """Begin a life of the recorder, told all that goes on."""
        key = self.archive.ring.newest("main")
        self.recording = Recording(self.archive.spool / CALL, FACTS, key, now, self.disk)
        self.tell(now)

    def tell(self, now: int) -> None:
        """Say all of it, as an edge does."""
        if (recording := self.recording) is None:
            return
        if self.agent:
            recording.join(self.agent, now)
        else:
            recording.leave(now)
        recording.hold(now, on=self.is_held)
        recording.obey(self.wish, "agent" if self.is_paused else "", now)

    def change(self, what: str) -> None:
        """Let something happen in the call."""
        match what:
            case "pause" | "resume":
                self.is_paused, self.wish = what == "pause", self.wish + 1
            case "hold" | "unhold":
                self.is_held = what == "hold" and self.agent != ""
            case _:
                self.agent, self.is_held = what.removeprefix("join ").replace("leave", ""), False

    def speak(self, block: int) -> None:
        """Let both send 20 ms that are like no others."""
        for side in (0, 1):
            if self.is_paused or not self.agent or (side and self.is_held):
                self.forbidden[side].add(block)
            if self.recording is None:
                continue
            head = struct.pack("!BBHII", 0x80, 0, block, 777 + block * BLOCK, 7 + side)
            packet = head + struct.pack("!BI", side + 1, block) * (BLOCK // 5)
            self.recording.timeline.sides[side].take(packet, len(packet), block * BLOCK)

    def die(self, block: int) -> None:
        """Let the recorder die."""
        if self.recording is not None:
            self.recording.abandon()
        self.recording = None
        self.lost |= set(range(block - UNSEALED, block + 1))


async def kept(archive: Archive, account: Manifest) -> tuple[set[int], set[int]]:
    """Return which blocks of both can be heard."""
    found: tuple[set[int], set[int]] = (set(), set())
    async for frame in archive.library().frames(account):
        for side, sound in enumerate((frame.left, frame.right)):
            for number, state in enumerate(frame.states[side]):
                heard = sound[number * BLOCK : (number + 1) * BLOCK]
                assert (state == State.AUDIO) is (heard != b"\xff" * BLOCK)
                if state == State.AUDIO:
                    speaker, block = struct.unpack("!BI", heard[:5])
                    assert speaker == side + 1
                    found[side].add(block)
    return found


def makes_sense(account: Manifest) -> None:
    """See that what is told of a recording can be so."""
    spans = (*account.gaps, *account.pauses, *account.holds, *account.masks)
    told: tuple[Span | Part, ...] = (*spans, *account.parts)
    assert all(0 <= each.start <= each.end for each in told)
    covered = [(each.start, each.start + each.samples) for each in account.segments]
    covered += [(each.start, each.end) for each in account.gaps]
    reached = 0
    for start, end in sorted(covered):
        assert start - reached <= SHORTEST_GAP, "a moment that nobody tells of"
        reached = max(reached, end)


changes = st.sampled_from(["pause", "resume", "hold", "unhold", "leave", "join ann", "join ben"])


@given(
    script=st.dictionaries(st.integers(1, LONGEST - 1), changes, max_size=8),
    length=st.integers(60, LONGEST),
    dies_at=st.one_of(st.just(0), st.integers(4, 40)),
    away=st.sampled_from([1, 60, NEVER]),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_nothing_is_kept_that_may_not_be_and_all_else_is(
    tmp_path_factory: pytest.TempPathFactory,
    script: dict[int, str],
    length: int,
    dies_at: int,
    away: int,
) -> None:
    archive = Archive(tmp_path_factory.mktemp("course"))
    await archive.make_key()
    course = Course(archive, Disk(dies_at))
    course.live(0)
    back_at = NEVER
    for block in range(length):
        if block in script:
            course.change(script[block])
        try:
            if block in script:
                course.tell(block * BLOCK)
            if block == back_at:
                course.live(block * BLOCK)
            course.speak(block)
            if block % 5 == 0 and course.recording is not None:
                course.recording.tick(block * BLOCK)
        except DiedError:
            course.die(block)
            back_at = block + away
        if course.recording is None:
            course.lost.add(block)
    if course.recording is not None:
        course.disk.left = 0
        course.recording.end(length * BLOCK).result()
    else:
        assert read_facts(archive.spool / CALL) is not None
        finish_left(archive.spool / CALL)
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    assert await archive.library().verify("main", CALL) == []
    makes_sense(account)
    for heard, forbidden in zip(await kept(archive, account), course.forbidden, strict=True):
        assert not heard & forbidden
        beside = {each + by for each in forbidden for by in range(-AROUND, AROUND + 1)}
        assert set(range(length)) - beside - course.lost <= heard
