"""The runner: it refuses, waits, stops at limits, and always puts back what it broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest
from msgspec.structs import replace

from drills.course import End, FaultError, Made
from drills.experiment import CALLERS_COME, Bound, Experiment, Load
from drills.facts import Facts
from drills.fault import Fault, FaultKind
from drills.runner import Runner
from state.model import SiteId
from tests.edge.virtual_time import LoopClock, in_virtual_time

A, B, C = (SiteId(name) for name in "abc")
FACTS = Facts(
    sites=(A, B, C),
    good_sites=frozenset({A, B, C}),
    members=frozenset({A, B, C}),
    agents={A: 5, B: 5, C: 5},
    erlangs=6.0,
)
EXPERIMENT = Experiment(
    name="site_killed",
    title="x",
    hypothesis="x",
    load=Load(),
    steady=(Bound(figure="sites_serving", at_least=3),),
    abort=(Bound(figure="success_share", at_least=0.5),),
    method=(Fault(kind=FaultKind.KILL_SITE, target="{leader}", ttl_s=10.0),),
    expect=(Bound(figure="failed", at_most=0),),
)


class Lab:
    """A ground and a fault agent in one: `values` decides what is measured at which time."""

    def __init__(
        self, values: Callable[[float], Mapping[str, float]], facts: Facts = FACTS
    ) -> None:
        self._values = values
        self._facts = facts
        self.made: list[Made] = []
        self.stop: str | None = None
        self.clock = LoopClock()

    async def facts(self) -> Facts:
        """Return what was given."""
        return self._facts

    async def leader(self) -> str | None:
        """Return b."""
        return "b"

    def measure(self) -> Mapping[str, float]:
        """Return what was given for this moment."""
        return self._values(self.clock.now().mono_s)

    async def good_instant(self, method: Sequence[Fault]) -> None:
        """Be quiet at once."""

    def stopped_because(self) -> str | None:
        """Return what was given."""
        return self.stop

    async def make(self, fault: Fault) -> Made:
        """Note it."""
        now_ms = self.clock.now().wall_ms
        made = Made(id=len(self.made), fault=fault, at_ms=now_ms, until_ms=now_ms + 10_000)
        self.made.append(made)
        return made

    async def heal_all(self, by: str) -> tuple[Made, ...]:
        """Undo all."""
        now_ms = self.clock.now().wall_ms
        self.made = [
            each if each.healed_ms else replace(each, healed_ms=now_ms, by=by)
            for each in self._expired()
        ]
        return tuple(self.made)

    async def standing(self) -> tuple[Made, ...]:
        """Return all, some of which have ended by themselves."""
        self.made = self._expired()
        return tuple(self.made)

    def _expired(self) -> list[Made]:
        now_ms = self.clock.now().wall_ms
        return [
            replace(each, healed_ms=each.until_ms, by="timer")
            if each.healed_ms is None and each.until_ms <= now_ms
            else each
            for each in self.made
        ]


def runner(
    lab: Lab,
    experiment: Experiment = EXPERIMENT,
    tell: Callable[[str], None] = lambda _: None,
) -> Runner:
    return Runner(experiment, ground=lab, faults=lab, clock=lab.clock, tell=tell)


GOOD = {"sites_serving": 3.0, "success_share": 1.0}


@in_virtual_time
async def test_a_drill_runs_to_its_end_and_everything_is_mended() -> None:
    lab = Lab(lambda _: GOOD)
    course = await runner(lab).run()
    assert course.end is End.COMPLETED
    assert course.method[0].target == "b"
    assert [(each.by, each.healed_ms is not None) for each in course.made] == [("timer", True)]
    assert course.back_s is not None
    assert len(course.looks) >= 12


@in_virtual_time
async def test_what_follows_until_the_last_caller_has_gone_is_looked_at_and_noted_too() -> None:
    lab = Lab(lambda _: GOOD)
    one = runner(lab)
    course = await one.run()

    async def last_caller() -> None:
        await asyncio.sleep(7.0)
        one.note("runner", "some callers never came to an end")

    after = await one.look_on(course, last_caller())
    assert len(after.looks) - len(course.looks) in {7, 8}
    assert after.notes[-1].what == "some callers never came to an end"
    assert (after.end, after.made, after.back_s) == (course.end, course.made, course.back_s)


@in_virtual_time
async def test_whoever_waits_for_the_last_caller_in_vain_hears_why() -> None:
    lab = Lab(lambda _: GOOD)
    one = runner(lab)
    course = await one.run()

    async def fails() -> None:
        await asyncio.sleep(2.0)
        raise FaultError("the callers' host is gone")

    with pytest.raises(FaultError, match="callers' host"):
        await one.look_on(course, fails())


@pytest.mark.parametrize(
    ("facts", "guard"),
    [
        (replace(FACTS, is_lever_pulled=True), "safety lever"),
        (replace(FACTS, other_drills=("x",)), "no other drill"),
        (replace(FACTS, standing_faults=("cut a-b",)), "no other drill"),
        (replace(FACTS, good_sites=frozenset({B})), "never the last good site"),
        (replace(FACTS, members=frozenset({A, B})), "quorum"),
        (replace(FACTS, agents={A: 1, B: 9, C: 1}), "headroom"),
        (replace(FACTS, is_live=True, unreplicated=dict.fromkeys((A, B, C), 0)), "two people"),
    ],
    ids=["lever", "other drill", "something broken", "last site", "quorum", "headroom", "live"],
)
@in_virtual_time
async def test_a_guard_that_forbids_it_is_named_and_nothing_is_broken(
    facts: Facts, guard: str
) -> None:
    lab = Lab(lambda _: GOOD, facts)
    course = await runner(lab).run()
    assert course.end is End.REFUSED
    assert [each.guard for each in course.verdicts if not each.allows] == [guard]
    assert guard in course.why
    assert not lab.made


@in_virtual_time
async def test_without_a_steady_state_nothing_is_broken() -> None:
    lab = Lab(lambda _: {**GOOD, "sites_serving": 2.0})
    course = await runner(lab).run()
    assert course.end is End.NOT_STEADY
    assert "sites_serving" in course.why
    assert not lab.made


@in_virtual_time
async def test_a_machine_without_time_for_it_lets_it_not_begin_and_may_be_busy_at_its_end() -> None:
    experiment = replace(EXPERIMENT, ready=(Bound(figure="runnable_per_core", at_most=4),))
    busy = Lab(lambda _: {**GOOD, "runnable_per_core": 9.0})
    course = await runner(busy, experiment).run()
    assert course.end is End.NOT_STEADY
    assert "runnable_per_core" in course.why
    assert not busy.made
    # What a killed site costs when it starts is no reason to wait for its being well again.
    lab = Lab(lambda _: {**GOOD, "runnable_per_core": 9.0 if lab.made else 1.0})
    course = await runner(lab, experiment).run()
    assert (course.end, course.back_s is not None) == (End.COMPLETED, True)


@in_virtual_time
async def test_while_callers_come_late_nothing_is_broken() -> None:
    began_s = LoopClock().now().mono_s
    lab = Lab(lambda now_s: GOOD | {"calls_late": float(now_s < began_s + 6.0)})
    one = Runner(EXPERIMENT, ground=lab, faults=lab, clock=lab.clock, needed=(CALLERS_COME,))
    course = await one.run()
    assert course.end is End.COMPLETED
    late, *_ = [look for look in course.looks if look.values["calls_late"] == 0.0]
    assert course.began_ms is not None
    assert course.began_ms > late.at_ms


@in_virtual_time
async def test_a_drill_is_not_begun_when_no_caller_would_come_after_its_fault() -> None:
    lab = Lab(lambda now_s: {**GOOD, "sites_serving": 2.0 if now_s - start_s < 6 else 3.0})
    start_s = lab.clock.now().mono_s
    course = await runner(lab).run(within_s=5.0)
    assert (course.end, lab.made) == (End.NOT_STEADY, [])
    course = await runner(lab).run(within_s=5.0)
    assert course.end is End.COMPLETED


@in_virtual_time
async def test_at_a_limit_it_stops_and_rolls_back_within_two_seconds() -> None:
    lab = Lab(lambda now_s: {**GOOD, "success_share": 0.4 if 4 < now_s - start_s < 9 else 1.0})
    start_s = lab.clock.now().mono_s
    course = await runner(lab).run()
    assert course.end is End.ABORTED
    assert "success_share" in course.why
    (made,) = course.made
    assert made.by == "runner"
    assert made.healed_ms is not None
    assert made.healed_ms - made.at_ms < 6_000
    assert course.back_s is not None


@in_virtual_time
async def test_whoever_stops_it_gets_everything_mended() -> None:
    lab = Lab(lambda _: GOOD)
    running = runner(lab)
    task = asyncio.create_task(running.run())
    await asyncio.sleep(5.0)
    lab.stop = "stopped by an operator"
    course = await task
    assert (course.end, course.why) == (End.ABORTED, "stopped by an operator")
    assert all(each.healed_ms is not None for each in course.made)


@in_virtual_time
async def test_whoever_stops_it_before_its_first_fault_has_nothing_broken() -> None:
    steady_s = 5.0
    lab = Lab(lambda now_s: {**GOOD, "sites_serving": 3.0 if now_s - start_s > steady_s else 2.0})
    start_s = lab.clock.now().mono_s
    task = asyncio.create_task(runner(lab).run())
    await asyncio.sleep(2.0)
    lab.stop = "the safety lever was pulled"
    course = await task
    assert lab.made == []
    assert (course.end, course.why) == (End.REFUSED, "the safety lever was pulled")


@in_virtual_time
async def test_where_nothing_can_be_measured_any_more_limits_are_reached() -> None:
    def values(now_s: float) -> Mapping[str, float]:
        if 4.0 < now_s - start_s < 7.5:
            raise RuntimeError("no answer")
        return GOOD

    lab = Lab(values)
    start_s = lab.clock.now().mono_s
    course = await runner(lab).run()
    assert course.end is End.ABORTED
    assert course.why == "limit reached: 0.5 <= success_share, but it is unknown"
    assert any("RuntimeError: no answer" in note.what for note in course.notes)
    assert [made.by for made in course.made] == ["runner"]
    assert course.back_s is not None


@in_virtual_time
async def test_a_drill_that_nobody_could_stop_any_more_is_stopped() -> None:
    class Deaf(Lab):
        def stopped_because(self) -> str | None:
            if self.made:
                raise PermissionError("lever")
            return None

    course = await runner(Deaf(lambda _: GOOD)).run()
    assert course.end is End.ABORTED
    assert course.why == "the limits cannot be watched: PermissionError: lever"
    assert [made.by for made in course.made] == ["runner"]


@in_virtual_time
async def test_a_drill_that_is_stopped_as_its_first_fault_is_made_has_begun_with_it() -> None:
    class Slow(Lab):
        async def make(self, fault: Fault) -> Made:
            made = await super().make(fault)
            await asyncio.sleep(3.0)
            return made

    lab = Slow(lambda now_s: {**GOOD, "success_share": 0.1 if now_s - start_s > 1.5 else 1.0})
    start_s = lab.clock.now().mono_s
    course = await runner(lab).run()
    assert course.end is End.ABORTED
    assert course.began_ms == course.made[0].at_ms


class Behind(Lab):
    """Who asks for a fault waits in a thread, which nobody stops: it is made whoever has left."""

    def __init__(self) -> None:
        super().__init__(lambda now_s: {**GOOD, "success_share": float(now_s - began_s < 4.0)})
        began_s = self.clock.now().mono_s
        self._asking: set[asyncio.Task[Made]] = set()

    async def make(self, fault: Fault) -> Made:
        """Make it five seconds late."""

        async def late() -> Made:
            await asyncio.sleep(5.0)
            return await super(Behind, self).make(fault)

        asking = asyncio.create_task(late())
        self._asking.add(asking)
        return await asyncio.shield(asking)


@in_virtual_time
async def test_a_fault_that_comes_after_the_mending_is_mended_too() -> None:
    lab = Behind()
    course = await runner(lab).run()
    await asyncio.sleep(20.0)
    assert course.end is End.ABORTED
    assert [(each.by, each.healed_ms is not None) for each in lab.made] == [("runner", True)]
    assert [each.by for each in course.made] == ["runner"]
    assert course.began_ms == course.made[0].at_ms


@in_virtual_time
async def test_a_fault_that_comes_after_the_drill_was_cancelled_is_mended_too() -> None:
    lab = Behind()
    task = asyncio.create_task(runner(lab).run())
    await asyncio.sleep(3.0)
    task.cancel()
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait((task,))
    await asyncio.sleep(20.0)
    assert [(each.by, each.healed_ms is not None) for each in lab.made] == [("runner", True)]


@in_virtual_time
async def test_cancelled_it_still_mends() -> None:
    lab = Lab(lambda _: GOOD)
    task = asyncio.create_task(runner(lab).run())
    await asyncio.sleep(5.0)
    assert lab.made
    task.cancel()
    await asyncio.wait([task])
    assert all(each.healed_ms is not None for each in lab.made)


@in_virtual_time
async def test_a_fault_that_cannot_be_made_ends_the_drill() -> None:
    class Broken(Lab):
        async def make(self, fault: Fault) -> Made:
            raise FaultError(f"nobody there to {fault.kind}")

    course = await runner(Broken(lambda _: GOOD)).run()
    assert (course.end, course.why) == (End.ABORTED, "nobody there to kill_site")


@in_virtual_time
async def test_a_steady_state_that_does_not_come_back_is_told() -> None:
    lab = Lab(lambda now_s: {**GOOD, "sites_serving": 3.0 if now_s - start_s < 5 else 2.0})
    start_s = lab.clock.now().mono_s
    course = await runner(lab).run()
    assert course.end is End.NOT_BACK
    assert course.back_s is None


@in_virtual_time
async def test_a_drill_of_load_alone_has_a_beginning_and_breaks_nothing() -> None:
    lab = Lab(lambda _: GOOD)
    course = await runner(lab, replace(EXPERIMENT, method=())).run()
    assert course.end is End.COMPLETED
    assert course.began_ms is not None
    assert not lab.made


class Mute(Lab):
    """Its fault agent does not answer when all is to be mended, and not for a while after."""

    deaf_s = 5.0
    asked_s: float | None = None

    async def heal_all(self, by: str) -> tuple[Made, ...]:
        """Say nothing."""
        self.asked_s = self.clock.now().mono_s
        raise FaultError(f"the fault agent does not answer {by}")

    async def standing(self) -> tuple[Made, ...]:
        """Say nothing for a while."""
        if self.asked_s is not None and self.clock.now().mono_s < self.asked_s + self.deaf_s:
            raise FaultError("it does not answer")
        return await super().standing()


@in_virtual_time
async def test_when_nothing_can_be_mended_the_timers_are_waited_for_and_evidence_is_kept() -> None:
    lab = Mute(lambda at_s: GOOD if at_s < 3.0 else {**GOOD, "success_share": 0.1})
    course = await runner(lab, replace(EXPERIMENT, recover_within_s=2.0)).run()
    assert course.end is End.ABORTED
    assert [each.by for each in course.made] == ["timer"]
    assert any("ends by its timers" in each.what for each in course.notes)


@in_virtual_time
async def test_the_steady_state_is_back_since_the_mending_and_not_since_that_was_heard_of() -> None:
    lab = Mute(lambda at_s: {**GOOD, "success_share": 0.1} if 3.0 <= at_s < 5.0 else GOOD)
    lab.deaf_s = 12.0
    course = await runner(lab).run()
    (made,) = course.made
    assert (made.by, made.healed_ms) == ("timer", made.until_ms)
    assert course.healed_ms is not None
    assert course.back_s is not None
    steady = [each.at_ms for each in course.notes if each.what == "the steady state is there"]
    assert abs(course.back_s - (steady[-1] - course.healed_ms) / 1000) < 0.01
    assert course.back_s > 5.0


@in_virtual_time
async def test_an_agent_that_never_answers_again_ends_the_drill_all_the_same() -> None:
    lab = Mute(lambda at_s: GOOD if at_s < 3.0 else {**GOOD, "success_share": 0.1})
    lab.deaf_s = 1e9
    told: list[str] = []
    course = await runner(lab, replace(EXPERIMENT, recover_within_s=2.0), told.append).run()
    assert course.end is End.ABORTED
    # What was made is known, and that it was undone is not.
    assert [(each.fault.target, each.healed_ms) for each in course.made] == [("b", None)]
    assert course.healed_ms is None
    assert "not all is known to be mended" in told
    assert "all is mended" not in told


class Stuck(Lab):
    """What cannot be undone at first: whoever made it tries again, and comes to that, or never."""

    until_s = 0.0

    async def heal_all(self, by: str) -> tuple[Made, ...]:
        """Undo what can be."""
        self.made = self._stand(await super().heal_all(by), by)
        return tuple(self.made)

    async def standing(self) -> tuple[Made, ...]:
        """Return all; what could be undone by now is."""
        self.made = self._stand(await super().standing(), "timer")
        return tuple(self.made)

    def _stand(self, made: Sequence[Made], by: str) -> list[Made]:
        if self.clock.now().mono_s >= self.until_s:
            return list(made)
        why = f"{by}, but: umount: target is busy"
        return [
            replace(each, healed_ms=None, by=why) if each.fault.target == "c" else each
            for each in made
        ]


TWO = replace(
    EXPERIMENT,
    method=(
        Fault(kind=FaultKind.DRAIN, target="b", ttl_s=10.0),
        Fault(kind=FaultKind.DRAIN, target="c", ttl_s=10.0),
    ),
)


@in_virtual_time
async def test_what_could_not_be_undone_is_not_said_to_be_over_nor_are_the_others_the_end() -> None:
    lab = Stuck(lambda _: GOOD)
    lab.until_s = 1e9
    told: list[str] = []
    course = await runner(lab, TWO, told.append).run()
    assert "not all is known to be mended" in told
    assert course.healed_ms is None, "that b was mended is not when the last was"
    assert [each.healed_ms is None for each in course.made] == [False, True]
    assert "drain c (for 10 s) is not known to be over: timer, but: umount: target is busy" in [
        each.what for each in course.notes
    ]


@in_virtual_time
async def test_what_is_undone_at_a_later_try_is_waited_for() -> None:
    lab = Stuck(lambda at_s: GOOD if at_s < 5.0 else {**GOOD, "success_share": 0.1})
    lab.until_s = 18.0
    told: list[str] = []
    course = await runner(lab, replace(TWO, recover_within_s=2.0), told.append).run()
    assert "all is mended" in told
    assert course.healed_ms is not None
    assert [each.healed_ms is None for each in course.made] == [False, False]


@in_virtual_time
async def test_a_fault_of_which_a_new_agent_knows_nothing_is_not_said_to_be_mended() -> None:
    lab = Lab(lambda _: GOOD)

    async def none() -> tuple[Made, ...]:
        return ()

    told: list[str] = []
    one = runner(lab, replace(EXPERIMENT, recover_within_s=2.0), told.append)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(5.0)
    assert lab.made
    lab.heal_all = lambda _: none()  # type: ignore[method-assign, assignment]
    lab.standing = none  # type: ignore[method-assign]
    course = await running
    assert [(each.fault.target, each.healed_ms) for each in course.made] == [("b", None)]
    assert "not all is known to be mended" in told
    assert "all is mended" not in told
