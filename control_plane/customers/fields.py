"""Which fields of customers are sensitive, and which of these can be searched exactly."""

from __future__ import annotations

from typing import Final, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.customers import sealed, secrets
from control_plane.customers.schemas import CustomerDraft, FieldDraft, FieldsView
from control_plane.errors import invalid
from control_plane.permissions import Permission

Marked: TypeAlias = Ask[Nothing, Nothing, FieldDraft]
TAKEN: Final = frozenset({"id", *CustomerDraft.model_fields})
"""What customers have anyway: in a file's first line nobody could tell the two apart."""


async def list_fields(ask: Ask[Nothing, Nothing, Nothing]) -> FieldsView:
    """Return which fields are sensitive here."""
    return FieldsView(fields=await sealed.fields(ask.db, ask.tenant))


async def mark_field(ask: Marked) -> FieldsView:
    """Mark one as sensitive; who has it already can be found by it, or not, from then on.

    That takes its time where many have it. If we stop there, marking it again goes on.
    """
    name, is_searchable = ask.body.name, ask.body.is_searchable
    if name in TAKEN:
        raise invalid("body.name", f"should be none of {', '.join(sorted(TAKEN))}")
    async with ask.services.database.write() as connection:
        ask.connection = connection
        before = await sealed.fields(connection, ask.tenant)
        await sealed.set_field(connection, ask.tenant, name, is_searchable=is_searchable)
        await ask.audit(name, detail={"is_searchable": is_searchable})
        fields = await sealed.fields(connection, ask.tenant)
    if name in before:
        await secrets.index_all(ask.request.app, ask.tenant, name, is_searchable=is_searchable)
    return FieldsView(fields=fields)


ROUTES: Routes = (
    Route(
        method=Method.GET,
        path="/v1/customer-fields",
        summary="List the sensitive fields of customers",
        access=Permission.CUSTOMER_FIELDS,
        handler=list_fields,
        answer=FieldsView,
    ),
    Route(
        method=Method.POST,
        path="/v1/customer-fields",
        summary="Mark a field of customers as sensitive",
        access=Permission.CUSTOMER_FIELDS,
        handler=mark_field,
        body=FieldDraft,
        answer=FieldsView,
        tx=Tx.NONE,
    ),
)
