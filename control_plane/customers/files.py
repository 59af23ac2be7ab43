"""Customers in bulk: a CSV file in, with a report that streams back; and all of them out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec

from control_plane.api import idempotency
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Stream, Tx
from control_plane.api.staying import while_let_in
from control_plane.approvals import store as approvals
from control_plane.customers import sealed, secrets, service, store
from control_plane.customers.imagined import Imagined, NoRoomError
from control_plane.customers.lines import Fault, HeaderError, Record, draft, header, records
from control_plane.customers.schemas import CustomerDraft, CustomerListing, ImportQuery
from control_plane.customers.talking import TALKING
from control_plane.errors import BAD_REQUEST, TIMED_OUT, ApiError
from control_plane.permissions import Permission
from control_plane.subjects import Thing

Imported: TypeAlias = Ask[Nothing, ImportQuery, Nothing]
Exported: TypeAlias = Ask[Nothing, Nothing, Nothing]
BATCH = 500
IN_A_ROW = 25
"""So many records are looked at before others have their turn: each takes 0.2 ms."""
CSV, NDJSON = "text/csv", "application/x-ndjson"
OTHER_FILE = "is not as it was sent with this Idempotency-Key before: nothing more is added"
ELSEWHERE = "the same import goes on elsewhere: nothing more is added here"
KNOWN = "somebody has one of these numbers already: left out, as known=skip says"
NO_ROOM = "these are more numbers than a dry run can compare: the rest was not looked at"
ALL = "customers"
"""The id and the digest by which an export of all of them is approved."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import with an Idempotency-Key has come: what stands under its key."""

    lines: int = 0
    added: int = 0
    known: int = 0
    digest: str = ""
    """SHA-256 of the records so far."""


NOTHING_KEPT = Kept()


class ImportStoppedError(Exception):
    """An import cannot go on; the text says why."""


@dataclass
class Progress:
    """How far an import has come."""

    once: idempotency.Once | None = None
    kept: bytes = b""
    """A `Kept`, as it stands in the database."""
    skips: Kept = NOTHING_KEPT
    """What was added before, when the same file was sent."""
    lines: int = 0
    added: int = 0
    known: int = 0
    """Of the records that are right, those with a number that somebody has already."""
    faulty: int = 0
    waiting: list[tuple[int, CustomerDraft]] = field(default_factory=list)
    """With the line that each begins in."""
    imagined: Imagined = field(default_factory=Imagined)
    """Numbers of whom a dry run would have added."""
    digest: Any = field(default_factory=sha256)

    def take(self, cells: Record) -> None:
        """Count a record. Raise `ImportStoppedError` if it is another file than before."""
        self.lines += 1
        self.digest.update(msgspec.json.encode(cells) + b"\n")
        if self.lines == self.skips.lines:
            if self.digest.hexdigest() != self.skips.digest:
                raise ImportStoppedError(OTHER_FILE)
            self.added, self.known = self.skips.added, self.skips.known

    def wait(self, at: int, draft: CustomerDraft) -> None:
        """Let a customer be added with the next batch, if they have not been."""
        if self.lines > self.skips.lines:
            self.waiting.append((at, draft))

    def so_far(self) -> Kept:
        """Return what is kept of it."""
        digest = self.digest.hexdigest()
        return Kept(lines=self.lines, added=self.added, known=self.known, digest=digest)

    def told(self, *, is_done: bool) -> bytes:
        """Return a line of the report."""
        counts = {"added": self.added, "known": self.known, "faulty": self.faulty}
        return _line({"records": self.lines, **counts, "done": is_done})


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


async def take(ask: Imported) -> Stream:
    """Read the first line now, so that a wrong file is a problem; the rest as it comes."""
    whole = Thing(kind="customer", tenant=ask.tenant)
    service.check_writing(ask, whole, (name for name in service.WRITING if name != "sensitive"))
    found = records(while_let_in(ask, _chunks(ask)))
    async with ask.services.database.read() as connection:
        sensitive = await sealed.fields(connection, ask.tenant)
    try:
        _, cells = await anext(found)
    except StopAsyncIteration:  # with a default, anext() of Python 3.11 fails here
        cells = []
    try:
        names = header(cells, sensitive)
    except HeaderError as error:
        raise ApiError(BAD_REQUEST, str(error)) from error
    if set(names) & set(sensitive):
        service.check_writing(ask, whole, ("sensitive",))
        secrets.keys_of(ask.request.app)
    progress = await _begun(ask)
    return Stream(chunks=_report(ask, names, found, progress), media_type=NDJSON)


async def _begun(ask: Imported) -> Progress:
    """Return how far this import has come. Raise `idempotency-key-reused`."""
    once = idempotency.read(ask.request, ask.subject.id, ask.tenant, b"")
    if once is None or ask.query.dry_run == "true":
        return Progress()
    async with ask.services.database.write() as connection:
        kept = await idempotency.begin(connection, once, ask.now_ms)
    skips = msgspec.json.decode(kept, type=Kept) if kept else NOTHING_KEPT
    return Progress(once=once, kept=kept, skips=skips)


async def _chunks(ask: Imported) -> AsyncIterator[bytes]:
    content, wait_s = ask.request.content, ask.services.settings.limits.body_s
    while True:
        try:
            async with asyncio.timeout(wait_s):
                chunk = await content.readany()
        except TimeoutError as error:
            raise ApiError(TIMED_OUT) from error
        if not chunk:
            return
        yield chunk


