"""What one load is, as a value: from the command to the lab, and to each worker. PURE."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

MOST_MINUTES = 24 * 60.0
MOST_USERS = 200
MOST_AGENTS = 120
MOST_WORKERS = 8
MOST_SIPP_PER_S = 100.0
LEAST_S = 5.0
SAID = "said"
"""Begins the name of a file with what telephones have said of their calls' ends."""
STATISTICS = "sipp.csv"
"""What SIPp leaves."""
BROKEN = "broken.jsonl"
"""What became of the faults (`loadtests.load.faults.Done`), one a line."""
ROWS, RAN = "rows.json", "ran.json"
"""What the master leaves: Locust's tables, and how long it ran."""
ENVIRONMENT = "EVERLINE_LOAD"
"""Names the file with the plan, for Locust's processes."""


WITH_WORKER: Final = ("setpriv", "--pdeathsig", "TERM", "--")
"""Before a command: it ends when the worker that began it does. Telephones that nobody holds would
answer calls, and SIPp place some, until the lab goes down."""


class ShapeName(StrEnum):
    """How many come when."""

    STEADY = "steady"
    """As many as there may be, after a short rise."""
    DAY = "day"
    """A day, compressed: two peaks, a lunch break, a quiet end."""
    FLASH_CROWD = "flash-crowd"
    """Quiet, then five times as many at once, then quiet again."""
    SITE_LOST = "site-lost"
    """The day's peak, and at its top a site is killed; it comes back."""
    NINE = "nine"
    """Callers wait, and then all agents come at the same moment."""
    LEAK = "leak"
    """Half the load for as long as is asked, to see what grows."""
    SOAK = "soak"
    """Half the load with faults at random, to see what breaks or grows."""


class SiteRef(Struct, frozen=True, kw_only=True):
    """How a site is reached from inside the lab."""

    id: str
    api: str
    """URL."""
    sip: str
    """host:port."""
    ca: str = ""
    """A file with the authority that vouches for its API; empty: the machine's own."""


class Request(Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    shape: ShapeName
    seconds: float
    users: int = 12
    """Callers at once at the peak."""
    agents: int = 6
    """Of the load's own, over all sites."""
    workers: int = 1
    sipp_per_s: float = 0.0
    """Calls a second of SIPp beside the callers who behave; 0: none."""
    seed: int = 1

    def wrong_because(self) -> str | None:
        """Return what is out of bounds, or None."""
        bounds = (
            ("--minutes", self.seconds / 60, LEAST_S / 60, MOST_MINUTES),
            ("--users", self.users, 1, MOST_USERS),
            ("--agents", self.agents, 1, MOST_AGENTS),
            ("--workers", self.workers, 1, MOST_WORKERS),
            ("--sipp", self.sipp_per_s, 0, MOST_SIPP_PER_S),
        )
        for name, value, least, most in bounds:
            if not least <= value <= most:
                return f"{name} should be {least:.3g} to {most:.3g}, not {value:.3g}"
        return None


class Agent(Struct, frozen=True, kw_only=True):
    """One agent of the load's own."""

    id: str
    site: str
    password: str
    """Of the phone and of the API."""


class Plan(Struct, frozen=True, kw_only=True):
    """All that a worker has to know. It holds passwords: its file is 0600 and goes with the lab."""

    request: Request
    lab: int
    """Whose desk is asked: the launcher's PID."""
    where: str
    """A folder for what the processes leave: logs, seats, calls."""
    sites: tuple[SiteRef, ...]
    carrier: str
    hosts: dict[str, str]
    """Addresses of the hosts that have telephones, by name."""
    did: str
    volume_did: str
    """Of a queue without agents: where SIPp calls."""
    queue: str
    agents: tuple[Agent, ...]
    manager: str
    """Login, of which `password` is the password."""
    password: str
    began_ms: int = 0
    """Wall clock: calls that came before are not this load's."""

    @property
    def folder(self) -> Path:
        """Return the folder."""
        return Path(self.where)

    def site(self, name: str) -> SiteRef:
        """Return a site by its name; KeyError if there is none."""
        return {each.id: each for each in self.sites}[name]

    def sites_from(self, first: str) -> tuple[SiteRef, ...]:
        """Return all sites in the order in which somebody at `first` tries them."""
        return tuple(sorted(self.sites, key=lambda each: each.id != first))


_decoder = msgspec.json.Decoder(Plan)


def read_plan(file: Path) -> Plan:
    """Return the plan in a file."""
    return _decoder.decode(file.read_bytes())
