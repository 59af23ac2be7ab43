"""Lets people load a lab that is up: the program `loadtests.load`, in the lab's own network."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from drills.demo.people import CALLERS
from drills.demo.programs import Program, Task
from drills.desk.asks import LoadAsk
from drills.desk.errors import RefusedError
from drills.lab.control_plane import api_url
from drills.lab.lab import PROJECT, Lab
from state.model import SiteId

PROGRAM = "loadtests.load"


class Loads:
    """Carries out one load at a time."""

    def __init__(self, lab: Lab, launcher: int) -> None:
        self._lab = lab
        self._launcher = launcher
        self._is_loaded = False

    async def __call__(self, ask: LoadAsk, tell: Callable[[bytes], None]) -> None:
        """Carry it out; cancelled, stop it: it takes away what it made."""
        if self._is_loaded:
            raise RefusedError("a load is under way here: wait for its end, or stop it by Ctrl-C")
        self._is_loaded = True
        try:
            program = await Program.start(self._task(ask), tell)
            try:
                await program.ended()
            finally:
                await program.stop()
        finally:
            self._is_loaded = False

    def _task(self, ask: LoadAsk) -> Task:
        lab = self._lab
        start = {
            "request": ask.request,
            "lab": self._launcher,
            "sites": [self._site(site) for site in lab.plan.sites],
            "carrier": f"{lab.addresses['carrier']}:5060",
            "hosts": {
                host: lab.addresses[host]
                for host in (CALLERS, *(f"agents-{site}" for site in lab.plan.sites))
            },
            "first_password": str(lab.paths.secrets.first_password),
            "folder": str(lab.paths.run / "load"),
            "logs": str(lab.paths.run / "log"),
            "json": ask.json or None,
            "html": ask.html or None,
            "limits": ask.limits or None,
        }
        return Task(
            name="load",
            host=None,
            argv=(sys.executable, "-m", PROGRAM, msgspec.json.encode(start).decode()),
            cwd=PROJECT,
            log=lab.paths.run / "log" / "load.log",
        )

    def _site(self, site: SiteId) -> dict[str, object]:
        lab = self._lab
        return {
            "id": site,
            "api": api_url(lab.plan, site),
            "ca": str(lab.ca),
            "sip": f"{lab.addresses[site]}:5060",
        }