async def _report(
    ask: Imported,
    names: tuple[str, ...],
    found: AsyncIterator[tuple[int, Record]],
    progress: Progress,
) -> AsyncIterator[bytes]:
    at = 1
    region = ask.query.region or ask.request.app[TALKING].region(ask.tenant)
    try:
        async for at, cells in found:
            progress.take(cells)
            made = draft(at, names, cells, region)
            if isinstance(made, CustomerDraft):
                progress.wait(at, made)
            else:
                progress.faulty += 1
                for each in made:
                    yield _fault(each)
            if progress.lines % IN_A_ROW == 0:
                await asyncio.sleep(0)
            if progress.lines % BATCH == 0:
                for each in await _keep(ask, progress):
                    yield _fault(each)
                yield progress.told(is_done=False)
        if progress.lines < progress.skips.lines:
            raise ImportStoppedError(OTHER_FILE)  # noqa: TRY301 - told as the others
        for each in await _keep(ask, progress):
            yield _fault(each)
    except ImportStoppedError as stopped:
        yield _fault(Fault(at, "", str(stopped)))
        return
    finally:
        progress.imagined.close()
    yield progress.told(is_done=True)


def _fault(each: Fault) -> bytes:
    return _line({"line": each.line, "field": each.field, "fault": each.fault})


async def _keep(ask: Imported, progress: Progress) -> list[Fault]:
    """Add what waits, in one transaction; in a dry run only count it. Return who is left out.

    Raise `ImportStoppedError` if somebody else adds the same, or there is no room for a dry run.
    """
    waiting, progress.waiting = progress.waiting, []
    if not waiting:
        return []
    if ask.query.dry_run == "true":
        return await _imagine(ask, progress, waiting)
    async with ask.services.database.write() as connection:
        ask.connection = connection
        drafts, left_out = await _sift(ask, progress, waiting)
        if progress.once is not None:
            before, progress.kept = progress.kept, msgspec.json.encode(progress.so_far())
            if not await idempotency.note(connection, progress.once, before, progress.kept):
                raise ImportStoppedError(ELSEWHERE)
        await _add(ask, drafts)
    return left_out


async def _imagine(
    ask: Imported, progress: Progress, waiting: list[tuple[int, CustomerDraft]]
) -> list[Fault]:
    """Count what waits, and remember whose numbers would be taken. Raise `ImportStoppedError`."""
    try:
        async with ask.services.database.read() as connection:
            ask.connection = connection
            drafts, left_out = await _sift(ask, progress, waiting)
        await progress.imagined.add(number for each in drafts for number in each.numbers)
    except NoRoomError as error:
        raise ImportStoppedError(NO_ROOM) from error
    return left_out


async def _sift(
    ask: Imported, progress: Progress, waiting: list[tuple[int, CustomerDraft]]
) -> tuple[list[CustomerDraft], list[Fault]]:
    """Return who is to be added, and who is not since somebody has their number."""
    asked = {number for _, each in waiting for number in each.numbers}
    taken = await store.taken(ask.db, ask.tenant, asked) | await progress.imagined.among(asked)
    drafts: list[CustomerDraft] = []
    left_out: list[Fault] = []
    for at, each in waiting:
        is_known = not taken.isdisjoint(each.numbers)
        progress.known += is_known
        if is_known and ask.query.known == "skip":
            left_out.append(Fault(at, "numbers", KNOWN))
        else:
            drafts.append(each)
            taken.update(each.numbers)
    progress.added += len(drafts)
    return drafts, left_out


async def _add(ask: Imported, drafts: list[CustomerDraft]) -> None:
    if not drafts:
        return
    made = [service.drafted(ask, each) for each in drafts]
    await store.create_many(ask.db, made)
    for customer, each in zip(made, drafts, strict=True):
        await secrets.put(ask.request.app, ask.db, (ask.tenant, customer.id), each.sensitive)
    await ask.audit("", detail={"added": len(made)})


async def _everybody(ask: Exported) -> Thing:
    async with ask.services.database.read() as connection:
        ask.connection = connection
        await approvals.bring(ask)
    return Thing(kind="customer", tenant=ask.tenant, id=ALL, digest=ALL)


async def give(ask: Exported) -> Stream:
    """Send every customer, each as the subject may see them."""
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await approvals.use(ask)
        await ask.audit(ALL)
        await ask.seal()
    return Stream(chunks=_all(ask), media_type=NDJSON)


async def _all(ask: Exported) -> AsyncIterator[bytes]:
    cursor: str | None = None
    while True:
        async with ask.services.database.read() as connection:
            ask.connection = connection
            listing = CustomerListing(limit=200, cursor=cursor)
            found, cursor = await store.page(connection, ask.tenant, listing, None)
            seen = await service.seen(ask, found)
        for each in seen:
            yield each.model_dump_json().encode() + b"\n"
        if cursor is None:
            return


ROUTES: Routes = (
    Route(
        method=Method.POST,
        path="/v1/customer-import",
        summary="Add customers from a CSV file; the report streams back",
        access=Permission.CUSTOMER_IMPORT,
        handler=take,
        query=ImportQuery,
        tx=Tx.NONE,
        is_idempotent=True,
        takes=CSV,
        gives=NDJSON,
    ),
    Route(
        method=Method.POST,
        path="/v1/customer-export",
        summary="Export all customers, one to a line",
        access=Permission.CUSTOMER_EXPORT,
        handler=give,
        is_sealed=True,
        takes_approval=True,
        thing=_everybody,
        tx=Tx.NONE,
        gives=NDJSON,
    ),
)
