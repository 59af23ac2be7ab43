"""The way in: who asks, where they act, whether they ask too often, and what the policy says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import web

from control_plane.api.deciding import decided
from control_plane.api.route import AnyRoute, Check, Public
from control_plane.authz import Decision, Why
from control_plane.conditions import has_legal_hold
from control_plane.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    SIGN_IN_NEEDED,
    TOO_MANY,
    UNAVAILABLE,
    ApiError,
    Problem,
)
from control_plane.permissions import LIVE_CALL, Permission
from control_plane.services import Services
from control_plane.subjects import Question, Subject, counts
from control_plane.tokens import SERVICE, TokenInvalidError, digest_of, is_service_token
from control_plane.who import Known
from state.keys import is_id
from state.model import Now

log = structlog.get_logger()


HELD: Final = has_legal_hold.__name__
UNDER_HOLD: Final = "It has to be kept: there is a legal hold on it."
"""Told to whoever may see the thing and could do this to another one."""


class DeniedError(ApiError):
    """The policy says no."""

    def __init__(
        self,
        problem: Problem,
        question: Question,
        decision: Decision,
        details: Mapping[str, object] | None = None,
    ) -> None:
        is_held = decision.line is not None and decision.line.cond == HELD
        says_so = is_held and bool(question.thing.has_legal_hold) and problem is FORBIDDEN
        super().__init__(problem, UNDER_HOLD if says_so else "", details=details)
        self.thing = question.thing.id
        self.why = decision.why
        self.line = str(decision.line) if decision.line else ""


PURPOSE_CHARS: Final = 200
CHALLENGE = {"WWW-Authenticate": "Bearer"}
SUBPROTOCOL = "bearer."


async def identify(
    services: Services, route: AnyRoute, request: web.Request, now: Now
) -> Known | None:
    """Return who asks; None where the route is public. Raise `sign-in-needed`."""
    if isinstance(route.access, Public):
        _limit(services.strangers.take(request.remote or "", now.mono_s))
        return None
    kind, token = _token(route, request)
    try:
        if kind.lower() != "bearer":
            raise TokenInvalidError  # noqa: TRY301 - one answer for all that is no token
        subject, session = _who(services, token.strip(), now)
    except TokenInvalidError as error:
        _limit(services.strangers.take(request.remote or "", now.mono_s))
        raise ApiError(SIGN_IN_NEEDED, headers=CHALLENGE) from error
    known = await services.subjects.find(subject, session, now.mono_s)
    if known is None or not counts(known.subject, now.wall_ms):
        if session == SERVICE:
            _limit(services.strangers.take(request.remote or "", now.mono_s))
        raise ApiError(SIGN_IN_NEEDED, headers=CHALLENGE)
    if session == SERVICE:
        services.subjects.uses[known.subject.id] = now.wall_ms
    _limit(services.buckets.take(known.subject.id, now.mono_s))
    if not known.is_fresh and route.access not in LIVE_CALL:
        # Roles may have been taken away meanwhile: only whoever talks to a caller goes on.
        raise ApiError(UNAVAILABLE)
    return known


async def known_now(
    services: Services, route: AnyRoute, request: web.Request, subject: Subject, now: Now
) -> Known | None:
    """Return who has begun this request, as they are now; None: they are signed out.

    Whether a session's access token is over does not matter: it was good when they came.
    """
    token = _token(route, request)[1].strip()
    is_machine = is_service_token(token)
    key = (digest_of(token), SERVICE) if is_machine else (subject.id, subject.session)
    return await services.subjects.find(*key, now.mono_s)


def _who(services: Services, token: str, now: Now) -> tuple[str, str]:
    """Return whom to look up: a user's id and session, or a machine by its token's digest."""
    if is_service_token(token):
        return digest_of(token), SERVICE
    claims = services.tokens.read(token, now_s=now.wall_ms // 1000)
    return claims.subject, claims.session


def _token(route: AnyRoute, request: web.Request) -> tuple[str, str]:
    sent = request.headers.get("Authorization")
    if sent is None and route.is_socket:
        for each in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
            if each.strip().startswith(SUBPROTOCOL):
                return "bearer", each.strip().removeprefix(SUBPROTOCOL)
    kind, _, token = (sent or "").partition(" ")
    return kind, token


def tenant(route: AnyRoute, subject: Subject | None, request: web.Request) -> str:
    """Return where the request acts: the header says it for whoever has roles in several."""
    sent = request.headers.get("Everline-Tenant")
    if sent is None and route.is_socket:
        sent = request.query.get("tenant")
    if sent is None:
        return subject.tenant if subject else ""
    if not is_id(sent):
        raise ApiError(BAD_REQUEST, "Everline-Tenant should be a tenant's id.")
    return sent


def purpose(request: web.Request) -> str:
    """Return what the request says that it is for. It goes into the audit log, so it is text."""
    sent = request.headers.get("Everline-Purpose", "")
    if not sent.isprintable():
        raise ApiError(BAD_REQUEST, "Everline-Purpose should be printable text in UTF-8.")
    return sent[:PURPOSE_CHARS]


def first_look(services: Services, question: Question) -> Decision:
    """Refuse whoever could not do this to anything: before the body is read, or a row."""
    decision = services.authz.may_ever(question)
    if not decision.allowed:
        _note(services, question, decision)
        why = _why(services, question, decision)
        raise DeniedError(FORBIDDEN, question, decision, why)
    return decision


def decide(services: Services, route: AnyRoute, question: Question) -> Decision:
    """Refuse unless the policy allows it. What may not be seen answers as if it were missing."""
    if route.check is Check.EACH:
        return services.authz.may_ever(question)
    decision = decided(services.authz, question)
    _note(services, question, decision)
    if decision.allowed:
        return decision
    is_named = route.thing is not None and question.thing.id != ""
    if decision.why is Why.FOREIGN or (is_named and not services.authz.may_see(question)):
        raise DeniedError(NOT_FOUND, question, decision)
    why = _why(services, question, decision)
    raise DeniedError(FORBIDDEN, question, decision, why)


def _why(services: Services, question: Question, decision: Decision) -> dict[str, object]:
    """Return the reason, for those who may read the policy."""
    asked = Question(
        subject=question.subject,
        tenant=question.tenant,
        permission=Permission.POLICY_READ,
        thing=question.thing,
        around=question.around,
    )
    if not services.authz.may_ever(asked).allowed:
        return {}
    line = str(decision.line) if decision.line else None
    return {
        "decision": {
            "permission": decision.permission.value,
            "why": decision.why.value,
            "line": line,
            "policy": decision.policy_version,
        }
    }


def _note(services: Services, question: Question, decision: Decision) -> None:
    permission = decision.permission
    services.metrics.decisions.labels(permission.kind, permission.act, decision.why.value).inc()
    log.info(
        "decision",
        subject=question.subject.id,
        tenant=question.tenant,
        permission=permission.value,
        thing=question.thing.id,
        allowed=decision.allowed,
        why=decision.why.value,
        policy=decision.policy_version,
    )


def _limit(wait_s: float) -> None:
    if wait_s > 0:
        headers = {"Retry-After": str(int(wait_s) + 1)}
        raise ApiError(TOO_MANY, headers=headers)
