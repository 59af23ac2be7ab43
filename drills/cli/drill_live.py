"""Drills on sites that are up: `./everline drill run --live`, `check --live`, `ask`, `approve`."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import aiohttp
import cyclopts
from msgspec import Struct

from drills import permits
from drills.beginning import Beginning
from drills.cli.drill_report import comparable, tell
from drills.cli.drill_words import Name, TheLab, one
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.course import Course, FaultError
from drills.ctl import problems
from drills.ctl.client import ProblemError
from drills.desk.answers import Status
from drills.desk.asks import StatusAsk
from drills.desk.client import OneLab
from drills.desk.errors import DeskError, SeveralLabsError
from drills.drill import live as live_drill
from drills.drill import onlooking
from drills.drill.desk_faults import DeskFaults
from drills.drill.live_evidence import evidence_of
from drills.evidence import verdict
from drills.experiment import Experiment
from drills.facts import Facts
from drills.fault import Fault, aimed
from drills.guards import APPROVAL, Verdict, decide
from drills.lever import HOME, Lever
from drills.live_rules import limits, only_in_a_lab_because
from drills.page import page
from drills.permit import Permit
from drills.permits import Asked
from drills.schedule.book import Book
from drills.schedule.errors import CalendarError
from drills.setup.say import note
from drills.shelf import NotKeptError, Shelf
from state.clock import SystemClock
from state.model import SiteId

T = TypeVar("T")


class Which(Struct, frozen=True, kw_only=True):
    """Which sites that are up are drilled, and whom of their callers that may touch."""

    lab: int | None = None
    """By its number; None: the only ones that are up."""
    is_synthetic_only: bool = False
    """No real caller is to be touched."""

    def words(self) -> str:
        """Return the same as options of the command."""
        lab = "" if self.lab is None else f" --lab {self.lab}"
        return f"--live{lab}" + " --synthetic-only" * self.is_synthetic_only


ANY: Final = Which()


def run_live(
    experiment: Experiment,
    shelf: Shelf,
    *,
    really: bool,
    approval: str = "",
    which: Which = ANY,
) -> int:
    """Drill the sites that are up, or say what that would be. `approval`: a request's id.

    Evidence goes to the shelf. What forbids and stops a drill of theirs lies in one place, wherever
    that is: the lever, the calendar, requests to abort, and that one runs.
    """
    check_is_for_live(experiment)
    hand = Lever(HOME)
    with hand.running() as is_alone:
        ground = _ground(experiment, hand, OneLab(which.lab), is_alone=is_alone)
        ground.is_synthetic_only = which.is_synthetic_only
        method, verdicts = ask_guards(experiment, ground)
        others = [each for each in verdicts if each.guard != APPROVAL]
        if not really or not all(each.allows for each in others):
            return _dry_run(experiment, method, verdicts, which)
        ground.permit = waited(_permit(experiment, _urls(ground), approval))
        note(f"drill: {ground.permit.told()}")
        beginning = Beginning(shelf, experiment, 0, ground.clock)
        begin = partial(beginning.note, (ground.permit,))
        try:
            course = asyncio.run(_carry_out(experiment, ground, begin))
        except (FaultError, NotKeptError) as error:
            raise CommandError(str(error)) from error
        with shelf.adding(experiment.name) as (run, previous):
            evidence = evidence_of(run, previous, experiment, ground, course)
            evidence = beginning.ends_in(evidence)
            try:
                shelf.put(evidence, {}, page(evidence, comparable(shelf, evidence)))
            except NotKeptError as error:
                note(f"drill: {experiment.name}: {verdict(evidence)}, but of that is no evidence")
                raise CommandError(str(error)) from error
    tell(shelf, run)
    return Exit.OK if evidence.held else Exit.FAILED


async def _carry_out(
    experiment: Experiment,
    ground: live_drill.LiveGround,
    begin: Callable[[], Awaitable[None]],
) -> Course:
    """Carry it out, while the control planes of all sites look on."""

    def say(text: str) -> None:
        note(f"drill: {text}")

    async with onlooking.signed_in(_apis(ground)) as onlookers:
        ground.onlookers = onlookers
        return await live_drill.carry_out(experiment, ground, say, begin)


def check_live(experiment: Experiment, shelf: Shelf, which: Which = ANY) -> int:
    """Say what every guard decides now; break nothing."""
    return run_live(experiment, shelf, really=False, which=which)


def forbidden_because(experiment: Experiment) -> str | None:
    """Return why a drill may not begin on the sites that are up; None: it may. CommandError."""
    if why := only_in_a_lab_because(experiment):
        return why
    hand = Lever(HOME)
    with hand.running() as is_alone:
        ground = _ground(experiment, hand, OneLab(), is_alone=is_alone)
        _, verdicts = ask_guards(experiment, ground)
    return "; ".join(f"{each.guard}: {each.why}" for each in verdicts if not each.allows) or None


def check_is_for_live(experiment: Experiment) -> None:
    """Refuse a drill that is for a lab alone, before anybody is asked. CommandError says why."""
    if why := only_in_a_lab_because(experiment):
        raise CommandError(why)


def ask_guards(
    experiment: Experiment, ground: live_drill.LiveGround
) -> tuple[tuple[Fault, ...], tuple[Verdict, ...]]:
    """Return the method as it is aimed now, and every guard's decision. CommandError."""
    try:
        facts, leader = asyncio.run(_facts(ground))
    except FaultError as error:
        raise CommandError(str(error)) from error
    if leader is None:
        raise CommandError("no member of etcd leads: nothing may be broken now")
    sites = tuple(map(str, facts.sites))
    method = tuple(aimed(each, leader, sites, facts.primary) for each in experiment.method)
    verdicts = decide(experiment, method, facts)
    approved = waited(_approval(experiment, _urls(ground)))
    if approved is not None:
        why = f"{approved.id}, approved by {approved.decided_by}, good once until {approved.until}"
        granted = Verdict(guard=APPROVAL, allows=True, why=why)
        verdicts = tuple(granted if each.guard == APPROVAL else each for each in verdicts)
    return method, verdicts


