"""`python -m drills.demo.up PID`, inside the lab's namespaces: sites that stay up until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Mapping

import msgspec
from rich.console import RenderableType
from rich.text import Text

from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.demo.loading import Loads
from drills.demo.placing import TestCalls
from drills.demo.run import DemoError, Stage, staged
from drills.demo.scenario import FEWEST_CALLS, plan
from drills.demo.screen import Screen
from drills.desk import doors
from drills.desk.desk import Place
from drills.desk.path import ca_path, password_path
from drills.desk.reception import open_desk
from drills.desk.tables import spaced, table
from drills.faults import FaultAgent
from drills.lab.errors import LabError
from drills.lab.lab import PROJECT
from drills.lever import HOME, Lever
from drills.setup.say import note
from state.errors import StateError
from state.model import SiteId


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `./everline up` was asked for; it comes as JSON, the one argument."""

    launcher: int
    """Its PID, which others may ask from outside."""
    doors: dict[str, int] = {}
    """Descriptors of the doors to the sites' APIs."""
    database: str = ""


async def up(options: Options) -> Exit:
    """Hold the sites up until told to stop; told while they come up, cancel that."""
    stop = asyncio.Event()
    if (own := asyncio.current_task()) is not None:
        _when_told(own.cancel)
    screen = Screen(scenario=plan(seed=1, calls=FEWEST_CALLS))
    async with (
        screen.shown() as shown,
        staged(screen, options.database) as stage,
        doors.inside(stage.lab, options.doors, options.launcher) as apis,
    ):
        place = Place(launcher=options.launcher, kind="up", apis=apis)
        faults = FaultAgent(stage.lab, stage.clock, Lever(HOME))
        obeying = asyncio.create_task(faults.obey_lever())
        try:
            calls, loads = TestCalls(stage.lab), Loads(stage.lab, options.launcher)
            async with open_desk(place, stage.lab, stage.store, calls, faults, loads):
                await shown.aclose()
                console().print(what_is_there(stage, apis, options.launcher))
                _when_told(stop.set)
                await stop.wait()
        finally:
            obeying.cancel()
    return Exit.OK


def _when_told(then: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, then)


def what_is_there(stage: Stage, apis: Mapping[SiteId, str], launcher: int) -> RenderableType:
    """Return what a person needs to look around."""
    lab = stage.lab
    sites = table("Sites", "site", "SIP", "edges", "API", "agents")
    for site in stage.scenario.sites:
        agents = [agent.id for agent in stage.scenario.agents if agent.site == site]
        address = lab.addresses[site]
        edges = ", ".join(lab.plan.edges(site))
        sites.add_row(site, f"{address}:5060", edges, apis.get(site, "-"), ", ".join(agents))
    numbers = table("Numbers", "dial", "queue", "needs")
    for queue in stage.scenario.queues:
        needs = ", ".join(f"{need.skill} {need.level}" for need in queue.needs)
        numbers.add_row(queue.did, queue.id, needs)
    return spaced((sites, numbers, Text("\n".join((*_api(apis, launcher), *_next(stage))))))


def _api(apis: Mapping[SiteId, str], launcher: int) -> Iterator[str]:
    if not apis:
        return
    password = password_path(launcher).relative_to(PROJECT)
    ca, first = ca_path(launcher).relative_to(PROJECT), min(apis.values())
    yield f"The API takes tenant main, login admin, and the password in {password}."
    yield f"Who it is, the lab's authority says, in {ca}:"
    yield f"  ./everline ctl sign-in --url {first} --ca {ca} --login admin \\"
    yield f"    --password-file {password}"
    yield f"  curl --cacert {ca} {first}/openapi.json"
    yield ""


def _next(stage: Stage) -> Iterator[str]:
    first, *_, last = stage.scenario.queues
    someone = stage.scenario.agents[0].id
    commands = (
        (f"call {first.did}", "place a call, see each step"),
        (f"call {last.did} --first c", "the same, coming in at site c"),
        ("status --watch", "sites, queues and agents, as they change"),
        (f"agent pause {someone}", f"let {someone} take no calls"),
        (f"agent ready {someone}", "and let them take calls again"),
        ("calls", "the calls so far"),
        ("explain", "why the last call got its agent"),
    )
    width = max(len(command) for command, _ in commands)
    yield "In another terminal:"
    for command, what in commands:
        yield f"  ./everline {command:<{width}}  {what}"
    yield "Ctrl-C here takes everything down."


def main() -> int:
    """Run until stopped; errors are one line."""
    try:
        return asyncio.run(up(msgspec.json.decode(sys.argv[1], type=Options)))
    except (DemoError, LabError, StateError) as error:
        note(str(error))
        return Exit.FAILED
    except asyncio.CancelledError:
        note("interrupted")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
