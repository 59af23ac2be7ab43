"""The endpoints of each section: list, show, add, replace, delete; all by one pattern.

A section's models are made from its table, so that the API takes what a file takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from control_plane.api.ask import Ask
from control_plane.api.model import ApiModel
from control_plane.api.paging import Page
from control_plane.api.route import Answer, AnyRoute, Check, Method, Route, Tx
from control_plane.api.sight import in_sight
from control_plane.configuration import store, telling, traffic
from control_plane.configuration.book import Newest, Outcome
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import Body, Edit, Item, secrets_of
from control_plane.configuration.errors import (
    BROKEN,
    DID_NOT_ASSIGNED,
    DOES_NOT_FIT,
    ID_NOT_YOURS,
    PLAN_ACTIVE,
    TAKEN,
)
from control_plane.configuration.models import body_model, draft_model, view_model
from control_plane.configuration.moving import Edits, moved, note_forced
from control_plane.configuration.nouns import ACTIVATIONS, OWN_SHAPES, Noun
from control_plane.configuration.schemas import (
    ItemListing,
    ItemPath,
    Moved,
    MoveTrial,
    MoveView,
    Trial,
    Written,
)
from control_plane.errors import VERSION_MISMATCH, ApiError, invalid, not_found
from control_plane.subjects import Thing
from state.configuration import SECTIONS
from state.configuration_writing import table_of
from state.model import MAIN

AnyAsk = Ask[Any, Any, Any]
_UNTOLD: Final = frozenset({"tenant", "ha1"})
"""What nobody sends: whose it is follows from where they act."""
_EMPLOYED: Final = frozenset({"agents", "queues"})
"""What may be an outsourcer's."""


def routes(noun: Noun) -> tuple[AnyRoute, ...]:
    """Return the endpoints of a section."""
    resource = _Resource(noun)
    return (*_reading(noun, resource), _adding(noun, resource), *_changing(noun, resource))


def _reading(noun: Noun, resource: _Resource) -> tuple[AnyRoute, ...]:
    return (
        Route(
            method=Method.GET,
            path=resource.path,
            summary=f"List: {noun.one}s",
            access=noun.read,
            check=Check.EACH,
            handler=_named(resource.list_all, f"list_{noun.section}"),
            query=ItemListing,
            answer=resource.page,
        ),
        Route(
            method=Method.GET,
            path=f"{resource.path}/{{id}}",
            summary=f"Show a {noun.one}",
            access=noun.read,
            handler=_named(resource.show, f"show_{noun.section}"),
            thing=resource.thing,
            at=ItemPath,
            answer=resource.view,
            is_versioned=True,
        ),
    )


def _adding(noun: Noun, resource: _Resource) -> AnyRoute:
    return Route(
        method=Method.POST,
        path=resource.path,
        summary=f"Add a {noun.one}",
        access=noun.update,
        handler=_named(resource.add, f"add_{noun.section}"),
        query=Trial,
        body=resource.draft,
        answer=Written,
        status=201,
        is_idempotent=True,
        problems=(BROKEN, TAKEN, ID_NOT_YOURS, DID_NOT_ASSIGNED),
    )


def _changing(noun: Noun, resource: _Resource) -> tuple[AnyRoute, ...]:
    can_move = noun.section in traffic.REPLACED
    trial, written = (MoveTrial, Moved) if can_move else (Trial, Written)
    tx = Tx.NONE if can_move else Tx.WRITE
    refused = (BROKEN, DOES_NOT_FIT, PLAN_ACTIVE) if can_move else (BROKEN, PLAN_ACTIVE)
    return (
        Route(
            method=Method.PUT,
            path=f"{resource.path}/{{id}}",
            summary=f"Replace a {noun.one}",
            access=noun.update,
            handler=_named(resource.replace, f"replace_{noun.section}"),
            thing=resource.thing,
            at=ItemPath,
            query=trial,
            body=resource.body,
            answer=written,
            is_versioned=True,
            tx=tx,
            problems=refused,
        ),
        Route(
            method=Method.DELETE,
            path=f"{resource.path}/{{id}}",
            summary=f"Delete a {noun.one}",
            access=noun.update,
            handler=_named(resource.delete, f"delete_{noun.section}"),
            thing=resource.thing,
            at=ItemPath,
            query=trial,
            answer=written,
            is_versioned=True,
            tx=tx,
            problems=refused,
        ),
    )


