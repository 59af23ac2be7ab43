"""All laws over one history. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from drills.prove.history import Event
from drills.prove.laws_alone import check_alone
from drills.prove.laws_capacity import check_capacity
from drills.prove.laws_consultations import check_consultations
from drills.prove.laws_end import check_end, check_freed
from drills.prove.laws_gone import check_gone
from drills.prove.laws_mirrors import check_mirrors
from drills.prove.laws_order import check_order
from drills.prove.laws_people import check_gates, check_telephones
from drills.prove.laws_redials import check_redials
from drills.prove.laws_silence import check_silence
from drills.prove.laws_skills import check_skills
from drills.prove.laws_store import check_store
from drills.prove.laws_takeover import check_takeover
from drills.prove.laws_tenants import check_tenants
from drills.prove.laws_waiting import check_waiting
from drills.prove.violations import Violation

LAWS = (
    check_store,
    check_skills,
    check_capacity,
    check_tenants,
    check_order,
    check_silence,
    check_redials,
    check_waiting,
    check_takeover,
    check_consultations,
    check_gates,
    check_telephones,
    check_gone,
    check_freed,
    check_alone,
    check_mirrors,
    check_end,
)


def check(events: Sequence[Event]) -> tuple[Violation, ...]:
    """Return every breach that the history shows so far, the earliest first.

    A prefix of a history is a history: what is not known yet is not held against anybody.
    """
    found = [violation for law in LAWS for violation in law(events)]
    return tuple(sorted(found, key=lambda each: each.at_s))
