"""What the audit log gets of a request without its handler's doing: denials, and what was shown.

Whoever changes something writes it down in the change's own transaction (`Ask.audit`). What is
noted here is written a moment later (`control_plane.audit.journal`), so that no reader waits.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from control_plane.api.ask import Ask
from control_plane.api.gate import DeniedError
from control_plane.errors import ApiError
from control_plane.permissions import Permission

AnyAsk = Ask[Any, Any, Any]
TELLING: Final = frozenset({"audit", "call", "case", "customer", "recording"})
"""Kinds of which each look is written down: they hold what customers are, said or did."""
_REFUSED: Final = 403
_LISTS: Final = ("items", "customers")


def denial(ask: AnyAsk, error: ApiError) -> None:
    """Note that somebody was refused, by the policy or by a rule of the handler's own."""
    if ask.who is None or not isinstance(ask.route.access, Permission):
        return
    detail: dict[str, Any] = {"route": ask.route.name}
    if isinstance(error, DeniedError):
        thing, why = error.thing, error.why.value
        if error.line:
            detail["line"] = error.line
    elif error.problem.status == _REFUSED:
        thing, why = ask.thing.id if ask.thing else "", error.problem.error_id
    else:
        return
    entry = ask.entry(thing, decision=why, detail=detail)
    if not ask.who.roles_in(ask.tenant):
        # Who has no business in a tenant puts nothing into its log, but into that of their own.
        detail["in"] = ask.tenant
        entry = ask.entry(thing, decision=why, detail=detail, tenant=ask.who.tenant)
    ask.services.journal.note(entry)


def is_telling(ask: AnyAsk) -> bool:
    """Return whether a look at this is written down."""
    access = ask.route.access
    return isinstance(access, Permission) and access.kind.partition(".")[0] in TELLING


def look(ask: AnyAsk, body: object = None) -> None:
    """Note what was shown: the thing, or the ids of what a listing had, and which groups."""
    detail: dict[str, Any] = {"route": ask.route.name}
    if ask.shown:
        detail["shown"] = sorted(ask.shown)
    if isinstance(body, BaseModel) and (ids := _ids(body)) is not None:
        detail["things"] = ids
    ask.note(ask.thing.id if ask.thing else "", detail=detail)


def _ids(body: BaseModel) -> list[str] | None:
    """Return the ids of what a listing has; None: it is no listing."""
    for name in _LISTS:
        items = getattr(body, name, None)
        if isinstance(items, tuple):
            return [each.id for each in items if isinstance(getattr(each, "id", None), str)]
    return None