async def _facts(ground: live_drill.LiveGround) -> tuple[Facts, str | None]:
    return await ground.facts(), await ground.leader()


def _ground(
    experiment: Experiment, hand: Lever, lab: OneLab, *, is_alone: bool
) -> live_drill.LiveGround:
    def blackouts() -> tuple[str, ...]:
        return blackouts_now(experiment, Book(hand.home), is_live=True)

    return live_drill.LiveGround(
        lab,
        hand,
        is_alone,
        SystemClock(),
        DeskFaults(lab),
        blackouts=blackouts,
    )


def blackouts_now(experiment: Experiment, book: Book, *, is_live: bool) -> tuple[str, ...]:
    """Return into which blackouts a drill would fall that began now. CommandError."""
    now = dt.datetime.fromtimestamp(SystemClock().now().wall_ms / 1000, dt.UTC)
    try:
        return book.read().forbidding(experiment, now, is_live=is_live)
    except CalendarError as error:
        raise CommandError(str(error)) from error


def _urls(ground: live_drill.LiveGround) -> tuple[str, ...]:
    return tuple(_apis(ground).values())


def _apis(ground: live_drill.LiveGround) -> dict[SiteId, str]:
    sites = () if ground.status is None else ground.status.sites
    return {each.site: each.api for each in sites if each.api}


async def _permit(experiment: Experiment, urls: Sequence[str], approval: str) -> Permit:
    """Use an approval up. CommandError when there is none, with the way to one."""
    async with permits.signed_in(urls) as api:
        request = approval
        if not request:
            found = await permits.approved(api, experiment)
            if found is None:
                raise CommandError(
                    f"nobody has approved this plan of {experiment.name}"
                    f" ({experiment.plan_hash[:12]}): ask for it by"
                    f" ./everline drill ask {experiment.name} --why WHY; somebody of another team"
                    " then says ./everline drill approve REQUEST --really"
                )
            request = found.id
        return await permits.use(api, experiment, request)


async def _approval(experiment: Experiment, urls: Sequence[str]) -> Asked | None:
    """Return what was approved and may still be used; None also where nobody is signed in."""
    try:
        async with permits.signed_in(urls) as api:
            return await permits.approved(api, experiment)
    except (CommandError, ProblemError):
        return None


def waited(work: Coroutine[Any, Any, T]) -> T:
    """Return what a question to a control plane brings. CommandError in words for people."""
    try:
        return asyncio.run(work)
    except ProblemError as error:
        raise CommandError(problems.words(error.problem)) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        said = str(error) or type(error).__name__
        raise CommandError(f"the control plane cannot be reached: {said}") from error


