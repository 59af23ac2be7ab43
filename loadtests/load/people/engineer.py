"""A site reliability engineer: readiness, status, the list of drills, and the plan of one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from locust import User, between, task

from drills.desk import answers, asks
from drills.desk.client import connected
from drills.desk.errors import DeskError
from drills.lab.lab import PROJECT
from loadtests.load.people.around import around, enter
from loadtests.load.telling import Row

PLANNED: Final = "site_killed"
COMMAND_S: Final = 30.0
FORBIDDEN: Final = 1
"""The exit code of a plan that the guards forbid just now: an answer, too."""


class Engineer(User):
    """One who looks after the sites."""

    fixed_count = 1
    wait_time = between(2.0, 5.0)

    def on_start(self) -> None:
        """Know whom to ask."""
        self._lab = around(self.environment).plan.lab

    @task(3)
    def readiness(self) -> None:
        """Ask what would happen if a site died now."""
        self._timed("DESK", "readiness", lambda: self._ask(asks.ReadinessAsk(), answers.Readiness))

    @task(3)
    def status(self) -> None:
        """Ask how everything is."""
        self._timed("DESK", "status", lambda: self._ask(asks.StatusAsk(), answers.Status))

    @task(1)
    def list_drills(self) -> None:
        """List the drills."""
        self._timed("CLI", "drill list", lambda: self._command("list"))

    @task(1)
    def plan_drill(self) -> None:
        """Look at what a drill would break here, and whether the guards allow it."""
        words = ("run", PLANNED, "--live")
        self._timed("CLI", "drill plan", lambda: self._command(*words, fine=FORBIDDEN))

    def _ask(self, ask: asks.Ask, kind: type[object]) -> str:
        try:
            with connected(self._lab) as line:
                line.ask(ask, kind)
        except DeskError as error:
            return type(error).__name__
        return ""

    def _command(self, *words: str, fine: int = 0) -> str:
        command = (sys.executable, "-m", "drills", "drill", *words)
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                command, cwd=PROJECT, capture_output=True, check=False, timeout=COMMAND_S
            )
        except subprocess.TimeoutExpired:
            return f"not done within {COMMAND_S:g} s"
        return "" if done.returncode in {0, fine} else f"exit code {done.returncode}"

    def _timed(self, kind: str, name: str, work: Callable[[], str]) -> None:
        began_s = time.perf_counter()
        fault = work()
        took_ms = 1000 * (time.perf_counter() - began_s)
        enter(self.environment, Row(kind=kind, name=name, value_ms=took_ms, fault=fault))
