"""What all users of one worker share: plan, telephones, seats, and the way to the tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.event import Event
from locust.env import Environment

from loadtests.load.exchange import Exchange, PhonesError
from loadtests.load.plan import ENVIRONMENT, Agent, Plan, read_plan
from loadtests.load.shapes import agents_from_s
from loadtests.load.telephones import starting
from loadtests.load.telling import Row, row_of_restart

READY = "ready"
"""Begins the name of a file that says: this worker's callers have telephones."""
NO_PHONES = "no-phones"
"""Begins the name of one that says why they have none, and will get none."""


class Failed(Exception):  # noqa: N818 - it is what Locust lists under failures
    """Why a row of the tables failed, in fixed words: Locust counts the same ones together."""


class Around:
    """One worker's share of the world."""

    def __init__(self, plan: Plan, worker: int, on_restart: Callable[[str], None]) -> None:
        self.plan = plan
        self.exchange = Exchange(worker, starting(plan, worker), on_restart)
        self._under_way = plan.folder / f"under-way-{worker}"
        self._ready = plan.folder / f"{READY}-{worker}"
        self._no_phones = plan.folder / f"{NO_PHONES}-{worker}"
        self._began_s = 0.0
        self._has_begun = Event()
        self._begun: set[str] = set()
        """Calls of callers that are under way, by the name of their telephone."""

    def begin(self) -> None:
        """Get the callers telephones; from then on the load's time runs here. Or say why not."""
        try:
            self.exchange.at("callers")
        except PhonesError as error:
            self._no_phones.write_text(str(error))
            return
        self._began_s = time.monotonic()
        self._ready.touch()
        self._has_begun.set()

    def await_work(self) -> None:
        """Wait until agents are at work, by the load's shape."""
        if not agents_from_s(self.plan.request):
            return
        self._has_begun.wait()
        left_s = self._began_s + agents_from_s(self.plan.request) - time.monotonic()
        gevent.sleep(max(0.0, left_s))

    def take_seat(self) -> Agent | None:
        """Return an agent whom no user of any worker plays; None: all are taken."""
        for agent in self.plan.agents:
            try:
                (self.plan.folder / f"seat-{agent.id}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return agent
        return None

    def leave_seat(self, agent: Agent) -> None:
        """Let another user play them."""
        (self.plan.folder / f"seat-{agent.id}").unlink(missing_ok=True)

    def begin_call(self, phone: str) -> None:
        """Count a caller's call that begins; the load ends when none is under way."""
        self._begun.add(phone)
        self._under_way.write_text(str(len(self._begun)))

    def call_over(self, phone: str) -> None:
        """Count it no longer: it has ended, or no telephone has it and nobody will tell."""
        self._begun.discard(phone)
        self._under_way.write_text(str(len(self._begun)))

    def close(self) -> None:
        """Let the telephones ring no more."""
        gevent.joinall([gevent.spawn(each.stop) for each in self.exchange.everywhere()])


_around: list[Around] = []


def around(environment: Environment) -> Around:
    """Return this worker's; made at the first call."""
    if not _around:
        index = getattr(environment.runner, "worker_index", 0)
        plan = read_plan(Path(os.environ[ENVIRONMENT]))
        here = Around(plan, max(0, index), lambda host: enter(environment, row_of_restart(host)))
        _around.append(here)
    return _around[0]


def close() -> None:
    """Close this worker's, if there is one."""
    while _around:
        _around.pop().close()


def enter(environment: Environment, row: Row) -> None:
    """Put a row into Locust's tables."""
    environment.events.request.fire(
        request_type=row.kind,
        name=row.name,
        response_time=row.value_ms,
        response_length=row.bytes,
        exception=Failed(row.fault) if row.fault else None,
        context={},
    )
