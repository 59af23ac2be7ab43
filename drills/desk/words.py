"""How things are called before a person. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge.acd.eligibility import Reason
from state.model import SkillId

REASONS: Final[Mapping[str, str]] = {
    Reason.NOT_SIGNED_IN: "not signed in",
    Reason.PAUSED: "paused",
    Reason.NO_CAPACITY: "takes no calls",
    Reason.SITE_NOT_LIVE: "home site is dead",
    Reason.HAS_OFFER: "has another call",
    Reason.WRAP_UP: "resting after a call",
    Reason.SITE_UNREACHABLE: "home site out of reach",
    Reason.ANOTHER_TENANT: "of another tenant",
    Reason.NOT_PREFERRED: "the caller waits for another",
    Reason.OUT_OF_SCOPE: "not turned to yet",
    Reason.MISSING_ATTRIBUTE: "lacks an attribute",
    Reason.MISSING_SKILL: "lacks a skill",
    Reason.SKILL_TOO_LOW: "skill too low",
    Reason.TAKEN: "given to an earlier call",
    Reason.TRIED_BEFORE: "has declined this call",
}
"""Why an agent is not considered."""

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def reason(word: str) -> str:
    """Return a reason in plain words; one of a later version as it stands."""
    return REASONS.get(word, word.replace("_", " "))


def plain(word: str) -> str:
    """Return a constant word as people write it."""
    return word.replace("_", " ")


def lasting(seconds: float) -> str:
    """Return a duration in at most seven characters: `3 s`, `12 min`, `5.1 h`, `3 d`."""
    seconds = max(0.0, seconds)
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < _DAY_S:
        return f"{seconds / _HOUR_S:.1f} h"
    return f"{seconds / _DAY_S:.0f} d"


def levels(skills: Mapping[SkillId, int]) -> str:
    """Return skills or needs with their levels, the highest first."""
    ordered = sorted(skills.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{skill} {level}" for skill, level in ordered)
