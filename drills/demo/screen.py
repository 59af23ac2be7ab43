"""Shows the demo while it runs: a live wallboard on a terminal, a quiet log elsewhere.

All on standard error, since the tables at the end belong on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from drills.demo.scenario import Scenario
from drills.demo.wall import Wall
from drills.setup.say import is_live, note
from state.model import SiteId, TicketState

LIVE_EVERY_S = 0.25
QUIET_EVERY_S = 10.0


@dataclass(slots=True, kw_only=True)
class Screen:
    """What is shown. The shell writes the fields, the screen looks at them now and then."""

    scenario: Scenario
    wall: Wall = field(default_factory=Wall)
    phase: str = "begins"
    began_s: float | None = None
    """When the first call was due, on the event loop's clock."""
    placed: int = 0
    over: int = 0
    """Calls whose callers have reported the end."""
    killed: SiteId | None = None

    def say(self, phase: str) -> None:
        """Name what is going on now."""
        self.phase = phase
        if not is_live():
            note(f"demo: {phase}")

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[contextlib.AsyncExitStack]:
        """Show it until the block ends, or until what it gives is closed."""
        async with contextlib.AsyncExitStack() as shown:
            task = asyncio.create_task(self._live() if is_live() else self._quiet())
            shown.push_async_callback(_end, task)
            yield shown

    async def _live(self) -> None:
        with Live(
            self.render(), console=Console(stderr=True), auto_refresh=False, transient=True
        ) as live:
            while True:
                live.update(self.render(), refresh=True)
                await asyncio.sleep(LIVE_EVERY_S)

    async def _quiet(self) -> None:
        while True:
            await asyncio.sleep(QUIET_EVERY_S)
            if self.began_s is not None:
                note(f"demo: {self.line()}")

    def line(self) -> str:
        """Return the present state in a line."""
        calls = self.wall.calls()
        waiting = sum(count for state, count in calls.items() if state.is_waiting)
        return (
            f"{self.since_s():.0f} s: {self.placed} of {len(self.scenario.calls)} calls placed,"
            f" {waiting} waiting, {calls[TicketState.OFFERED]} ringing,"
            f" {calls[TicketState.CONNECTED]} talking, {self.over} over"
        )

    def since_s(self) -> float:
        """Return how long the calls have been coming."""
        if self.began_s is None:
            return 0.0
        return max(0.0, asyncio.get_running_loop().time() - self.began_s)

    def render(self) -> RenderableType:
        """Return the wallboard."""
        table = Table(title=f"Everline: {self.phase}", title_justify="left", title_style="bold")
        table.add_column("site")
        for column in ("edges", "calls", "agents free", "ringing", "talking"):
            table.add_column(column, justify="right")
        for site in self.scenario.sites:
            name = Text(f"{site} (killed)" if site == self.killed else site)
            style = "red" if site == self.killed else ""
            edges, free = self.wall.edges_at(site), "-"
            agents, ringing, talking = self.wall.agents_at(site)
            if edges and site != self.killed:
                free = str(agents)
            numbers = (edges, self.wall.held_at(site), free, ringing, talking)
            table.add_row(name, *map(str, numbers), style=style)
        return Group(table, Text(self.line() if self.began_s is not None else ""))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
