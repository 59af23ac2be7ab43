"""PURE. The news of the last minutes, by revision: what a stream goes on from.

A batch is all that one revision of the shared state changed, so a client's cursor never stands in
the middle of one. News that came without a change (a rest ran out, a customer was edited) stands
under the revision of its time, and is told again to whoever resumes there: better twice than not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct, field

from control_plane.permissions import Permission
from control_plane.subjects import Thing

MOST_NEWS: Final = 20_000
"""Some 2.4 kB each, once it has been told."""
KEPT_S: Final = 300.0
"""Whoever was away for longer lists anew. Where little happens that many news would be those of
hours, and memory be taken all that time."""
TOGETHER: Final = 200
"""News in one message, for who goes on after a while."""
Sees = Callable[[Thing, Permission], bool]


class News(Struct, frozen=True, kw_only=True):
    """One thing that has changed, and what the policy is asked before it is told."""

    topic: str
    id: str
    permission: Permission
    thing: Thing | None
    """None: it is gone."""
    before: Thing | None = None
    """What it was: who may see that and not what it is now is told that it is gone."""
    is_everybodys: bool = False
    """Of no tenant: a site, the configuration."""
    contact: Thing | None = None
    """Whose number it shows; None: nobody's."""
    render: Callable[[bool | None], bytes] | None = None
    """Gives its JSON, with the caller's number in full (True), masked (False) or without (None)."""

    def __repr__(self) -> str:
        """Say nothing of what it tells."""
        return f"News({self.topic}, {self.id})"


class Batch(Struct, kw_only=True):
    """News that is told at once."""

    revision: int
    news: tuple[News, ...]
    at_s: float
    """When it was made, by a clock that only goes forward."""
    is_of_change: bool = True
    """False: it came without one."""
    rendered: dict[tuple[int, bool | None], bytes] = field(default_factory=dict)
    """By place in `news` and mask: made once, whoever listens."""


class Ring:
    """Batches, the oldest forgotten first: those over `most` news, or older than `KEPT_S`."""

    def __init__(self, most: int = MOST_NEWS) -> None:
        self._most = most
        self._batches: deque[Batch] = deque()
        self._count = 0
        self._floor: int | None = None
        """Whoever has seen this revision has missed nothing that is not here."""

    def begin(self, revision: int) -> None:
        """Forget all: from this revision on nothing will be missed."""
        self._batches.clear()
        self._count, self._floor = 0, revision

    def add(self, batch: Batch) -> None:
        """Keep a batch."""
        self._batches.append(batch)
        self._count += len(batch.news)
        oldest_s = batch.at_s - KEPT_S
        while self._count > self._most or self._batches[0].at_s < oldest_s:
            if len(self._batches) == 1:
                return
            oldest = self._batches.popleft()
            self._count -= len(oldest.news)
            # Who stands at a revision has heard its change, and maybe not what came without one.
            heard_at = oldest.revision + (not oldest.is_of_change)
            self._floor = max(self._floor or 0, heard_at)

    def after(self, cursor: int) -> tuple[Batch, ...] | None:
        """Return what came after a revision; None: some of that is no longer here."""
        if self._floor is None or cursor < self._floor:
            return None
        return tuple(
            each
            for each in self._batches
            if each.revision > cursor or (each.revision == cursor and not each.is_of_change)
        )

    def since(self, batch: Batch) -> tuple[Batch, ...] | None:
        """Return what was added after a batch; None: that is no longer here."""
        found: list[Batch] = []
        for each in reversed(self._batches):
            if each is batch:
                return tuple(reversed(found))
            found.append(each)
        return None


def in_turns(batches: Iterable[Batch]) -> Iterator[tuple[Batch, ...]]:
    """Yield the batches, so many at a time as are told in one message."""
    some: list[Batch] = []
    count = 0
    for batch in batches:
        some.append(batch)
        count += len(batch.news)
        if count >= TOGETHER:
            yield tuple(some)
            some, count = [], 0
    if some:
        yield tuple(some)


def frame(revision: int, pieces: tuple[bytes, ...]) -> bytes:
    """Return the message of some news."""
    events = b",".join(pieces)
    return b'{"type":"events","revision":%d,"events":[%b]}' % (revision, events)


def told(batch: Batch, topics: frozenset[str], tenant: str, sees: Sees) -> bytes | None:
    """Return the message that somebody with these eyes gets of a batch; None: none."""
    pieces = _pieces(batch, topics, tenant, sees)
    return frame(batch.revision, pieces) if pieces else None


def told_together(
    batches: Iterable[Batch], topics: frozenset[str], tenant: str, sees: Sees
) -> Iterator[bytes]:
    """Yield the messages of many batches, in few; none ends in the middle of a batch."""
    pieces: list[bytes] = []
    revision = 0
    for batch in batches:
        pieces += _pieces(batch, topics, tenant, sees)
        revision = batch.revision
        if len(pieces) >= TOGETHER:
            yield frame(revision, tuple(pieces))
            pieces = []
    if pieces:
        yield frame(revision, tuple(pieces))


def _pieces(batch: Batch, topics: frozenset[str], tenant: str, sees: Sees) -> tuple[bytes, ...]:
    return tuple(
        piece
        for place, news in enumerate(batch.news)
        if news.topic in topics and (piece := _piece(batch, place, tenant, sees)) is not None
    )


def _piece(batch: Batch, place: int, tenant: str, sees: Sees) -> bytes | None:
    news = batch.news[place]

    def may(thing: Thing | None) -> bool:
        return thing is not None and sees(_here(news, thing, tenant), news.permission)

    if not may(news.thing):
        return _gone(news) if may(news.before) else None
    mask = None
    if news.contact is not None:
        if sees(news.contact, Permission.CUSTOMER_CONTACT_READ_FULL):
            mask = True
        elif sees(news.contact, Permission.CUSTOMER_CONTACT_READ_MASKED):
            mask = False
    key = (place, mask)
    found = batch.rendered.get(key)
    if found is None and news.render is not None:
        found = batch.rendered[key] = news.render(mask)
    return found


def _here(news: News, thing: Thing, tenant: str) -> Thing:
    if not news.is_everybodys:
        return thing
    return Thing(kind=thing.kind, tenant=tenant, id=thing.id, site=thing.site)


def event(topic: str, identifier: str, data: bytes, what: bytes = b"changed") -> bytes:
    """Return one thing's news as JSON. `identifier` is an id: it needs no escaping."""
    return b'{"topic":"%b","what":"%b","id":"%b","data":%b}' % (
        topic.encode(),
        what,
        identifier.encode(),
        data,
    )


def _gone(news: News) -> bytes:
    return b'{"topic":"%b","what":"gone","id":"%b","data":null}' % (
        news.topic.encode(),
        news.id.encode(),
    )
