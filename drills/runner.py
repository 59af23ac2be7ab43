"""Carries an experiment out: guards, steady state, method, limits every second, always back.

Decides nothing about what a figure means, and makes no fault itself: faults are made by whoever is
at the target, and end by their time to live whatever becomes of this.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

from msgspec.structs import replace

from drills.course import Course, End, FaultError, Look, Made, Note
from drills.experiment import Bound, Experiment
from drills.fault import Fault, aimed
from drills.guards import Verdict, decide
from drills.sides import Faults, Ground
from state.clock import Clock

LOOK_EVERY_S = 1.0
STEADY_WITHIN_S = 15.0
TIMERS_LATE_S = 5.0
STEADY_FOR = 2
"""So many looks in a row."""


class Runner:
    """One drill."""

    def __init__(  # noqa: PLR0913 - the two sides, and who is told
        self,
        experiment: Experiment,
        *,
        ground: Ground,
        faults: Faults,
        clock: Clock,
        tell: Callable[[str], None] = lambda _: None,
        on_first_fault: Callable[[Fault], Awaitable[None]] | None = None,
        needed: Sequence[Bound] | None = None,
        limits: Sequence[Bound] = (),
        before_first: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`needed`: what has to be there beside the steady state; None: what it is ready with.

        `limits`: at which it stops beside its own. `before_first`: what is done before the first
        fault is made; where that goes wrong, none is.
        """
        self._experiment = experiment
        self._ground = ground
        self._faults = faults
        self._clock = clock
        self._tell = tell
        self._on_first_fault = on_first_fault
        self._before_first = before_first
        self._needed = tuple(experiment.ready if needed is None else needed)
        self._limits = (*experiment.abort, *limits)
        self._notes: list[Note] = []
        self._looks: list[Look] = []
        self._method: tuple[Fault, ...] = ()
        self._verdicts: tuple[Verdict, ...] = ()
        self._made: dict[int, Made] = {}
        """What was ever heard of as made, each as it was told last."""
        self._began_ms: int | None = None
        self._abort = asyncio.Event()
        self._abort_why = ""
        self._asking: asyncio.Future[Made] | None = None
        """What was asked for last: a fault that is to be made."""

    def abort(self, why: str) -> None:
        """Stop, and roll back."""
        self._abort_why = self._abort_why or why
        self._abort.set()

    async def run(self, *, within_s: float = STEADY_WITHIN_S) -> Course:
        """Carry it out; whatever happens, all faults are undone at the end.

        Not begun where the steady state does not come within `within_s`.
        """
        if not await self._may_begin():
            return self._course(End.REFUSED, _refusal(self._verdicts), (), None, None)
        experiment = self._experiment
        needed = (*experiment.steady, *self._needed)
        missing = await self._until_steady(within_s, needed, may_stop=True)
        if stopped := self._ground.stopped_because():
            self.note("runner", f"not begun: {stopped}")
            return self._course(End.REFUSED, stopped, (), None, None)
        if missing:
            return self._course(End.NOT_STEADY, missing, (), None, None)
        if self._before_first is not None:
            await self._before_first()
        end, why = End.COMPLETED, "the method was carried out"
        try:
            await self._carry_out()
            if self._abort.is_set():
                end, why = End.ABORTED, self._abort_why
        except FaultError as error:
            end, why = End.ABORTED, str(error)
        finally:
            made = await self._roll_back()
        if self._began_ms is None and made:
            # It was stopped before it had heard that its first fault was made.
            self._began_ms = min(each.at_ms for each in made)
        ends_ms = [each.healed_ms for each in made]
        # Of one that may still stand nobody knows when it was the last.
        known_ms = [each for each in ends_ms if each is not None]
        healed_ms = max(known_ms) if known_ms and len(known_ms) == len(ends_ms) else None
        heard = self._clock.now()
        # A fault may have been over for long when whoever undid it could tell.
        since_s = 0.0 if healed_ms is None else max(0.0, (heard.wall_ms - healed_ms) / 1000)
        missing = await self._until_steady(experiment.recover_within_s, experiment.steady)
        back_s = None if missing else since_s + self._clock.now().mono_s - heard.mono_s
        if missing and end is End.COMPLETED:
            end, why = End.NOT_BACK, missing
        return self._course(end, why, made, healed_ms, back_s)

    async def look_on(self, course: Course, until: Awaitable[object]) -> Course:
        """Go on measuring until something is over; return how it went, with what came then.

        The steady state is back long before the last caller has gone, and whoever reads the
        evidence wants to see that it stayed.
        """
        over = asyncio.ensure_future(until)
        try:
            while not over.done():
                self._look()
                await asyncio.wait((over,), timeout=LOOK_EVERY_S)
            over.result()
        finally:
            over.cancel()
        return replace(course, looks=tuple(self._looks), notes=self._journal())

    def note(self, who: str, what: str) -> None:
        """Add a line to the journal."""
        self._notes.append(Note(at_ms=self._clock.now().wall_ms, who=who, what=what))
        self._tell(what)

    # -- before

    async def _may_begin(self) -> bool:
        leader = await self._ground.leader()
        facts = await self._ground.facts()
        if leader is None:
            self._verdicts = (Verdict(guard="quorum", allows=False, why="no member of etcd leads"),)
            return False
        sites = tuple(map(str, facts.sites))
        self._method = tuple(
            aimed(fault, leader, sites, facts.primary) for fault in self._experiment.method
        )
        self._verdicts = decide(self._experiment, self._method, facts)
        for verdict in self._verdicts:
            word = "allows it" if verdict.allows else "FORBIDS it"
            self.note("guard", f"{verdict.guard} {word}: {verdict.why}")
        return all(verdict.allows for verdict in self._verdicts)

    async def _until_steady(
        self, within_s: float, bounds: Iterable[Bound], *, may_stop: bool = False
    ) -> str:
        """Wait for the steady state; return what is missing when it does not come.

        `may_stop`: no longer than until somebody wants the drill to stop.
        """
        deadline_s = self._clock.now().mono_s + within_s
        in_a_row = 0
        while True:
            missing = broken(bounds, self._look())
            in_a_row = 0 if missing else in_a_row + 1
            if in_a_row >= STEADY_FOR:
                self.note("runner", "the steady state is there")
                return ""
            if may_stop and self._ground.stopped_because():
                return "stopped"
            if self._clock.now().mono_s >= deadline_s:
                why = f"no steady state within {within_s:g} s: {missing or 'too short'}"
                self.note("runner", why)
                return why
            await asyncio.sleep(LOOK_EVERY_S)

    # -- meanwhile

    async def _carry_out(self) -> None:
        """Make the faults, and wait until the last has ended by itself, or a limit is reached."""
        making = asyncio.create_task(self._make_all())
        watching = asyncio.create_task(self._watch_limits())
        stopping = asyncio.create_task(self._abort.wait())
        try:
            await asyncio.wait((making, stopping), return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                making.result()
        finally:
            for task in (making, watching, stopping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, FaultError):
                    await task

    async def _make_all(self) -> None:
        await self._ground.good_instant(self._method)
        began_s = self._clock.now().mono_s
        if not self._method:
            # The load alone is what happens.
            self._began_ms = self._clock.now().wall_ms
        for fault in sorted(self._method, key=lambda each: each.at_s):
            await asyncio.sleep(max(0.0, began_s + fault.at_s - self._clock.now().mono_s))
            made = await self._ask_for(fault)
            self._heard((made,))
            first = self._began_ms is None
            self._began_ms = made.at_ms if self._began_ms is None else self._began_ms
            self._notes.append(Note(at_ms=made.at_ms, who="fault", what=fault.told()))
            self._tell(fault.told())
            if first and self._on_first_fault is not None:
                await self._on_first_fault(fault)
        ends_s = began_s + self._experiment.lasts_s
        await asyncio.sleep(max(0.0, ends_s - self._clock.now().mono_s))
        # The timers at the target are what ends them; give them the moment that they need.
        for _ in range(20):
            if _are_over(self._heard(await self._faults.standing())):
                return
            await asyncio.sleep(LOOK_EVERY_S / 2)

    async def _ask_for(self, fault: Fault) -> Made:
        """Have a fault made. Who does not wait any more has not taken the word back."""
        self._asking = asyncio.ensure_future(self._faults.make(fault))
        return await asyncio.shield(self._asking)

    async def _watch_limits(self) -> None:
        try:
            await self._look_until_passed()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody watches any more
            why = f"the limits cannot be watched: {type(error).__name__}: {error}"
            self.note("runner", why)
            self.abort(why)

    async def _look_until_passed(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            passed = broken(self._limits, self._look())
            why = f"limit reached: {passed}" if passed else self._ground.stopped_because()
            if why:
                self.note("runner", why)
                self.abort(why)
                return

    def _look(self) -> Mapping[str, float]:
        """Measure; what cannot be is within no bound (`Bound.holds`)."""
        try:
            values = self._ground.measure()
        except Exception as error:  # noqa: BLE001 - what is broken has to be mended all the same
            values = {}
            self.note("runner", f"nothing can be measured: {type(error).__name__}: {error}")
        self._looks.append(Look(at_ms=self._clock.now().wall_ms, values=dict(values)))
        return values

    # -- after

    async def _roll_back(self) -> tuple[Made, ...]:
        are_over = await _to_its_end(self._mend())
        made = self._heard(()) if are_over else await self._until_over()
        for each in made:
            if each.healed_ms is not None and each.fault.ttl_s:
                what = f"{each.fault.told()} is over, by {each.by}"
                self._notes.append(Note(at_ms=each.healed_ms, who="fault", what=what))
            elif each.healed_ms is None:
                why = f": {each.by}" if each.by else ""
                self.note("runner", f"{each.fault.told()} is not known to be over{why}")
        self._tell("all is mended" if _are_over(made) else "not all is known to be mended")
        return made

    async def _mend(self) -> bool:
        """Have all undone; tell whether it is, by whoever made it."""
        are_over = await self._heal_all()
        asking = self._asking
        if asking is not None and not asking.done():
            # It was on its way, and may have come there after the word that all is to be mended.
            await asyncio.wait((asking,))
            if not asking.cancelled() and asking.exception() is None:
                self._heard((asking.result(),))
            are_over = await self._heal_all()
        return are_over

    async def _heal_all(self) -> bool:
        try:
            told = await self._faults.heal_all("runner")
        except FaultError as error:
            self.note("runner", f"what is broken ends by its timers: {error}")
            return False
        self._heard(told)
        if not _are_over(told):
            self.note("runner", "not all could be undone: its timers try again")
        return _are_over(told)

    def _heard(self, made: Iterable[Made]) -> tuple[Made, ...]:
        """Return all that was ever made, with this news.

        Whoever is asked may have been started anew and know of nothing: that undoes no fault.
        """
        self._made |= {each.id: each for each in made}
        return tuple(self._made.values())

    async def _until_over(self) -> tuple[Made, ...]:
        """Wait until each fault has ended by its own timer, or a little longer; return the news."""
        made = self._heard(())
        for _ in range(round((self._experiment.lasts_s + TIMERS_LATE_S) / LOOK_EVERY_S)):
            with contextlib.suppress(FaultError):
                made = self._heard(await self._faults.standing())
                if _are_over(made):
                    break
            await asyncio.sleep(LOOK_EVERY_S)
        return made

    def _course(
        self,
        end: End,
        why: str,
        made: tuple[Made, ...],
        healed_ms: int | None,
        back_s: float | None,
    ) -> Course:
        return Course(
            end=end,
            why=why,
            method=self._method,
            verdicts=self._verdicts,
            notes=self._journal(),
            looks=tuple(self._looks),
            made=made,
            began_ms=self._began_ms,
            healed_ms=healed_ms,
            back_s=back_s,
        )

    def _journal(self) -> tuple[Note, ...]:
        return tuple(sorted(self._notes, key=lambda each: each.at_ms))


async def _to_its_end(work: Coroutine[None, None, bool]) -> bool:
    """Wait for what has to be done whoever wants to stop; they are heard afterwards."""
    doing = asyncio.create_task(work)
    stopped: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait((doing,))
        except asyncio.CancelledError as error:
            stopped = error
    if stopped is not None:
        raise stopped
    return doing.result()


def _are_over(made: Iterable[Made]) -> bool:
    return all(each.healed_ms is not None for each in made)


def broken(bounds: Iterable[Bound], values: Mapping[str, float]) -> str:
    """Return which bounds do not hold, in a line; empty: all do."""
    return "; ".join(
        f"{bound.told()}, but it is {bound.missed_by(values.get(bound.figure))}"
        for bound in bounds
        if not bound.holds(values.get(bound.figure))
    )


def _refusal(verdicts: Iterable[Verdict]) -> str:
    return "; ".join(f"{each.guard}: {each.why}" for each in verdicts if not each.allows)
