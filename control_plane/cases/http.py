"""The endpoints of cases. Each step of a case stands in the customer's history too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Page
from control_plane.api.route import Answer, Check, Feature, Method, Route
from control_plane.api.sight import in_sight
from control_plane.cases import store, workflow
from control_plane.cases.schemas import (
    CaseChange,
    CaseDraft,
    CaseListing,
    CasePath,
    CaseView,
    CustomerPath,
)
from control_plane.customers import service as customers
from control_plane.customers.held import HELD
from control_plane.customers.store import find_all
from control_plane.errors import VERSION_MISMATCH, ApiError, Problem, not_found
from control_plane.history import store as history
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from control_plane.users.store import load_subject

NO_STEP = Problem(status=409, error_id="no-such-step", title="A case in that state has none such")
NO_OWNER = Problem(status=422, error_id="owner-unknown", title="No active user has this id")
Listed: TypeAlias = Ask[Nothing, CaseListing, Nothing]
Named: TypeAlias = Ask[CasePath, Nothing, Nothing]
Drafted: TypeAlias = Ask[CustomerPath, Nothing, CaseDraft]
Changed: TypeAlias = Ask[CasePath, Nothing, CaseChange]


async def _case(ask: Named | Changed) -> store.Case:
    found = await store.find(ask.db, ask.tenant, ask.at.customer, ask.at.case)
    if found is None:
        raise not_found()
    return found


async def _thing(ask: Named | Changed) -> Thing:
    case = await _case(ask)
    return _about(ask, case, customers.about(ask, await customers.load(ask, case.customer)))


def _about(_ask: Ask[Any, Any, Any], case: store.Case, customer: Thing) -> Thing:
    """Return what the policy is asked about: who talks to the customer, and whose case it is."""
    return Thing(
        kind="case",
        tenant=case.tenant,
        id=case.id,
        agent=case.owner_agent,
        on_call_with=customer.on_call_with,
        digest=str(case.version),
    )


def _view(case: store.Case, now_ms: int) -> CaseView:
    return CaseView(
        id=case.id,
        customer=case.customer,
        kind=case.kind,
        state=case.state,
        steps=workflow.steps_from(case.state),
        title=case.title,
        text=case.text,
        owner=case.owner,
        due=instant(case.due_ms),
        is_overdue=workflow.is_overdue(case.state, case.due_ms, now_ms),
        is_escalated=case.is_escalated,
        created=instant(case.created_ms),
        updated=instant(case.updated_ms),
    )


async def list_all(ask: Listed) -> Page[CaseView]:
    """Return those of a page that the policy lets the subject see."""
    things: dict[str, Thing] = {}

    async def page(listing: CaseListing) -> tuple[list[store.Case], str | None]:
        cases, after = await store.page(ask.db, ask.tenant, listing, ask.now_ms)
        whose = await find_all(ask.db, ask.tenant, {each.customer for each in cases})
        things.update((each.id, customers.about(ask, each)) for each in whose)
        return cases, after

    def sees(case: store.Case) -> bool:
        # Somebody may have been erased between the two looks, with their cases.
        customer = things.get(case.customer)
        return customer is not None and ask.sees(_about(ask, case, customer))

    seen, after = await in_sight(page, ask.query, sees)
    return Page[CaseView](items=tuple(_view(each, ask.now_ms) for each in seen), next=after)


async def show(ask: Named) -> Answer[CaseView]:
    """Return one."""
    case = await _case(ask)
    return Answer(body=_view(case, ask.now_ms), version=case.version)


async def create(ask: Drafted) -> Answer[CaseView]:
    """Open one on a customer."""
    draft = ask.body
    owner, agent = await _owner(ask, draft.owner or ask.subject.id)
    due_ms = draft.due_in_h * workflow.HOUR_MS if draft.due_in_h else workflow.DUE_MS[draft.kind]
    case = store.Case(
        id=fresh("cas", ask.now_ms),
        tenant=ask.tenant,
        customer=ask.at.customer,
        kind=draft.kind,
        state=workflow.State.OPEN,
        title=draft.title,
        text=draft.text,
        owner=owner,
        owner_agent=agent,
        due_ms=ask.now_ms + due_ms,
        is_escalated=False,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
    )
    await store.create(ask.db, case)
    await _note(ask, case, "opened")
    # Under the customer's path: erasing the customer finds the kept answers by it.
    headers = {"Location": f"/v1/customers/{case.customer}/cases/{case.id}"}
    return Answer(body=_view(case, ask.now_ms), version=1, headers=headers)


async def change(ask: Changed) -> Answer[CaseView]:
    """Take a step with one, give it to somebody, or escalate it."""
    case, wanted = await _case(ask), ask.body
    if case.version != ask.version:
        raise ApiError(VERSION_MISMATCH)
    values: dict[str, object] = {}
    if wanted.step is not None:
        state = workflow.step(case.state, wanted.step)
        if state is None:
            known = [each.value for each in workflow.steps_from(case.state)]
            raise ApiError(NO_STEP, details={"steps": known})
        values["state"] = state
    if wanted.owner is not None:
        values["owner"], values["owner_agent"] = await _owner(ask, wanted.owner)
    if wanted.due_in_h is not None:
        values["due_ms"] = ask.now_ms + wanted.due_in_h * workflow.HOUR_MS
    if wanted.is_escalated is not None:
        values["is_escalated"] = wanted.is_escalated
    changed = await store.change(ask.db, case, values, ask.now_ms)
    if changed is None:
        raise ApiError(VERSION_MISMATCH)
    for what in _words(wanted):
        await _note(ask, changed, what)
    await ask.audit(case.id, detail={"changed": sorted(values)})
    return Answer(body=_view(changed, ask.now_ms), version=changed.version)


def _words(wanted: CaseChange) -> list[str]:
    """Return what the history says of a change."""
    words = [wanted.step.value] if wanted.step is not None else []
    words += ["owner"] if wanted.owner is not None else []
    words += ["due"] if wanted.due_in_h is not None else []
    if wanted.is_escalated is not None:
        words.append("escalated" if wanted.is_escalated else "calmed")
    return words


async def _owner(ask: Drafted | Changed, user: str) -> tuple[str, str]:
    found = await load_subject(ask.db, user)
    if found is None or found.tenant != ask.tenant or not found.is_active:
        raise ApiError(NO_OWNER)
    return found.id, found.agent


async def _note(ask: Drafted | Changed, case: store.Case, what: str) -> None:
    await history.add(
        ask.db,
        history.Interaction(
            tenant=ask.tenant,
            customer=case.customer,
            at_ms=ask.now_ms,
            kind="case",
            reference=case.id,
            what=what,
            by=ask.subject.id,
        ),
    )
    await ask.audit(case.id, detail={"what": what})


async def _context(app: web.Application) -> AsyncIterator[None]:
    app[HELD]["cases"] = store.of_customer
    yield


FEATURE = Feature(
    name="cases",
    context=_context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/cases",
            summary="List cases, those due first coming first",
            access=Permission.CASE_READ,
            check=Check.EACH,
            handler=list_all,
            query=CaseListing,
            answer=Page[CaseView],
        ),
        Route(
            method=Method.POST,
            path="/v1/customers/{customer}/cases",
            summary="Open a case on a customer",
            access=Permission.CASE_CREATE,
            handler=create,
            thing=customers.named,
            at=CustomerPath,
            body=CaseDraft,
            answer=CaseView,
            status=201,
            is_versioned=True,
            is_idempotent=True,
            problems=(NO_OWNER,),
        ),
        Route(
            method=Method.GET,
            path="/v1/customers/{customer}/cases/{case}",
            summary="Show a case",
            access=Permission.CASE_READ,
            handler=show,
            thing=_thing,
            at=CasePath,
            answer=CaseView,
            is_versioned=True,
            varies=True,
        ),
        Route(
            method=Method.PATCH,
            path="/v1/customers/{customer}/cases/{case}",
            summary="Take a step with a case, give it to somebody, or escalate it",
            access=Permission.CASE_UPDATE,
            handler=change,
            thing=_thing,
            at=CasePath,
            body=CaseChange,
            answer=CaseView,
            is_versioned=True,
            problems=(NO_STEP, NO_OWNER),
        ),
    ),
)
