"""PURE. A policy tried on cases before it holds: what it would decide otherwise than now."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from control_plane.authz import Authz, Decision
from control_plane.policy import Policy
from control_plane.proof import Case
from control_plane.subjects import Question


class Tried(Struct, frozen=True, kw_only=True):
    """One case under both."""

    case: str
    now: Decision
    then: Decision
    wanted: bool | None
    """What the case says it should be; None: it does not say."""


def tried(
    authz: Authz, own: Policy, tenant: str, questions: Iterable[tuple[str, Question, bool | None]]
) -> tuple[Tried, ...]:
    """Decide each question under the policy that holds and with `own` as the tenant's lines.

    This runs in a thread. `authz` itself answers in the loop meanwhile, and what two find at once
    they would find mixed up: lines of the one in the answer that is kept for the other.
    """
    held = authz.with_tenant(tenant, authz.policy_of(tenant))
    other = authz.with_tenant(tenant, own)
    return tuple(
        Tried(case=name, now=held.decide(asked), then=other.decide(asked), wanted=wanted)
        for name, asked, wanted in questions
    )


def platform_cases(
    cases: Iterable[Case], tenant: str
) -> Iterable[tuple[str, Question, bool | None]]:
    """Yield the platform's own cases as if their tenant were this one."""
    for case in cases:
        here = replace(case, tenant=tenant if case.tenant == "t1" else "elsewhere")
        yield case.case, here.question(home=tenant), case.allow
