"""`python -m drills.demo.up PID`, inside the lab's namespaces: sites that stay up until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.demo.placing import TestCalls
from drills.demo.run import DemoError, Stage, staged
from drills.demo.scenario import FEWEST_CALLS, plan
from drills.demo.screen import Screen
from drills.desk.desk import Place, open_desk
from drills.desk.tables import spaced, table
from drills.lab.errors import LabError
from drills.setup.say import note
from state.errors import StateError


async def up(launcher: int) -> Exit:
    """Hold the sites up until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    screen = Screen(scenario=plan(seed=1, calls=FEWEST_CALLS))
    async with screen.shown() as shown, staged(screen) as stage:
        place = Place(launcher=launcher, kind="up")
        async with open_desk(place, stage.lab, stage.store, TestCalls(stage.lab)):
            await shown.aclose()
            console().print(what_is_there(stage))
            await stop.wait()
    return Exit.OK


def what_is_there(stage: Stage) -> RenderableType:
    """Return what a person needs to look around."""
    lab = stage.lab
    sites = table("Sites", "site", "SIP", "edges", "etcd", "agents")
    for site in stage.scenario.sites:
        agents = [agent.id for agent in stage.scenario.agents if agent.site == site]
        address = lab.addresses[site]
        edges = ", ".join(lab.plan.edges(site))
        sites.add_row(site, f"{address}:5060", edges, f"{address}:2379", ", ".join(agents))
    numbers = table("Numbers", "dial", "queue", "needs")
    for queue in stage.scenario.queues:
        needs = ", ".join(f"{need.skill} {need.level}" for need in queue.needs)
        numbers.add_row(queue.did, queue.id, needs)
    return spaced((sites, numbers, Text("\n".join(_next(stage)))))


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
        return asyncio.run(up(int(sys.argv[1])))
    except (DemoError, LabError, StateError) as error:
        note(str(error))
        return Exit.FAILED


if __name__ == "__main__":
    sys.exit(main())
