"""Who talks to which number now: what the condition `on_call` asks.

It is told by whoever follows the shared state; until then nobody knows, and what depends on it is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from state.snapshot import Snapshot


class Talking:
    """Agents by the calling number that they talk to, or still wrap up."""

    def __init__(self) -> None:
        self._agents: dict[str, frozenset[str]] | None = None

    def set(self, agents: dict[str, frozenset[str]] | None) -> None:
        """Take what is so from now on; None: not known."""
        self._agents = agents

    def to(self, numbers: Iterable[str]) -> frozenset[str] | None:
        """Return who talks to any of `numbers`."""
        if self._agents is None:
            return None
        found: frozenset[str] = frozenset()
        return found.union(*(self._agents.get(each, found) for each in numbers))


TALKING = web.AppKey("talking", Talking)


def talks(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """PURE. Return who has an offer or a call with whom, by calling number."""
    found: dict[str, frozenset[str]] = {}
    for agent, offer in snapshot.offers.items():
        ticket = snapshot.tickets.get(offer.value.call)
        if ticket is not None:
            caller = ticket.value.caller
            found[caller] = found.get(caller, frozenset()) | {agent}
    return found
