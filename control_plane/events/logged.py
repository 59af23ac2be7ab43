"""What the audit log has of customers and of approvals, as news.

Every control plane writes it down there, and each finds what the others wrote. It is looked into
while somebody listens, and a while longer: who was cut off goes on where they were.
"""

from __future__ import annotations

from typing import Final

from control_plane.approvals import store as approvals
from control_plane.approvals.store import REQUEST
from control_plane.audit.store import changed_since, newest
from control_plane.db.database import Database
from control_plane.events.newsroom import customer_news, request_news
from control_plane.events.ring import KEPT_S, News

TOPICS: Final = frozenset({"approvals", "customers"})
"""Those whose news stand in the audit log."""
AGAIN: Final = 200
"""Entries of the audit log that are read again: numbers do not always become visible in order."""
_KINDS: Final = ("approval", "customer", "glass")
"""Of the things there."""


class LogNews:
    """How far the log has been told of."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[int, None] = {}
        self._last: int | None = None
        self._wanted_s = 0.0
        self.since: int | None = None
        """At which revision it was begun to be followed; None: it is not."""

    def want(self, now_s: float) -> None:
        """Follow it for a while from now on."""
        self._wanted_s = now_s

    def rest(self, now_s: float) -> None:
        """Follow it no longer, if nobody has wanted it for as long as anybody goes on from."""
        if now_s - self._wanted_s > KEPT_S:
            self._last = self.since = None

    def begin_anew(self, revision: int) -> None:
        """Hear that the shared state was put back: what was told is forgotten."""
        if self.since is not None:
            self.since = revision

    def has_after(self, cursor: int) -> bool:
        """Return whether all is known that came after somebody had heard up to a revision."""
        return self.since is not None and cursor > self.since

    async def begin(self, revision: int) -> None:
        """Take what is there by now for told. Raise `DatabaseUnavailableError`."""
        if self._last is not None:
            return
        async with self._database.read() as connection:
            last = await newest(connection)
            found = await changed_since(connection, _KINDS, last - AGAIN)
        if self._last is None:  # nobody was quicker
            self._last, self.since = last, revision
            self._seen = {each.number: None for each in found}

    async def more(self, now_ms: int) -> tuple[News, ...]:
        """Return what has been added since. Raise `DatabaseUnavailableError`."""
        if self._last is None:
            return ()
        async with self._database.read() as connection:
            found = await changed_since(connection, _KINDS, self._last - AGAIN)
            asked = {each.thing for each in found if each.thing.startswith(f"{REQUEST}_")}
            requests = await approvals.find_all(connection, asked)
        news: list[News] = []
        for each in found:
            if each.number in self._seen:
                continue
            self._seen[each.number] = None
            self._last = max(self._last, each.number)
            if each.thing.startswith("cus_"):
                act = each.action.partition(":")[2]
                news.append(customer_news(each.tenant, each.thing, act, None))
            elif each.thing in requests:
                news.append(request_news(requests[each.thing], now_ms))
        while len(self._seen) > 4 * AGAIN:
            self._seen.pop(next(iter(self._seen)))
        return tuple(news)
