"""The problems of the configuration's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from control_plane.errors import ApiError, Problem
from state.configuration_findings import Finding

BROKEN = Problem(
    status=422, error_id="configuration-broken", title="The configuration as a whole would be wrong"
)
TAKEN = Problem(status=409, error_id="id-taken", title="There is one of that id already")
ID_NOT_YOURS = Problem(
    status=422,
    error_id="id-not-yours",
    title="The id has to begin with the tenant's own, and a dot",
)
DID_NOT_ASSIGNED = Problem(
    status=403, error_id="did-not-assigned", title="The center has not given this number to you"
)
PLAN_ACTIVE = Problem(status=409, error_id="plan-active", title="The plan is active")
PLAN_NOT_ACTIVE = Problem(status=409, error_id="plan-not-active", title="The plan is not active")
NOT_SERVED = Problem(
    status=503, error_id="shared-state-away", title="The shared state cannot be reached from here"
)

DOES_NOT_FIT = Problem(
    status=409,
    error_id="move-does-not-fit",
    title="Those who would take the calls have not enough room or people for them",
)
NOT_PREDICTED = Problem(
    status=409,
    error_id="move-not-predicted",
    title="It is not known yet whether those who would take the calls can",
)


def does_not_fit(move: Mapping[str, Any]) -> ApiError:
    """Return the answer that shows what would not fit, with its waits, and the way out."""
    return ApiError(
        DOES_NOT_FIT,
        "Move less, or force it and say why (force=true).",
        details={"move": move},
    )


def not_predicted(waits_s: float | None) -> ApiError:
    """Return the answer of who did not wait until it was known, and the way out."""
    waited = "" if waits_s is None else f" longer than {waits_s:g} s"
    return ApiError(
        NOT_PREDICTED,
        f"To reckon it takes{waited}. It goes on, and is kept for a minute: ask again in some"
        " seconds. A dry run (dry_run=true) waits for it. Or force it and say why (force=true).",
    )


def broken(findings: Iterable[Finding], others: str = "") -> ApiError:
    """Return the answer that tells what is wrong, and the way out.

    `others`: what may be told of it where it is wrong for other tenants.
    """
    told = [
        {
            "severity": each.severity.value,
            "section": each.section,
            "id": each.id,
            "field": each.field,
            "fault": each.fault,
            "remedy": each.remedy,
        }
        for each in findings
    ]
    return ApiError(BROKEN, others, details={"findings": told})