class _Resource:
    """What the endpoints of a section do, and in which models."""

    def __init__(self, noun: Noun) -> None:
        self._noun = noun
        self.path = f"/v1/{noun.section.replace('_', '-')}"
        unsent = _UNTOLD - {"tenant"} if noun.section == "dids" else _UNTOLD
        singular = "".join(word.title() for word in noun.section.rstrip("s").split("_"))
        self.body = body_model(f"{singular}Body", noun.shape, but=unsent)
        self.draft = draft_model(f"{singular}Draft", noun.shape, but=unsent)
        self.view: type[ApiModel] = view_model(f"{singular}View", noun.shape)
        self.page: type[Page[Any]] = Page[self.view]  # type: ignore[name-defined]

    async def list_all(self, ask: AnyAsk) -> Page[Any]:
        section = self._noun.section
        tenant = None if self._noun.is_platform else ask.tenant
        seen, after = await in_sight(
            partial(store.page, ask.db, tenant, section),
            ask.query,
            lambda item: ask.sees(self._thing(ask, item)),
        )
        return self.page(items=tuple(self._view(item) for item in seen), next=after)

    async def show(self, ask: AnyAsk) -> Answer[Any]:
        item = await self._item(ask)
        return Answer(body=self._view(item), version=item.since)

    async def add(self, ask: AnyAsk) -> Answer[Written]:
        if self._noun.is_platform and ask.tenant != MAIN:
            raise not_found()
        sent = ask.body.model_dump(mode="json", exclude_unset=True)
        identifier = sent.pop("id")
        tenant = self._tenant_of_new(ask, identifier, sent)
        check_new(self._noun, identifier)

        def edits(now: Newest) -> list[Edit]:
            if (self._noun.section, identifier) in now.document:
                raise ApiError(TAKEN)
            return [self._edit(identifier, sent, tenant, None)]

        outcome = await self._write(ask, edits)
        return self._answer(ask, outcome, status=201 if outcome.is_written else 200)

    async def replace(self, ask: AnyAsk) -> Answer[Written]:
        sent = ask.body.model_dump(mode="json", exclude_unset=True)
        if "tenant" in sent:
            raise invalid("body.tenant", "is said when a number is added, and stays")

        def edits(now: Newest) -> list[Edit]:
            held = self._held(ask, now)
            return [self._edit(ask.at.id, sent, held.tenant, held.body)]

        return await self._change(ask, edits)

    async def delete(self, ask: AnyAsk) -> Answer[Written]:
        def edits(now: Newest) -> list[Edit]:
            held = self._held(ask, now)
            return [Edit(section=held.section, id=held.id, body=None)]

        return await self._change(ask, edits)

    async def thing(self, ask: AnyAsk) -> Thing:
        return self._thing(ask, await self._item(ask))

    # -- what they share

    async def _change(self, ask: AnyAsk, edits: Callable[[Newest], list[Edit]]) -> Answer[Any]:
        """Replace or delete one; where that can move traffic, what it comes to is looked at."""
        if self._noun.section not in traffic.REPLACED:
            return self._answer(ask, await self._write(ask, edits))

        async def write(view: MoveView | None, still: Edits) -> Answer[Any]:
            async with ask.services.database.write() as connection:
                ask.connection = connection
                await note_forced(ask, view, ask.query.why)
                outcome = await self._write(ask, still)
            answer = self._answer(ask, outcome)
            return replace(answer, body=Moved(**dict(answer.body or {}), move=view))

        return await moved(ask, edits, write)  # it takes its time, and nobody else's turn to write

    async def _item(self, ask: AnyAsk) -> Item:
        if ask.connection is None:
            async with ask.services.database.read() as connection:
                found = await store.find(connection, self._noun.section, ask.at.id)
        else:
            found = await store.find(ask.db, self._noun.section, ask.at.id)
        if found is None:
            raise not_found()
        return found

    def _thing(self, ask: AnyAsk, item: Item) -> Thing:
        is_read = ask.route.access is self._noun.read
        return Thing(
            kind=self._noun.read.kind,
            tenant=ask.tenant if self._noun.is_platform and is_read else item.tenant,
            id=item.id,
            agent=item.id if item.section == "agents" else None,
            team=item.id if item.section == "teams" else item.body.get("team", ""),
            site=item.id if item.section == "sites" else item.body.get("site"),
            employer=item.body.get("employer", "") if item.section in _EMPLOYED else None,
            digest=str(item.since),
        )

    def _view(self, item: Item) -> Any:  # noqa: ANN401 - the section's own model
        told = telling.without_secrets(item.body) | {
            "id": item.id,
            "tenant": item.tenant,
            "version": item.since,
        }
        return self.view.model_validate(told)

    def _held(self, ask: AnyAsk, now: Newest) -> Item:
        """Return what is to be changed, as the client has read it."""
        held = now.document.get((self._noun.section, ask.at.id))
        if held is None:
            raise not_found()
        if held.since != ask.version:
            raise ApiError(VERSION_MISMATCH)
        if self._noun.section == "plans" and (ACTIVATIONS, held.id) in now.document:
            raise ApiError(PLAN_ACTIVE, "Revert it first.")
        return held

    def _tenant_of_new(self, ask: AnyAsk, identifier: str, sent: dict[str, Any]) -> str:
        if self._noun.section == "dids":
            if ask.tenant != MAIN:
                raise ApiError(DID_NOT_ASSIGNED)
            return str(sent.pop("tenant", MAIN))
        if ask.tenant != MAIN and not identifier.startswith(f"{ask.tenant}."):
            raise ApiError(ID_NOT_YOURS, f"Begin it with {ask.tenant}. and a name.")
        return ask.tenant

    def _edit(self, identifier: str, sent: Body, tenant: str, held: Body | None) -> Edit:
        body = dict(sent)
        if held is not None and "password" not in body:
            body |= secrets_of(held)
        if not self._noun.is_platform:
            body["tenant"] = tenant
        return Edit(
            section=self._noun.section, id=identifier, body=canonical(self._noun, identifier, body)
        )

    async def _write(self, ask: AnyAsk, edits: Callable[[Newest], list[Edit]]) -> Outcome:
        trial: Trial = ask.query
        return await ask.request.app[DESK].book.write(
            ask, ask.db, edits, what="edited", why=trial.why, dry_run=trial.dry_run
        )

    def _answer(self, ask: AnyAsk, outcome: Outcome, status: int = 200) -> Answer[Written]:
        own = next((each for each in outcome.changes if each.section == self._noun.section), None)
        told = telling.written(outcome, ask.tenant)
        is_there = outcome.is_written and own is not None and own.after is not None
        version = outcome.number if is_there else None
        return Answer(body=told, status=status, version=version)


