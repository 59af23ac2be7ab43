"""PURE. What a tenant may say in lines of its own: less than the platform allows, never more.

An allow needs a line of the platform that allows as much, under no stricter a condition. A deny may
be anything but the end of all changes: whoever administers the policy goes on doing so, and there
is somebody who can approve it.
"""

from __future__ import annotations

from collections.abc import Iterator

from control_plane import policy
from control_plane.conditions import JOIN
from control_plane.errors import PolicyError
from control_plane.permissions import Permission, Role
from control_plane.policy import ALLOW, ANY, DENY, Line, Policy

WHERE = "lines"
_KEPT = frozenset({"policy", "session", ANY})
"""Kinds of which an administrator is denied nothing."""
_APPROVING = (Permission.APPROVAL_GIVE.kind, Permission.APPROVAL_GIVE.act)


def checked(text: str, base: Policy, tenant: str) -> Policy:
    """Return a tenant's own lines. Raise `PolicyError`, which names the line and what is wrong."""
    own = policy.parse(text, WHERE, tenant=tenant)
    if own.parents:
        raise PolicyError(f"{WHERE}: roles inherit by the platform's policy alone: leave g out")
    for fault in faults(own, base):
        raise PolicyError(f"{WHERE}: {fault}")
    return own


def proposed(text: str, base: Policy, tenant: str) -> Policy:
    """Return lines that are to hold. Raise `PolicyError`, also where nobody could approve others.

    Lines that hold already are not asked that: they would not be mended by allowing nothing.
    """
    own = checked(text, base, tenant)
    denied = {line.sub for line in own.lines if line.eft == DENY and _is_of(line, *_APPROVING)}
    giving = {line.sub for line in base.lines if line.eft == ALLOW and _is_of(line, *_APPROVING)}
    if ANY in denied or giving <= denied:
        raise PolicyError(f"{WHERE}: nobody could approve a change of the policy any more")
    return own


def _is_of(line: Line, kind: str, act: str) -> bool:
    return line.kind in (ANY, kind) and line.act in (ANY, act)


def faults(own: Policy, base: Policy) -> Iterator[str]:
    """Yield what is beyond a tenant."""
    for line in own.lines:
        if line.eft == ALLOW and not any(_covers(each, line) for each in base.lines):
            yield f"{line}: the platform allows {line.sub} no such thing, or under more conditions"
        if line.eft == DENY and line.sub in (ANY, Role.TENANT_ADMIN) and line.kind in _KEPT:
            yield f"{line}: nobody could change the policy any more"


def _covers(base: Line, own: Line) -> bool:
    return (
        base.eft == ALLOW
        and base.sub == own.sub
        and base.dom in (ANY, own.dom)
        and base.kind in (ANY, own.kind)
        and base.act in (ANY, own.act)
        and _conditions(base) <= _conditions(own)
    )


def _conditions(line: Line) -> frozenset[str]:
    return frozenset(line.cond.split(JOIN)) - {"always"}


def nothing(tenant: str) -> Policy:
    """Return the lines that hold where a tenant's own cannot be read: nothing is allowed."""
    return policy.parse(f"p, *, {tenant}, *, *, always, deny", WHERE, tenant=tenant)
