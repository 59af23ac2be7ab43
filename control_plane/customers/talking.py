"""Who talks to which number now: what the condition `on_call` asks.

It is told by whoever follows the shared state; where nobody does, nobody knows, and what depends on
it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

NOBODY: frozenset[str] = frozenset()
Asked = Callable[[str, str], frozenset[str] | None]
"""Takes a tenant and a number (E.164); gives agents, or None where that is not known."""


Region = Callable[[str], str | None]


def _nowhere(_tenant: str) -> None:
    return None


def _unknown(_tenant: str, _number: str) -> None:
    return None


class Talking:
    """Agents by the calling number that they talk to, or still wrap up; and how numbers come."""

    def __init__(self) -> None:
        self._ask: Asked = _unknown
        self.region: Region = _nowhere
        """In which country's form a tenant's callers' numbers come; None: with + only."""

    def follow(self, ask: Asked, region: Region) -> None:
        """Ask these from now on."""
        self._ask, self.region = ask, region

    def set(self, agents: Mapping[tuple[str, str], frozenset[str]] | None) -> None:
        """Take what is so from now on, by tenant and number; None: not known."""
        known = agents
        if known is None:
            self._ask = _unknown
        else:
            self._ask = lambda tenant, number: known.get((tenant, number), NOBODY)

    def who(self, tenant: str, number: str) -> frozenset[str] | None:
        """Return who talks to `number` in calls of `tenant`."""
        return self._ask(tenant, number)

    def to(self, tenant: str, numbers: Iterable[str]) -> frozenset[str] | None:
        """Return who talks to any of `numbers` in calls of `tenant`."""
        found = NOBODY
        for number in numbers:
            agents = self._ask(tenant, number)
            if agents is None:
                return None
            found |= agents
        return found


TALKING = web.AppKey("talking", Talking)
