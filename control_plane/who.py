"""Who asks: from an access token to a `Subject` as the database has it now.

A subject is kept for `FRESH_S`, so that disabling somebody takes effect that soon at every
instance. When the database is away, whoever talks to a caller goes on as last known for `STALE_S`;
see `control_plane.permissions.LIVE_CALL`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.subjects import Subject
from control_plane.tokens import SERVICE

FRESH_S: Final = 2.0
STALE_S: Final = 600.0
KEPT: Final = 20_000

Load = Callable[[AsyncConnection, str, str], Awaitable[Subject | None]]
"""Takes a subject's id and a session's."""

People = Callable[[AsyncConnection, Iterable[str]], Awaitable[Mapping[str, Subject]]]
"""Takes users' ids; gives those that there are."""


@dataclass(frozen=True, slots=True)
class Known:
    """A subject, and whether that is current."""

    subject: Subject
    is_fresh: bool


class SubjectBook:
    """Subjects by id, each as of at most `FRESH_S` ago while the database answers."""

    def __init__(self, database: Database, load: Load, people: People | None = None) -> None:
        self._database = database
        self._load = load
        self._people = people
        self.uses: dict[str, int] = {}
        """When machines' tokens were last used here, as far as that is not written down yet."""
        self._kept: OrderedDict[tuple[str, str], tuple[float, Subject | None]] = OrderedDict()

    async def find(self, subject: str, session: str, now_s: float) -> Known | None:
        """Return the subject; None: there is none, or the session has ended.

        Raise `DatabaseUnavailableError`.
        """
        key = (subject, session)
        at_s, kept = self._kept.get(key, (None, None))
        if at_s is not None and now_s - at_s < FRESH_S:
            return Known(kept, is_fresh=True) if kept else None
        try:
            async with self._database.read() as connection:
                found = await self._load(connection, subject, session)
        except DatabaseUnavailableError:
            if at_s is None or kept is None or now_s - at_s > STALE_S:
                raise
            return Known(kept, is_fresh=False)
        if found is None and session == SERVICE:
            return None  # rubbish must not push out those who are known
        self._kept[key] = (now_s, found)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return Known(found, is_fresh=True) if found else None

    async def now(self, connection: AsyncConnection, user: str) -> Subject | None:
        """Return a user as the database has them now, signed in or not; None: nobody is that."""
        if self._people is None:
            return None
        return (await self._people(connection, (user,))).get(user)

    def forget(self, subject: str) -> None:
        """Look the subject up anew when next asked: it has just been changed here."""
        for key in [key for key in self._kept if key[0] == subject]:
            del self._kept[key]
