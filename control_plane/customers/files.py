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
from control_plane.approvals import store as approvals
from control_plane.customers import secrets, service, store
from control_plane.customers.lines import Fault, HeaderError, draft, header, records
from control_plane.customers.schemas import CustomerDraft, CustomerListing, ImportQuery
from control_plane.customers.talking import TALKING
from control_plane.errors import BAD_REQUEST, TIMED_OUT, ApiError
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Thing

Imported: TypeAlias = Ask[Nothing, ImportQuery, Nothing]
Exported: TypeAlias = Ask[Nothing, Nothing, Nothing]
BATCH = 500
CSV, NDJSON = "text/csv", "application/x-ndjson"
OTHER_FILE = "is not as it was sent with this Idempotency-Key before: nothing more is added"
ELSEWHERE = "the same import goes on elsewhere: nothing more is added here"
ALL = "customers"
"""The id and the digest by which an export of all of them is approved."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import with an Idempotency-Key has come: what stands under its key."""

    lines: int = 0
    added: int = 0
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
    faulty: int = 0
    waiting: list[CustomerDraft] = field(default_factory=list)
    digest: Any = field(default_factory=sha256)

    def take(self, cells: list[str] | None) -> None:
        """Count a record. Raise `ImportStoppedError` if it is another file than before."""
        self.lines += 1
        self.digest.update(msgspec.json.encode(cells) + b"\n")
        if self.lines == self.skips.lines and self.digest.hexdigest() != self.skips.digest:
            raise ImportStoppedError(OTHER_FILE)

    def wait(self, draft: CustomerDraft) -> None:
        """Let a customer be added with the next batch, if they have not been."""
        if self.lines > self.skips.lines:
            self.waiting.append(draft)
        else:
            self.added += 1

    def told(self, *, is_done: bool) -> bytes:
        """Return a line of the report."""
        return _line(
            {"records": self.lines, "added": self.added, "faulty": self.faulty, "done": is_done}
        )


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


async def take(ask: Imported) -> Stream:
    """Read the first line now, so that a wrong file is a problem; the rest as it comes."""
    whole = Thing(kind="customer", tenant=ask.tenant)
    service.check_writing(ask, whole, (name for name in service.WRITING if name != "sensitive"))
    found = records(_lines(ask))
    async with ask.services.database.read() as connection:
        sensitive = await store.fields(connection, ask.tenant)
    _, cells = await anext(found, (0, None))
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


async def _lines(ask: Imported) -> AsyncIterator[bytes]:
    content, wait_s = ask.request.content, ask.services.settings.limits.body_s
    while True:
        try:
            async with asyncio.timeout(wait_s):
                line = await content.readline()
        except TimeoutError as error:
            raise ApiError(TIMED_OUT) from error
        except ValueError as error:
            raise ApiError(BAD_REQUEST, "A line is too long.") from error
        if not line:
            return
        yield line


async def _report(
    ask: Imported,
    names: tuple[str, ...],
    found: AsyncIterator[tuple[int, list[str] | None]],
    progress: Progress,
) -> AsyncIterator[bytes]:
    at = 1
    region = ask.query.region or ask.request.app[TALKING].region(ask.tenant)
    try:
        async for at, cells in found:
            progress.take(cells)
            made = draft(at, names, cells, region)
            if isinstance(made, CustomerDraft):
                progress.wait(made)
            else:
                progress.faulty += 1
                for each in made:
                    yield _fault(each)
            if progress.lines % BATCH == 0:
                await _keep(ask, progress)
                yield progress.told(is_done=False)
        if progress.lines < progress.skips.lines:
            raise ImportStoppedError(OTHER_FILE)  # noqa: TRY301 - told as the others
        await _keep(ask, progress)
    except ImportStoppedError as stopped:
        yield _fault(Fault(at, "", str(stopped)))
        return
    yield progress.told(is_done=True)


def _fault(each: Fault) -> bytes:
    return _line({"line": each.line, "field": each.field, "fault": each.fault})


async def _keep(ask: Imported, progress: Progress) -> None:
    """Add what waits, in one transaction; in a dry run only count it.

    Raise `ImportStoppedError` if somebody else adds the same.
    """
    drafts, progress.waiting = progress.waiting, []
    progress.added += len(drafts)
    if ask.query.dry_run == "true" or not drafts:
        return
    after = Kept(lines=progress.lines, added=progress.added, digest=progress.digest.hexdigest())
    async with ask.services.database.write() as connection:
        if progress.once is not None:
            before, progress.kept = progress.kept, msgspec.json.encode(after)
            if not await idempotency.note(connection, progress.once, before, progress.kept):
                raise ImportStoppedError(ELSEWHERE)
        ask.connection = connection
        made = [_customer(ask, each) for each in drafts]
        await store.create_many(connection, made)
        for customer, each in zip(made, drafts, strict=True):
            who = (ask.tenant, customer.id)
            await secrets.put(ask.request.app, connection, who, each.sensitive)
        await ask.audit("", detail={"added": len(made)})


def _customer(ask: Imported, made: CustomerDraft) -> store.Customer:
    return store.Customer(
        id=fresh("cus", ask.now_ms),
        tenant=ask.tenant,
        has_legal_hold=False,
        merged_into=None,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
        **made.model_dump(exclude={"sensitive"}),
    )


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
