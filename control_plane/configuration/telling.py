"""PURE. From what happened to what is told: only the asking tenant's own, and no secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from control_plane.api.model import instant
from control_plane.configuration.book import Outcome
from control_plane.configuration.document import SECRET, Body, Change, tenant_of
from control_plane.configuration.schemas import ChangeView, FindingView, VersionView, Written
from control_plane.configuration.store import Version
from state.configuration_findings import Finding

HIDDEN = "***"


def findings(found: Iterable[Finding]) -> tuple[FindingView, ...]:
    """Return what is wrong, as it is told."""
    return tuple(
        FindingView(
            severity=each.severity,
            section=each.section,
            id=each.id,
            field=each.field,
            fault=each.fault,
            remedy=each.remedy,
        )
        for each in found
    )


def changes(made: Iterable[Change], tenant: str) -> tuple[ChangeView, ...]:
    """Return a tenant's own changes; of what was another's before, or is now, its own side."""
    found = []
    for each in made:
        before, after = (_own(each.section, body, tenant) for body in (each.before, each.after))
        if before is not None or after is not None:
            told = _told(before, after), _told(after, None)
            found.append(
                ChangeView(section=each.section, id=each.id, before=told[0], after=told[1])
            )
    return tuple(found)


def _own(section: str, body: Body | None, tenant: str) -> Body | None:
    return body if body is not None and tenant_of(section, body) == tenant else None


def written(outcome: Outcome, tenant: str) -> Written:
    """Return what a change did."""
    return Written(
        version=outcome.number,
        is_written=outcome.is_written,
        findings=findings(outcome.findings),
        changes=changes(outcome.changes, tenant),
    )


def version(made: Version) -> VersionView:
    """Return a version, as it is told."""
    return VersionView(
        number=made.number, at=instant(made.at_ms), by=made.by, why=made.why, what=made.what
    )


def without_secrets(body: Body) -> dict[str, Any]:
    """Return the table without the fields that are never told."""
    return {name: value for name, value in body.items() if name not in SECRET}


def _told(body: Body | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a table; a secret as stars, and as older stars where the other one's differs."""
    if body is None:
        return None
    told = without_secrets(body)
    for name in SECRET & body.keys():
        is_other = other is not None and other.get(name) != body[name]
        told[name] = f"{HIDDEN} (another)" if is_other else HIDDEN
    return told
