"""The endpoints of the policy: what holds, what is proposed, tried, and applied by two."""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Cursor, Page
from control_plane.api.route import Feature, Method, Route, Tx
from control_plane.approvals import store as approvals
from control_plane.errors import ApiError, PolicyError, Problem, invalid, not_found
from control_plane.permissions import Permission
from control_plane.policies import bounds, store
from control_plane.policies.loader import LOADER, context
from control_plane.policies.schemas import (
    PolicyListing,
    PolicyPath,
    PolicyVersionDetail,
    PolicyVersionView,
    PolicyView,
    Proposal,
    Trial,
    TrialCase,
    TrialView,
    TriedView,
)
from control_plane.policies.store import PolicyVersion
from control_plane.policies.trial import Tried, platform_cases, tried
from control_plane.policies.trying import TRIALS, cases
from control_plane.policy import Policy
from control_plane.subjects import ANY_TENANT, Circumstances, Grant, Question, Subject, Thing

Any_: TypeAlias = Ask[Nothing, Nothing, Nothing]
Listed: TypeAlias = Ask[Nothing, PolicyListing, Nothing]
Named: TypeAlias = Ask[PolicyPath, Nothing, Nothing]
Proposed: TypeAlias = Ask[Nothing, Nothing, Proposal]
Tested: TypeAlias = Ask[Nothing, Nothing, Trial]
_SORT: Final = "-number"
OUTDATED: Final = Problem(
    status=409, error_id="policy-outdated", title="A later version has been proposed or holds"
)


def digest(version: PolicyVersion) -> str:
    """Return what an approval is bound to: exactly these lines, in this place."""
    return hashlib.sha256(f"{version.number}\n{version.text}".encode()).hexdigest()[:16]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line)


# ---- reading -------------------------------------------------------------------------------------


async def show(ask: Any_) -> PolicyView:
    """Return what holds here."""
    authz = ask.services.authz
    joined, base = authz.policy_of(ask.tenant), authz.base
    platform = tuple(str(line) for line in base.lines if line.dom in (ANY_TENANT, ask.tenant))
    kept = set(base.lines)
    return PolicyView(
        version=joined.version,
        number=ask.request.app[LOADER].number(ask.tenant),
        platform=platform,
        own=tuple(str(line) for line in joined.lines if line not in kept),
    )


async def list_versions(ask: Listed) -> Page[PolicyVersionView]:
    """Return proposals, the newest first."""
    query = ask.query
    paging.check_order(query, _SORT)
    after = paging.number_after(query, _SORT)
    before = None if after is None else after[0]
    found = await store.before(ask.db, ask.tenant, before, query.limit + 1)
    standing = await store.standing(ask.db, ask.tenant)
    page, following = paging.cut(
        found, query, lambda last: Cursor(_SORT, last.number, str(last.number))
    )
    items = tuple(_view(each, standing) for each in page)
    return Page[PolicyVersionView](items=items, next=following)


async def show_version(ask: Named) -> PolicyVersionDetail:
    """Return one, with how it differs from what holds."""
    return _detail(await _version(ask), await store.standing(ask.db, ask.tenant))


async def _version(ask: Named) -> PolicyVersion:
    found = await store.find(ask.db, ask.tenant, ask.at.number)
    if found is None:
        raise not_found()
    return found


def _view(version: PolicyVersion, standing: PolicyVersion | None) -> PolicyVersionView:
    holds = standing is not None and standing.number == version.number
    is_past = standing is not None and version.number < standing.number
    return PolicyVersionView(
        number=version.number,
        state="holds" if holds else "past" if is_past else "proposed",
        by=version.by,
        why=version.why,
        at=instant(version.at_ms),
        applied_by=version.applied_by,
        applied=None if version.applied_ms is None else instant(version.applied_ms),
        digest=digest(version),
    )


def _detail(version: PolicyVersion, standing: PolicyVersion | None) -> PolicyVersionDetail:
    lines, held = _lines(version.text), () if standing is None else _lines(standing.text)
    return PolicyVersionDetail(
        **_view(version, standing).model_dump(),
        lines=lines,
        added=tuple(each for each in lines if each not in held),
        removed=tuple(each for each in held if each not in lines),
    )


# ---- changing ------------------------------------------------------------------------------------


def _checked(ask: Ask[Nothing, Nothing, Proposal] | Tested, lines: tuple[str, ...]) -> Policy:
    """Return the lines. Raise `invalid`, which tells the first that will not do."""
    try:
        return bounds.proposed("\n".join(lines), ask.services.authz.base, ask.tenant)
    except PolicyError as error:
        raise invalid("body.lines", str(error)) from error


async def propose(ask: Proposed) -> PolicyVersionDetail:
    """Keep lines that could hold; they do not yet."""
    own = _checked(ask, ask.body.lines)
    version = PolicyVersion(
        tenant=ask.tenant,
        number=await store.newest(ask.db, ask.tenant) + 1,
        text="\n".join(str(line) for line in own.lines),
        by=ask.subject.id,
        why=ask.body.why,
        at_ms=ask.now_ms,
    )
    if not await store.propose(ask.db, version):
        raise ApiError(OUTDATED)
    await ask.audit(str(version.number), detail={"why": version.why, "digest": digest(version)})
    return _detail(version, await store.standing(ask.db, ask.tenant))


