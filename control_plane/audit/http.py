"""The endpoints by which auditors read the log: nobody has one that changes it."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Select, select

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant, milliseconds
from control_plane.api.paging import Page
from control_plane.api.route import Feature, Method, Route, Stream
from control_plane.audit import note, reading
from control_plane.audit.errors import NO_PROOF, NOT_SEARCHABLE, SealError
from control_plane.audit.schemas import (
    AuditListing,
    EntryPath,
    EntryView,
    ProofView,
    TrailListing,
)
from control_plane.audit.store import TABLE
from control_plane.audit.tables import AuditRow
from control_plane.errors import NOT_FOUND, ApiError, not_found
from control_plane.permissions import Permission
from control_plane.subjects import Thing

AnyAsk: TypeAlias = Ask[Any, Any, Any]
Listed: TypeAlias = Ask[Nothing, AuditListing, Nothing]
Named: TypeAlias = Ask[EntryPath, Nothing, Nothing]
Trailed: TypeAlias = Ask[Nothing, TrailListing, Nothing]
NDJSON: Final = "application/x-ndjson"
_FILTERS: Final = {
    "actor": AuditRow.actor,
    "action": AuditRow.action,
    "kind": AuditRow.kind,
    "thing": AuditRow.thing,
    "decision": AuditRow.decision,
    "site": AuditRow.site,
    "session": AuditRow.session,
    "request": AuditRow.request_id,
    "origin": AuditRow.origin,
}
_BARE: Final = 2
"""Lines of a trail without an entry."""
_SHOWN_BITS: Final = {4: 16, 6: 32}
"""Of an address, to whoever may not see all of it."""


def _sees_origins(ask: AnyAsk) -> bool:
    thing = Thing(kind="audit.origin", tenant=ask.tenant)
    return ask.sees(thing, Permission.AUDIT_ORIGIN_READ_FULL)


async def list_all(ask: Listed) -> Page[EntryView]:
    """Return a page of the tenant's entries."""
    if ask.query.origin is not None and not _sees_origins(ask):
        raise ApiError(NOT_SEARCHABLE)
    rows, after = await paging.fetch(
        ask.db,
        _wanted(ask),
        ask.query,
        columns={"number": TABLE.c.number},
        id_column=TABLE.c.request_id,
        default="-number",
    )
    return Page[EntryView](items=tuple(_view(ask, row._mapping) for row in rows), next=after)  # noqa: SLF001


def _wanted(ask: Listed) -> Select[Any]:
    query = ask.query
    statement = select(TABLE).where(AuditRow.tenant == ask.tenant)
    for name, column in _FILTERS.items():
        if (value := getattr(query, name)) is not None:
            statement = statement.where(column == value)
    since, until = milliseconds(query.since), milliseconds(query.until)
    if since is not None:
        statement = statement.where(AuditRow.at_ms >= since)
    if until is not None:
        statement = statement.where(AuditRow.at_ms < until)
    return statement


async def _row(ask: Named) -> Mapping[Any, Any]:
    statement = select(TABLE).where(
        AuditRow.number == int(ask.at.entry), AuditRow.tenant == ask.tenant
    )
    row = (await ask.db.execute(statement)).one_or_none()
    if row is None:
        raise not_found()
    return row._mapping  # noqa: SLF001 - documented


async def show(ask: Named) -> ProofView:
    """Return one, with its proof."""
    row = await _row(ask)
    if row["place"] is None:
        raise ApiError(NO_PROOF)
    try:
        text = await reading.covering(ask.db, row["place"])
        size = note.read_head(text).size
        proof = await reading.inclusion(ask.db, row["place"], size)
    except (SealError, LookupError) as error:
        raise ApiError(NO_PROOF) from error
    return ProofView(
        entry=_view(ask, row),
        size=size,
        proof=tuple(each.hex() for each in proof),
        checkpoint=text,
    )


async def trail(ask: Trailed) -> Stream:
    """Send what there is of a thing, with proofs, as `./everline audit verify` reads it."""
    try:
        lines = await reading.trail(ask.db, ask.tenant, (ask.query.thing,))
    except (SealError, LookupError) as error:
        raise ApiError(NO_PROOF) from error
    if len(lines) <= _BARE:
        raise not_found()
    ask.note(ask.query.thing)
    return Stream(chunks=_sent(lines), media_type=NDJSON)


async def _sent(lines: list[bytes]) -> AsyncIterator[bytes]:
    for each in lines:
        yield each


def _view(ask: AnyAsk, row: Mapping[Any, Any]) -> EntryView:
    origin = row["origin"]
    return EntryView(
        id=str(row["number"]),
        place=row["place"],
        at=instant(row["at_ms"]),
        actor=row["actor"],
        action=row["action"],
        kind=row["kind"],
        thing=row["thing"],
        decision=row["decision"],
        purpose=row["purpose"],
        origin=origin if not origin or _sees_origins(ask) else masked(origin),
        session=row["session"],
        policy=row["policy_version"],
        request=row["request_id"],
        site=row["site"],
        detail=msgspec.json.decode(row["detail"]),
    )


def masked(origin: str) -> str:
    """Return of an address the network that it is of."""
    try:
        address = ipaddress.ip_address(origin)
    except ValueError:
        return "\u2022\u2022\u2022\u2022"
    network = ipaddress.ip_network(f"{address}/{_SHOWN_BITS[address.version]}", strict=False)
    return str(network)


FEATURE = Feature(
    name="audit",
    routes=(
        Route(
            method=Method.GET,
            path="/v1/audit",
            summary="Read the audit log, the newest entries first",
            access=Permission.AUDIT_READ,
            handler=list_all,
            query=AuditListing,
            answer=Page[EntryView],
            problems=(NOT_SEARCHABLE,),
        ),
        Route(
            method=Method.GET,
            path="/v1/audit/{entry}",
            summary="Show an entry of the audit log, with the proof that it stands there",
            access=Permission.AUDIT_READ,
            handler=show,
            at=EntryPath,
            answer=ProofView,
            problems=(NO_PROOF,),
        ),
        Route(
            method=Method.GET,
            path="/v1/audit-trail",
            summary="Get what the audit log has of one thing, with proofs, as a file",
            access=Permission.AUDIT_ORIGIN_READ_FULL,
            handler=trail,
            query=TrailListing,
            gives=NDJSON,
            problems=(NO_PROOF, NOT_FOUND),
        ),
    ),
)
