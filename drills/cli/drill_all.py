"""`./everline drill all`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec

from drills.cli.drill_all_file import counted, taken_up, unended, with_head, write
from drills.cli.drill_all_table import print_tally
from drills.cli.drill_keys import see_that_it_signs, tell_head
from drills.cli.drill_labs import Ended, SideBySide, run_some
from drills.cli.drill_words import Keep, every, one
from drills.cli.errors import CommandError, Exit
from drills.course import End
from drills.desk.words import lasting
from drills.due import Due, in_one_lab, still_to_do
from drills.evidence import verdict
from drills.experiment import MOST_REPEATS, Experiment
from drills.lacks import Lacks
from drills.lever import Lever
from drills.only_one import only_one
from drills.setup.say import note
from drills.shelf import HOME, Shelf, Trial, tamper
from drills.sources import PRODUCT, digest
from drills.tally import (
    Done,
    Tally,
    Total,
    summed,
    tally,
    total_of,
)

MOST_MISSING = 3
UNTRIED: Final = Trial(0, 0, {})
MOST_MINUTES = 7 * 24 * 60.0


def all_(  # noqa: PLR0913 - the options of one command
    names: Annotated[
        tuple[str, ...], cyclopts.Parameter(help="Only these drills. Default: all.")
    ] = (),
    /,
    *,
    json: Annotated[
        Path | None, cyclopts.Parameter(help="The file for the sums, and to go on from.")
    ] = None,
    repeats: Annotated[
        int | None,
        cyclopts.Parameter(
            help="How often each. Default: as each drill says.",
            validator=cyclopts.validators.Number(gte=1, lte=MOST_REPEATS),
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        cyclopts.Parameter(
            help="Begin no drill later. Default: until all are done.",
            validator=cyclopts.validators.Number(gte=0, lte=MOST_MINUTES),
        ),
    ] = None,
    labs: Annotated[
        int,
        cyclopts.Parameter(
            help="So many labs side by side; each takes most of a core. Default 1.",
            validator=cyclopts.validators.Number(gte=1, lte=4),
        ),
    ] = 1,
    same_code: Annotated[
        bool, cyclopts.Parameter(help="Do again what was done with other code than this.")
    ] = False,
    keep: Keep = HOME,
) -> int:
    """Carry all drills out, each as often as it says; sum up.

    Hours: a run takes the better part of a minute, and how long the rest
    will take is told after each lab. Two labs side by side take a third off
    that, on two cores that have nothing else to do. Interrupted or killed, it
    goes on where it was when it is called with the same file again, days later and
    with other code too: a drill whose plan has changed is done anew, and how
    many runs are of which code is told. The file is of one folder, and one
    command at a time writes it. All drills are
    run once before any is run a second time, several in one lab where that
    is as it was after each. Those that ask for a machine with time come
    after the others, in one lab while the rest is down; where it does not
    come within a minute, all that ask for as much are put back to the end,
    given up after three tries, told with what there was, and due the next
    time. What got markedly worse since the comparable runs before it is told
    of each run, and is no failure by itself. At the end evidence is tampered
    with, byte by byte in copies, to see that each change is found.

    Exit code 0 only if every expectation held in every run so far of the
    drills that it is called for, and the evidence of each is still there as
    it was kept. The last lines say how many there are of how many, and the hash of the newest
    piece of evidence: kept elsewhere, it shows that nothing was taken away
    (drill report --last-hash HASH).

    For example:
      ./everline drill all --json drills.json
      ./everline drill all --json drills.json --minutes 5
      ./everline drill all --json drills.json --labs 2
      ./everline drill all site_killed site_frozen --repeats 3
    """
    wanted = [one(name) for name in names] or list(every().values())
    shelf = Shelf(keep.absolute())
    see_that_it_signs(shelf)
    with _alone(json):
        before = taken_up(json, shelf, wanted, digest(*PRODUCT) if same_code else "")
        many = Many(wanted, repeats, json, list(before.runs), before.total)
        ends_s = None if minutes is None else time.monotonic() + minutes * 60
        status = many.carry_out(shelf, ends_s, labs)
        if status is not None:
            tell_head(shelf)
            return status
        # Of what was interrupted there is no evidence that could be tried.
        tried = [each.run for each in many.runs if each.end is not End.INTERRUPTED]
        answer = many.tally(tamper(shelf, tried))
        write(json, with_head(answer, shelf.head()))
    print_tally(answer, tuple(many.in_vain()), tuple(many.done_since()))
    tell_head(shelf)
    held_all = 0 < answer.total.done == answer.total.held
    all_stand = not many.summed.intersection(answer.evidence.fallen)
    return Exit.OK if held_all and all_stand and answer.evidence.tamper_found else Exit.FAILED


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """Be the one command that writes a file, until the block ends. CommandError: another does."""
    # A device or a pipe keeps nothing that one could overwrite.
    if file is None or (file.exists() and not file.is_file()):
        yield
        return
    whole = file.resolve()
    if not whole.parent.is_dir():
        raise CommandError(f"{file} cannot be written: there is no such folder", Exit.USAGE)
    with ExitStack() as held:
        try:
            is_alone = held.enter_context(only_one(whole.with_name(f"{whole.name}.lock")))
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}", Exit.USAGE) from error
        if not is_alone:
            raise CommandError(f"another ./everline drill all goes on with {file}")
        yield


class Many:
    """A series over as many labs as it takes."""

    def __init__(
        self,
        wanted: Sequence[Experiment],
        repeats: int | None,
        file: Path | None,
        runs: list[Done],
        total: Total,
    ) -> None:
        self._wanted = wanted
        self._repeats = repeats
        self._file = file
        self.runs = runs
        self._total = total
        self._earlier = frozenset(each.run for each in runs)
        """What was there before: what shows nothing of it is due again."""
        self._since_s = time.monotonic()
        self._in_vain = 0
        self._lacks = Lacks()

    def carry_out(self, shelf: Shelf, ends_s: float | None, labs: int) -> int | None:
        """Drill until all is done, or the time is over; an exit status if it has to stop.

        A lab that does not come up is no reason to give up hours of others.
        """
        self._since_s = time.monotonic()
        if labs > 1:
            return self._side_by_side(shelf, ends_s, labs)
        while due := self._due():
            left_s = _left_s(ends_s)
            if (left_s is not None and left_s <= 0) or self._may_not(shelf):
                break
            batch = in_one_lab(due)
            status, found = run_some(batch, shelf, left_s)
            if self._stops(shelf, Ended(due=batch, status=status, runs=tuple(found))):
                return status
        self._tell_rest()
        return None

    def _side_by_side(self, shelf: Shelf, ends_s: float | None, labs: int) -> int | None:
        with SideBySide(shelf, labs) as side_by_side:
            while True:
                due, left_s = self._due(side_by_side.busy), _left_s(ends_s)
                is_time = left_s is None or left_s > 0
                has_room = bool(due) and side_by_side.has_room_for(due[0])
                if has_room and is_time and not self._may_not(shelf):
                    batch = in_one_lab(due, labs, side_by_side.under_way)
                    side_by_side.begin(batch, left_s)
                    continue
                if not side_by_side.busy:
                    break
                ended = side_by_side.ended()
                if self._stops(shelf, ended, side_by_side.busy):
                    return ended.status
        self._tell_rest()
        return None

    @staticmethod
    def _may_not(shelf: Shelf) -> bool:
        """Tell whether no drill may begin, and say so: a lab takes a minute to find that out."""
        is_pulled = Lever(shelf.home).is_pulled
        if is_pulled:
            where = "" if shelf.home == HOME else f" --keep {shelf.home}"
            note(
                "drill all: no drill may begin, the safety lever is pulled:"
                f" ./everline drill lever release{where}"
            )
        return is_pulled

    def _due(self, busy: Collection[tuple[str, int]] = ()) -> list[Due]:
        due = still_to_do(self._wanted, self._settled(), self._repeats)
        free = (each for each in due if (each.experiment.name, each.seed) not in busy)
        return self._lacks.in_order(free)

    def _settled(self) -> list[Done]:
        """Return the runs that are not tried again.

        Those that lacked a machine's time are, and so is what was begun and has no end; what was
        stopped before this command began, too.
        """
        return [
            each
            for each in self.runs
            if each.counts
            or not (each.lacked or each.end is End.INTERRUPTED or each.run in self._earlier)
        ]

    def _stops(self, shelf: Shelf, ended: Ended, busy: Collection[tuple[str, int]] = ()) -> bool:
        """Take what a lab has brought; tell whether to bring up no other.

        `busy`: drills and seeds that others have under way.
        """
        for run in ended.runs:
            self._take(shelf, run)
        for each in unended(shelf, self._total.since, self._wanted, self.runs):
            if (each.drill, each.seed) not in busy:
                note(f"drill all: {each.drill}, {each.seed}: INTERRUPTED: {each.why}")
                self.runs.append(each)
        self._count(is_lost=not ended.runs)
        write(self._file, self.tally())
        if ended.status not in {Exit.OK, Exit.FAILED}:
            return True
        self._in_vain = 0 if ended.runs else self._in_vain + 1
        if not ended.runs:
            name = ended.due[0].experiment.name
            note(f"drill all: {name}: no evidence; what it said is above")
        if self._in_vain >= MOST_MISSING:
            raise CommandError("no drill brings evidence any more; what they said is above")
        self._tell()
        return False

    def _tell_rest(self) -> None:
        total = self.tally().total
        if left := total.due - total.done:
            note(f"drill all: {left} runs are left; the same command goes on with them")

    @property
    def summed(self) -> frozenset[str]:
        """Return the runs that are in the total."""
        return summed(self._wanted, self.runs, self._repeats)

    def tally(self, trial: Trial = UNTRIED) -> Tally:
        """Return the sums so far."""
        total = total_of(self._wanted, self.runs, self._repeats, self._total)
        plans = {each.name: each.plan_hash for each in self._wanted}
        tried, found, fallen = trial
        return tally(self.runs, tried, found, plans, total=total, fallen=fallen)

    def in_vain(self) -> Iterator[str]:
        """Yield of each drill what is left since it was not begun, or did not end, and why."""
        known = [each for each in self.runs if each.counts]
        done_since = {each.due for each in known}
        left = Counter(
            each.experiment.name for each in still_to_do(self._wanted, known, self._repeats)
        )
        for experiment in self._wanted:
            name = experiment.name
            why = [
                each.why
                for each in self.runs
                if each.drill == name and not each.counts and each.due not in done_since
            ]
            if (told := self._lacks.told(experiment)) and left[name]:
                yield f"{name}, {left[name]} runs: {told}"
            elif why:
                yield f"{name}, {len(why)} runs: {'; '.join(dict.fromkeys(why))}"

    def done_since(self) -> Iterator[str]:
        """Yield what was stopped or interrupted, and has been done again."""
        done_since = {each.due for each in self.runs if each.counts}
        for each in self.runs:
            if each.stays and each.due in done_since:
                yield f"{each.run}: {each.why}"

    def _take(self, shelf: Shelf, run: str) -> None:
        evidence = shelf.read(run)
        new = counted(shelf, evidence)
        # Of one that was tried in vain only what became of it at last is told. What was begun
        # stays, or whoever stops what goes badly would have good figures.
        self.runs = [each for each in self.runs if each.was_begun or each.due != new.due]
        self.runs.append(new)
        self._lacks.take(evidence)
        note(f"drill all: {evidence.experiment.name}, {evidence.seed}: {verdict(evidence)}")
        for each in new.worse:
            note(f"drill all: worse than before: {each}")

    def _count(self, *, is_lost: bool) -> None:
        now_s = time.monotonic()
        self._total = msgspec.structs.replace(
            self._total,
            took_s=self._total.took_s + now_s - self._since_s,
            labs_lost=self._total.labs_lost + is_lost,
        )
        self._since_s = now_s

    def _tell(self) -> None:
        total = self.tally().total
        left = "" if total.left_s is None else f"; about {lasting(total.left_s)} left"
        broken = total.done - total.held
        note(f"drill all: {total.done} of {total.due} runs, {broken} broken{left}")


def _left_s(ends_s: float | None) -> float | None:
    return None if ends_s is None else ends_s - time.monotonic()
