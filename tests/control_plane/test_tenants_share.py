"""Casbin's enforcers: tenants of which no line speaks share them."""

from __future__ import annotations

from pathlib import Path

import casbin
import pytest

from control_plane import policy
from control_plane.authz import Authz
from control_plane.permissions import Permission, Role
from control_plane.subjects import ANY_TENANT, Grant, Question, Subject, Thing
from tests.control_plane.center import Center

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture
def enforcers(monkeypatch: pytest.MonkeyPatch) -> list[casbin.Enforcer]:
    """Return those that are made."""
    made: list[casbin.Enforcer] = []

    class Counted(casbin.Enforcer):  # type: ignore[misc]  # it has no types
        def __init__(self, *given: object) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(casbin, "Enforcer", Counted)
    return made


def _asked(tenant: str) -> Question:
    grants = frozenset({Grant(role=Role.MANAGER, tenant=ANY_TENANT)})
    return Question(
        subject=Subject(id="usr_1", tenant="main", grants=grants),
        tenant=tenant,
        permission=Permission.QUEUE_READ,
        thing=Thing(kind="queue", tenant=tenant),
    )


async def test_tenants_that_somebody_invents_have_no_enforcer_made(
    center: Center, enforcers: list[casbin.Enforcer]
) -> None:
    person = await center.person(Role.AGENT)
    counts = []
    for number in range(5):
        reply = await person.get("/v1/users", **{"Everline-Tenant": f"none{number}"})
        assert reply.error_id == "forbidden"
        counts.append(len(enforcers))
    assert counts == counts[:1] * 5


def test_a_tenant_with_lines_of_its_own_goes_by_them_and_others_do_not(
    enforcers: list[casbin.Enforcer],
) -> None:
    made = Authz.load(POLICIES)
    tenants = ("t1", "t2", "t3")
    assert [made.decide(_asked(each)).allowed for each in tenants] == [True] * 3
    assert len(enforcers) == 1
    own = policy.parse("p, role:manager, t2, queue, read, always, deny", tenant="t2")
    made.set_tenant("t2", own)
    assert [made.decide(_asked(each)).allowed for each in tenants] == [True, False, True]
    made.set_tenant("t2", policy.parse("", tenant="t2"))
    assert [made.decide(_asked(each)).allowed for each in tenants] == [True] * 3


def test_a_tenant_that_the_platforms_policy_names_goes_by_that() -> None:
    model = (POLICIES / "model.conf").read_text(encoding="utf-8")
    text = "p, role:manager, *, queue, read, always, allow\n"
    text += "p, role:manager, t2, queue, read, always, deny\n"
    made = Authz(model, policy.parse(text))
    allowed = [made.decide(_asked(each)).allowed for each in ("t1", "t2", "t3", "t2")]
    assert allowed == [True, False, True, False]