def _dry_run(
    experiment: Experiment,
    method: Sequence[Fault],
    verdicts: Sequence[Verdict],
    which: Which,
) -> int:
    say = console().print
    say(f"Dry run of {experiment.name} (plan {experiment.plan_hash[:12]}): nothing is broken.")
    for fault in method:
        say(f"would do   at {fault.at_s:g} s: {fault.told()}", highlight=False)
    stops_at = limits(is_synthetic_only=which.is_synthetic_only)
    for bound in (*experiment.abort, *stops_at):
        say(f"would stop unless {bound.told()}", highlight=False)
    for each in verdicts:
        word = "allows it " if each.allows else "FORBIDS it"
        style = "" if each.allows else "red"
        say(f"{word} {each.guard}: {each.why}", style=style, highlight=False)
    allowed = all(each.allows for each in verdicts)
    say(
        f"To break them: ./everline drill run {experiment.name} {which.words()} --really"
        if allowed
        else "It may not be run now."
    )
    return Exit.OK if allowed else Exit.FAILED


# ---- two people ----------------------------------------------------------------------------------


def ask(
    name: Name,
    /,
    *,
    why: Annotated[str, cyclopts.Parameter(help="What it is for. The second person reads it.")],
    ticket: Annotated[str, cyclopts.Parameter(help="Of the change, if there is one.")] = "",
    lab: TheLab = None,
) -> int:
    """Ask a second person to approve a drill on the sites that are up, once.

    Asks the control plane at which you are signed in (./everline ctl
    sign-in). Somebody of another team, with the right to approve, then has
    a day to say yes to exactly this plan, and you a day to begin it. A drill
    that is for a lab alone is refused at once.

    For example:
      ./everline drill ask site_killed --why "quarterly drill"
    """
    experiment = one(name)
    check_is_for_live(experiment)
    asked = waited(_ask(experiment, why, ticket, lab))
    say = console().print
    say(f"{asked.id}: {experiment.title} (plan {experiment.plan_hash[:12]})", highlight=False)
    say("Now somebody of another team, signed in as themselves:", highlight=False)
    say(f"  ./everline drill approve {asked.id}", highlight=False)
    return Exit.OK


async def _ask(experiment: Experiment, why: str, ticket: str, lab: int | None) -> Asked:
    async with permits.signed_in(_up(lab)) as api:
        return await permits.ask(api, experiment, why, ticket)


def approve(
    request: Annotated[str, cyclopts.Parameter(help="What `drill ask` printed.")],
    /,
    *,
    really: Annotated[bool, cyclopts.Parameter(help="Say yes, and do not only look.")] = False,
    refuse: Annotated[bool, cyclopts.Parameter(help="Say no.")] = False,
    lab: TheLab = None,
) -> int:
    """Look at a drill that somebody has asked for, and say yes or no to it.

    Shows who asks, why, and the plan, which has to be the one that is here:
    its hash is compared.

    For example:
      ./everline drill approve apq_0123456789abcdef
      ./everline drill approve apq_0123456789abcdef --really
    """
    if really and refuse:
        raise CommandError("say --really or --refuse, not both", Exit.USAGE)
    word = "approve" if really else "refuse" if refuse else ""
    asked = waited(_approve(request, word, lab))
    say = console().print
    say(f"{asked.id} is {asked.state}, until {asked.until}", highlight=False)
    if not word:
        say(f"To say yes: ./everline drill approve {asked.id} --really", highlight=False)
    return Exit.OK


async def _approve(request: str, word: str, lab: int | None) -> Asked:
    async with permits.signed_in(_up(lab)) as api:
        asked = await permits.find(api, request)
        experiment = one(asked.drill)
        _tell_asked(asked, experiment)
        plan = asked.things[asked.drill]
        if plan != experiment.plan_hash and word != "refuse":
            raise CommandError(
                f"the plan of {asked.drill} that is here is {experiment.plan_hash[:12]}, and not"
                f" {plan[:12]}: look at the same version, or --refuse"
            )
        return await permits.say(api, asked, word) if word else asked


def _tell_asked(asked: Asked, experiment: Experiment) -> None:
    say = console().print
    say(f"{asked.by} asks for: {experiment.title}", style="bold", highlight=False)
    say(f"why: {asked.why}" + (f" ({asked.ticket})" if asked.ticket else ""), highlight=False)
    say(experiment.hypothesis.strip(), highlight=False)
    for fault in experiment.method:
        say(f"would do at {fault.at_s:g} s: {fault.told()}", highlight=False)


def _up(lab: int | None) -> tuple[str, ...]:
    """Return the APIs of the sites that are up; none: wherever one is signed in.

    Where several labs are up one has to be named: what is asked for at one is for no other.
    """
    try:
        with OneLab(lab).connected() as line:
            return tuple(row.api for row in line.ask(StatusAsk(), Status).sites if row.api)
    except SeveralLabsError:
        raise
    except DeskError:
        if lab is not None:
            raise
        return ()
