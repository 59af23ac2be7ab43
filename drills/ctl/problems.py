"""PURE. What a control plane says when it says no (RFC 9457), in words for people."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from drills.ctl.show import harmless
from state.codec import UNREADABLE

CONFLICT: Final = "version-mismatch"
FORBIDDEN: Final = "forbidden"
_WAYS_OUT: Final = {
    "sign-in-needed": "sign in again: ./everline ctl sign-in",
    "refresh-refused": "the session is over: ./everline ctl sign-in",
    "too-many-requests": "wait a moment",
    "keys-missing": "the control plane has no customer_keys; see docs/control_plane.md",
}


class Problem(Struct, frozen=True, kw_only=True):
    """A problem, as far as anybody needs it."""

    status: int
    error_id: str
    title: str
    detail: str = ""
    request_id: str = ""
    more: dict[str, Any] = {}


def read(status: int, body: bytes) -> Problem:
    """Return what `body` says, whatever it is: a proxy may have answered."""
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        text = body[:200].decode(errors="replace").strip()
        return Problem(status=status, error_id="", title=f"answered {status}: {text}")
    known = {"type", "title", "status", "error_id", "request_id", "detail"}
    return Problem(
        status=status,
        error_id=str(told.get("error_id", "")),
        title=str(told.get("title", f"answered {status}")),
        detail=str(told.get("detail", "")),
        request_id=str(told.get("request_id", "")),
        more={name: value for name, value in told.items() if name not in known},
    )


def words(problem: Problem) -> str:
    """Return what a person reads: what is wrong, where, and the way out."""
    head = f"{problem.error_id}: {problem.title}" if problem.error_id else problem.title
    lines = [f"{head}. {problem.detail}".rstrip(". ") + "."]
    faults = problem.more.get("faults", ())
    lines += [f"  {each.get('where')}: {each.get('fault')}" for each in faults]
    for each in problem.more.get("findings", ()):
        at = "/".join(str(each.get(name, "")) for name in ("section", "id", "field"))
        lines.append(f"  {at}: {each.get('fault')} ({each.get('remedy')})")
    if decision := problem.more.get("decision"):
        lines.append(f"  {decision.get('permission')}: {decision.get('why')}, {decision['line']}")
    if "known" in problem.more:
        lines.append(f"  known: {', '.join(map(str, problem.more['known']))}")
    if way := _WAYS_OUT.get(problem.error_id):
        lines.append(f"  {way}")
    if problem.status >= 500 and problem.request_id:  # noqa: PLR2004 - HTTP
        lines.append(f"  in its log: request {problem.request_id}")
    return harmless("\n".join(lines))
