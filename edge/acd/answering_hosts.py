"""At which hosts telephones answer when they are asked if they are there. PURE.

There are carriers that pass on no OPTIONS within a dialog, and send nothing while somebody listens:
each of their callers would be taken for gone in a long silence. So silence counts only at a host,
by the telephone's Contact, where somebody has answered such a question before; of any other it is
tried once, with a telephone of which something has been heard.
"""

from __future__ import annotations

from typing import Final

from edge.acd.fallen_silent import Line, Next, due

MOST_HOSTS: Final = 10_000
"""Of so many it is known; the one that was learnt first is forgotten."""


class AnsweringHosts:
    """What one edge has seen of them."""

    def __init__(self) -> None:
        self._hosts: dict[str, None] = {}
        """The oldest first."""

    def learn(self, host: str) -> None:
        """Take in that somebody there has answered."""
        self._hosts.setdefault(host)
        if len(self._hosts) > MOST_HOSTS:
            del self._hosts[next(iter(self._hosts))]

    def due(self, line: Line, host: str, now_s: float) -> Next:
        """Return what to do about a line, right after a look at it.

        `host`: where its telephone says that it is; empty: nobody knows.
        """
        if host in self._hosts:
            return due(line, now_s)
        is_new = host not in {"", line.tried}
        return Next.TRY if is_new and line.packets else Next.NOTHING