async def _applied(ask: Named) -> Thing:
    await approvals.bring(ask)
    version = await _version(ask)
    return Thing(kind="policy", tenant=ask.tenant, id=str(version.number), digest=digest(version))


async def apply(ask: Named) -> PolicyVersionDetail:
    """Let a proposal hold, by a second person's approval."""
    version = await _version(ask)
    standing = await store.standing(ask.db, ask.tenant)
    is_newest = await store.newest(ask.db, ask.tenant) == version.number
    if not is_newest or (standing is not None and standing.number >= version.number):
        raise ApiError(OUTDATED)
    # The platform's policy may be another one than when this was proposed.
    try:
        bounds.proposed(version.text, ask.services.authz.base, ask.tenant)
    except PolicyError as error:
        raise ApiError(OUTDATED, str(error)) from error
    await approvals.use(ask)
    if not await store.apply(ask.db, version, by=ask.subject.id, now_ms=ask.now_ms):
        raise ApiError(OUTDATED)
    await ask.audit(str(version.number), detail={"digest": digest(version)})
    return _detail(await _version(ask), await store.standing(ask.db, ask.tenant))


# ---- trying --------------------------------------------------------------------------------------


async def test(ask: Tested) -> TrialView:
    """Decide cases under what holds and with other lines; nothing is written."""
    authz = ask.services.authz
    if ask.body.lines is None:
        kept = set(authz.base.lines)
        held = tuple(str(e) for e in authz.policy_of(ask.tenant).lines if e not in kept)
        own = _checked(ask, held)
    else:
        own = _checked(ask, ask.body.lines)
    asked = tuple((each.case, _question(ask, each), each.allow) for each in ask.body.cases)
    folder, tenant = ask.services.settings.policies, ask.tenant

    def compute() -> tuple[Tried, ...]:
        return tried(authz, own, tenant, (*asked, *platform_cases(cases(folder), tenant)))

    found = await ask.request.app[TRIALS].run(compute)
    sent, others = found[: len(asked)], found[len(asked) :]
    return TrialView(
        cases=tuple(map(_tried, sent)),
        platform_cases=len(others),
        differing=tuple(_tried(e) for e in others if e.now.allowed is not e.then.allowed),
    )


def _tried(each: Tried) -> TriedView:
    return TriedView(
        case=each.case,
        may=each.then.permission.value,
        now=each.now.allowed,
        then=each.then.allowed,
        why=each.then.why.value,
        line=None if each.then.line is None else str(each.then.line),
        is_as_wanted=None if each.wanted is None else each.then.allowed is each.wanted,
    )


def _question(ask: Tested, case: TrialCase) -> Question:
    facts = case.thing.model_dump()
    if facts["on_call_with"] is not None:
        facts["on_call_with"] = frozenset(facts["on_call_with"])
    return Question(
        subject=Subject(
            id="usr_of_a_trial",
            tenant=ask.tenant,
            grants=frozenset(Grant(role=role, tenant=ask.tenant) for role in case.roles),
            **case.subject.model_dump(),
        ),
        tenant=ask.tenant,
        permission=case.may,
        thing=Thing(kind=case.may.kind, tenant=ask.tenant, **facts),
        around=Circumstances(now_ms=ask.now_ms, purpose=case.purpose),
    )


FEATURE = Feature(
    name="policies",
    context=context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/policy",
            summary="Show the policy that holds here",
            access=Permission.POLICY_READ,
            handler=show,
            answer=PolicyView,
        ),
        Route(
            method=Method.GET,
            path="/v1/policy/versions",
            summary="List the versions of the tenant's own lines",
            access=Permission.POLICY_READ,
            handler=list_versions,
            query=PolicyListing,
            answer=Page[PolicyVersionView],
        ),
        Route(
            method=Method.POST,
            path="/v1/policy/versions",
            summary="Propose the tenant's own lines",
            access=Permission.POLICY_PROPOSE,
            handler=propose,
            body=Proposal,
            answer=PolicyVersionDetail,
            status=201,
            is_idempotent=True,
            problems=(OUTDATED,),
        ),
        Route(
            method=Method.GET,
            path="/v1/policy/versions/{number}",
            summary="Show a version of the tenant's own lines",
            access=Permission.POLICY_READ,
            handler=show_version,
            at=PolicyPath,
            answer=PolicyVersionDetail,
        ),
        Route(
            method=Method.POST,
            path="/v1/policy/versions/{number}/apply",
            summary="Let a proposal hold",
            access=Permission.POLICY_APPLY,
            handler=apply,
            is_sealed=True,
            thing=_applied,
            takes_approval=True,
            at=PolicyPath,
            answer=PolicyVersionDetail,
            problems=(OUTDATED,),
        ),
        Route(
            method=Method.POST,
            path="/v1/policy/trial",
            summary="Try lines on cases; nothing is written",
            access=Permission.POLICY_READ,
            handler=test,
            body=Trial,
            answer=TrialView,
            tx=Tx.NONE,
        ),
    ),
)
