"""The one way by which the configuration changes: judged as a whole, then a version of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.ask import Ask
from control_plane.configuration import store
from control_plane.configuration.check import Checked, check
from control_plane.configuration.document import (
    NOTHING,
    Change,
    Document,
    Edit,
    applied,
    difference,
)
from control_plane.configuration.errors import broken
from control_plane.ids import fresh
from state.configuration_findings import Finding
from state.model import MAIN

AnyAsk = Ask[Any, Any, Any]
BY_FILE: Final = "file"
"""Who made a version that was taken from the shared state."""


class Newest(Struct, frozen=True, kw_only=True):
    """The configuration as it stands."""

    version: store.Version | None
    document: Document
    checked: Checked

    @property
    def number(self) -> int:
        """Return the version's number; 0: there is none."""
        return 0 if self.version is None else self.version.number


class Outcome(Struct, frozen=True, kw_only=True):
    """What a change came to."""

    number: int
    is_written: bool
    findings: tuple[Finding, ...]
    """Warnings of the asking tenant's own records."""
    changes: tuple[Change, ...]


class Book:
    """Keeps the newest version at hand; who else has made one is seen by the version's id."""

    def __init__(self, released: Callable[[], int], written: Callable[[int], None]) -> None:
        """`released` tells which version stands in the shared state, `written` hears of a new one.

        A database that was put back to an older state must not give a number twice.
        """
        self._released = released
        self._written = written
        self._kept = Newest(version=None, document=NOTHING, checked=check(NOTHING))
        self._made: Newest | None = None
        """What was written here last: the newest, if its transaction went through."""

    async def newest(self, connection: AsyncConnection) -> Newest:
        """Return the configuration as it stands."""
        version = await store.head(connection)
        kept = self._kept
        if version is None:
            return Newest(version=None, document=NOTHING, checked=check(NOTHING))
        made = self._made
        if made is not None and made.version == version:
            kept = self._kept = made
        elif kept.version is None or kept.version.id != version.id:
            document = await store.load(connection, version.number)
            checked = await asyncio.to_thread(check, document)
            kept = self._kept = Newest(version=version, document=document, checked=checked)
        return kept

    async def write(  # noqa: PLR0913 - each is a word of the history
        self,
        ask: AnyAsk,
        connection: AsyncConnection,
        edits: Callable[[Newest], Sequence[Edit]],
        *,
        what: str,
        why: str,
        dry_run: bool = False,
    ) -> Outcome:
        """Make a version of what `edits` returns for the newest one. Raise `configuration-broken`.

        Nothing is written in a dry run, or where nothing would change.
        """
        await store.lock(connection)
        now = await self.newest(connection)
        number = max(now.number, self._released()) + 1
        made = edits(now)
        after = applied(now.document, made, number)
        changes = difference(now.document, after, [each.key for each in made])
        checked = await asyncio.to_thread(check, after) if changes else now.checked
        if errors := checked.errors:
            raise broken(seen_by(ask.tenant, errors, after), _others(ask.tenant, errors, after))
        own = seen_by(ask.tenant, checked.findings, after)
        if dry_run or not changes:
            ask.is_audited = True
            return Outcome(number=now.number, is_written=False, findings=own, changes=changes)
        version = store.Version(
            number=number,
            id=fresh("ver", ask.now_ms),
            tenant=ask.tenant,
            at_ms=ask.now_ms,
            by=ask.subject.id,
            why=why,
            what=what,
        )
        await store.add(connection, version, changes)
        detail = {"version": number, "what": what, "why": why, "changes": _named(changes)}
        await ask.audit(str(number), detail=detail)
        self._made = Newest(version=version, document=after, checked=checked)
        self._written(number)
        return Outcome(number=number, is_written=True, findings=own, changes=changes)

    @staticmethod
    async def adopt(
        connection: AsyncConnection, edits: Iterable[Edit], *, now_ms: int, tenant: str
    ) -> int | None:
        """Make the first version of what a file has published; None: there is a version already."""
        await store.lock(connection)
        if await store.head(connection) is not None:
            return None
        changes = difference(NOTHING, applied(NOTHING, edits, 1))
        made = store.Version(
            number=1,
            id=fresh("ver", now_ms),
            tenant=tenant,
            at_ms=now_ms,
            by=BY_FILE,
            why="",
            what="adopted",
        )
        await store.add(connection, made, changes)
        return 1


def seen_by(tenant: str, findings: Iterable[Finding], document: Document) -> tuple[Finding, ...]:
    """Return those of a tenant's own records; of others' none is told."""
    return tuple(
        each
        for each in findings
        if (item := document.get((each.section, each.id))) is None or item.tenant == tenant
    )


def _others(tenant: str, errors: Iterable[Finding], document: Document) -> str:
    """Say for whom else it would be wrong, and in what: to the center's own, whom it is for to ask.

    A tenant is told whom to turn to, and nothing of what it is: it was wrong before their change,
    as where a newer program looks more closely.
    """
    found = (document.get((each.section, each.id)) for each in errors)
    hidden = {(item.section, item.id): item for item in found if item and item.tenant != tenant}
    if not hidden:
        return ""
    if tenant != MAIN:
        return "Something else stands against every change: turn to whoever runs the center."
    counts = Counter(f"{item.section} of {item.tenant}" for item in hidden.values())
    told = ", ".join(f"{what} ({counts[what]})" for what in sorted(counts))
    return f"What other tenants have would be wrong: {told}. They have to change that first."


def _named(changes: Iterable[Change]) -> list[str]:
    return [f"{each.section}/{each.id}" for each in changes][:100]
