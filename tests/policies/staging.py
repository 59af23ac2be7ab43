"""PURE. From a case to somebody who stands to the furnished things as the case's subject does.

The things are made once. A case says who the subject is and what the thing is; the subject is made
so that whatever is the same in the case (agent, team, site, employer) is the same there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from control_plane.permissions import Permission, Role
from control_plane.proof import Case

OTHER = "q7other"
"""Somebody else's agent, team or employer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Who asks, and how."""

    roles: frozenset[Role]
    values: Mapping[str, str] = field(default_factory=dict)
    is_active: bool = True
    purpose: str = ""
    is_approved: bool = False
    has_glass: bool = False
    is_foreign: bool = False
    """The thing is the other tenant's."""
    acts_there: bool = False
    """The request acts in the other tenant."""


def stage(case: Case, ids: Mapping[str, str]) -> Staged | str:
    """Return how the case is staged with these things, or why it is not."""
    if because := _unstaged(case):
        return because
    thing, around = case.thing, case.around
    return Staged(
        roles=frozenset(Role(f"role:{each}") for each in case.roles),
        values=_related(case, ids),
        is_active=bool(case.subject.get("is_active", True)),
        purpose=str(around.get("purpose", "")).strip(),
        is_approved="approval" in around,
        has_glass="glass" in around,
        is_foreign=thing.get("tenant", "t1") != "t1",
        acts_there=case.tenant != "t1",
    )


def _unstaged(case: Case) -> str:
    thing, around = case.thing, case.around
    is_gone = Permission(case.may).act in ("delete", "shred")
    made_ms, since_ms = thing.get("made_ms", 0), thing.get("in_team_since_ms", 0)
    reasons = {
        "whose a request is, is always known there": (
            case.may == Permission.APPROVAL_GIVE and "by" not in thing
        ),
        "what one has asked for oneself has tests of its own": thing.get("by") == "usr_anna",
        "a request for approval says what it is for": (
            case.kind == "glass" and "approval" in around and "purpose" not in around
        ),
        "whether there is a hold is always known there": (
            is_gone and bool(thing) and "has_legal_hold" not in thing
        ),
        "no furnished recording is older than its agent's time in the team": made_ms < since_ms,
        "machines have tokens, and tests of their own": "until_ms" in case.subject,
        "a drill is approved when it has been asked for, and that says what for": (
            case.kind == "drill" and "approval" in around and "purpose" not in around
        ),
        "every furnished agent is somebody": case.kind == "agent" and thing.get("agent") == "",
    }
    return next((because for because, holds in reasons.items() if holds), "")


def _related(case: Case, ids: Mapping[str, str]) -> dict[str, str]:
    mine = {"agent": "anna", "team": "north", "site": "a", "employer": "", **case.subject}
    thing = case.thing
    is_agent = mine["agent"] in (*thing.get("on_call_with", ()), thing.get("agent"))
    is_team = thing.get("team") == mine["team"]
    is_employer = "employer" in thing and thing["employer"] == mine["employer"]
    return {
        "agent": ids["agent"] if is_agent else OTHER,
        "team": ids["team"] if is_team else OTHER,
        "site": "a" if thing.get("site", mine["site"]) == mine["site"] else "b",
        "employer": mine["employer"] and ids["employer"] if is_employer else OTHER,
    }
