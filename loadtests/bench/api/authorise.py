"""What one decision of the policy takes, in this process: casbin asked anew, and from what is kept.

Conditions are evaluated either way.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from statistics import median

from control_plane.authz import Authz
from control_plane.permissions import Permission, Role
from control_plane.subjects import Circumstances, Grant, Question, Subject, Thing
from loadtests.bench.api import stock

ASKED = (
    Permission.CUSTOMER_BASIC_READ_FULL,
    Permission.CUSTOMER_CONTACT_READ_FULL,
    Permission.CUSTOMER_SEARCH,
    Permission.QUEUE_UPDATE,
    Permission.RECORDING_PLAY,
    Permission.CALL_READ,
)
ROLES = (Role.MANAGER, Role.SUPERVISOR, Role.AGENT, Role.OUTSOURCED_AGENT, Role.SRE)


def measure(policies: Path, repeats: int) -> dict[str, float]:
    """Return microseconds: medians over many questions of many tenants, and the first of each."""
    authz = Authz.load(policies)
    questions = [_question(number) for number in range(300)]
    first = _timed(authz, questions)
    uncached: list[float] = []
    cached: list[float] = []
    for _ in range(repeats):
        authz.forget()
        uncached += _timed(authz, questions)
        cached += _timed(authz, questions)
    return {
        "uncached": round(median(uncached), 1),
        "cached": round(median(cached), 1),
        "first_of_a_kind": round(median(first), 1),
    }


def _question(number: int) -> Question:
    chance = random.Random(number)  # noqa: S311 - the same questions every time
    where = stock.tenant(chance.randrange(stock.TENANTS))
    permission = ASKED[number % len(ASKED)]
    role = ROLES[number // len(ASKED) % len(ROLES)]
    return Question(
        subject=Subject(
            id=f"usr_{number}",
            tenant=where,
            grants=frozenset({Grant(role=role, tenant=where)}),
            agent="anna",
            team="north",
            site="a",
        ),
        tenant=where,
        permission=permission,
        thing=Thing(
            kind=permission.kind,
            tenant=where,
            team="north",
            site="a",
            on_call_with=frozenset({"anna"}),
            made_ms=2,
            in_team_since_ms=1,
            agent="anna",
        ),
        around=Circumstances(now_ms=3, purpose="a benchmark"),
    )


def _timed(authz: Authz, questions: list[Question]) -> list[float]:
    took = []
    for question in questions:
        began = time.perf_counter_ns()
        authz.decide(question)
        took.append((time.perf_counter_ns() - began) / 1000)
    return took