def check_new(noun: Noun, identifier: str) -> None:
    """Raise `invalid` if none may be added under this id."""
    section = SECTIONS.get(noun.section)
    if section is not None and section.check_new is not None:
        try:
            section.check_new(identifier)
        except ValueError as error:
            raise invalid("body.id", str(error)) from error


def canonical(noun: Noun, identifier: str, body: Body) -> Body:
    """Return the table as it would be written anew: defaults left out, passwords as HA1.

    Raise `invalid` if it is none.
    """
    try:
        table = msgspec.convert(body, noun.shape)
        if noun.section in SECTIONS:
            return table_of(SECTIONS[noun.section].make(identifier, table))
    except ValueError as error:
        raise invalid("body", str(error)) from error
    made: Body = msgspec.to_builtins(table)
    plain = msgspec.to_builtins(OWN_SHAPES[noun.section]())
    return {name: value for name, value in made.items() if plain[name] != value}


def _named(
    handler: Callable[[AnyAsk], Awaitable[Any]], name: str
) -> Callable[[AnyAsk], Awaitable[Any]]:
    """Return the handler under a name of its own, which becomes its operation's."""

    async def handle(ask: AnyAsk) -> Any:  # noqa: ANN401 - whatever it answers
        return await handler(ask)

    handle.__name__ = name
    return handle
