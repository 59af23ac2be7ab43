"""A policy that is not exactly right does not load, and what loads decides as it says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import casbin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane import policy
from control_plane.authz import Authz, Why
from control_plane.conditions import REGISTERED
from control_plane.errors import PolicyError
from control_plane.permissions import Permission, Role
from control_plane.subjects import Circumstances, Grant, Question, Subject, Thing

FOLDER = Path(__file__).parents[2] / "policies"
MODEL = (FOLDER / "model.conf").read_text()
GOOD = "p, role:agent, *, queue, read, always, allow"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (GOOD.replace("allow", "Allow"), "effect"),
        (GOOD.replace("allow", "denied"), "effect"),
        (GOOD.replace("allow", ""), "effect"),
        (GOOD.replace("always", "allways"), "nobody knows the condition"),
        (GOOD.replace("always", "on_call&"), "nobody knows the condition"),
        (GOOD.replace("always", "__import__('os')"), "nobody knows the condition"),
        (GOOD.replace("role:agent", "agent"), "no role"),
        (GOOD.replace("queue", "queues"), "no kind"),
        (GOOD.replace("read", "reed"), "nothing can"),
        (GOOD.replace("role:agent", "*"), "names its role"),
        (GOOD.replace("queue", "*"), "names its role"),
        (GOOD.replace(", *,", ", a tenant,"), "no tenant"),
        (GOOD + ", more", "6 words"),
        ("q" + GOOD[1:], "begins with p or g"),
        (GOOD + "\n" + GOOD, "same as line 1"),
        ("g, role:agent, role:boss", "no role"),
        ("g, role:agent, role:sre\ng, role:sre, role:agent", "circle"),
    ],
)
def test_a_line_that_is_not_right_is_refused_with_its_place(line: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said) as raised:
        policy.parse(line, "here")
    assert str(raised.value).startswith("here:")


def test_a_tenants_own_line_speaks_of_that_tenant_only() -> None:
    policy.parse(GOOD.replace(", *,", ", t1,"), tenant="t1")
    for foreign in ("*", "t2"):
        with pytest.raises(PolicyError, match="tenant"):
            policy.parse(GOOD.replace(", *,", f", {foreign},"), tenant="t1")


def test_the_version_is_another_for_another_policy() -> None:
    other = policy.parse(GOOD.replace("allow", "deny"))
    assert policy.parse(GOOD).version != other.version
    assert policy.parse(GOOD).version == policy.parse("# a remark\n\n" + GOOD).version


def _ask(
    authz: Authz,
    permission: Permission,
    *roles: Role,
    tenant: str = "t1",
    thing: Thing | None = None,
) -> Why:
    grants = frozenset(Grant(role=role, tenant="t1") for role in roles)
    subject = Subject(id="usr_1", tenant="t1", grants=grants, agent="anna")
    about = thing or Thing(kind=permission.kind, tenant=tenant)
    around = Circumstances(now_ms=1)
    question = Question(
        subject=subject, tenant=tenant, permission=permission, thing=about, around=around
    )
    return authz.decide(question).why


def test_what_no_line_allows_is_not_allowed() -> None:
    authz = Authz(MODEL, policy.parse(""))
    for permission in Permission:
        assert _ask(authz, permission, *Role) is Why.NO_LINE


def test_a_deny_wins_whatever_the_order() -> None:
    deny = GOOD.replace("allow", "deny")
    for text in (f"{GOOD}\n{deny}", f"{deny}\n{GOOD}"):
        authz = Authz(MODEL, policy.parse(text))
        assert _ask(authz, Permission.QUEUE_READ, Role.AGENT) is Why.DENIED


def test_an_unknown_fact_makes_no_allow_count_and_every_deny() -> None:
    allow = "p, role:agent, *, customer, update, on_call, allow"
    deny = "p, role:agent, *, queue, read, has_legal_hold, deny"
    authz = Authz(MODEL, policy.parse(f"{allow}\n{deny}\n{GOOD}"))
    assert _ask(authz, Permission.CUSTOMER_UPDATE, Role.AGENT) is Why.CONDITION
    assert _ask(authz, Permission.QUEUE_READ, Role.AGENT) is Why.DENIED


def test_a_role_counts_in_its_tenant_only_and_a_foreign_thing_never() -> None:
    authz = Authz(MODEL, policy.parse(GOOD))
    assert _ask(authz, Permission.QUEUE_READ, Role.AGENT) is Why.ALLOWED
    assert _ask(authz, Permission.QUEUE_READ, Role.AGENT, tenant="t2") is Why.NO_LINE
    foreign = Thing(kind="queue", tenant="t2")
    assert _ask(authz, Permission.QUEUE_READ, Role.AGENT, thing=foreign) is Why.FOREIGN


def test_a_tenants_own_lines_take_effect_there_at_once() -> None:
    authz = Authz(MODEL, policy.parse(GOOD))
    assert _ask(authz, Permission.QUEUE_READ, Role.AGENT) is Why.ALLOWED
    deny = GOOD.replace("allow", "deny").replace(", *,", ", t1,")
    authz.set_tenant("t1", policy.parse(deny, tenant="t1"))
    assert _ask(authz, Permission.QUEUE_READ, Role.AGENT) is Why.DENIED


def test_inherited_denies_count_at_every_depth_that_loads() -> None:
    chain = list(Role)[:8]
    deny = GOOD.replace("role:agent", chain[-1]).replace("allow", "deny")
    allow = GOOD.replace("role:agent", chain[0])
    groups = [f"g, {child}, {parent}" for child, parent in pairwise(chain)]
    authz = Authz(MODEL, policy.parse("\n".join([allow, deny, *groups])))
    assert _ask(authz, Permission.QUEUE_READ, chain[0]) is Why.DENIED


def test_nothing_in_the_model_evaluates_text() -> None:
    assert "eval" not in MODEL


_LINES = st.lists(
    st.builds(
        policy.Line,
        sub=st.sampled_from(["role:agent", "role:sre", "role:manager"]),
        dom=st.sampled_from(["*", "t1", "t2"]),
        kind=st.sampled_from(["queue", "site"]),
        act=st.sampled_from(["read", "*"]),
        cond=st.sampled_from(["always", "is_disabled"]),
        eft=st.sampled_from(["allow", "deny"]),
    ),
    unique=True,
    max_size=12,
)


@given(_LINES, st.sets(st.sampled_from([Role.AGENT, Role.SRE, Role.MANAGER])))
def test_it_decides_as_casbin_itself_would(lines: list[policy.Line], roles: set[Role]) -> None:
    text = "\n".join(str(line) for line in lines)
    ours = _ask(Authz(MODEL, policy.parse(text)), Permission.QUEUE_READ, *roles) is Why.ALLOWED

    model = casbin.Model()
    model.load_model_from_text(MODEL.replace("r = role, dom", "r = roles, dom").replace(
        "g(r.role, p.sub)", "any_of(r.roles, p.sub)"))  # fmt: skip
    enforcer = casbin.Enforcer(model)
    enforcer.add_function("any_of", lambda all_, role: role in all_)
    enforcer.add_function("found", lambda *words: words[4] == "always")
    enforcer.add_policies([list(line.words()) for line in lines])
    assert enforcer.enforce(tuple(roles), "t1", "t1", "queue", "read") is ours


def test_every_condition_is_used_by_a_line_of_the_policy() -> None:
    loaded = policy.parse((FOLDER / "policy.csv").read_text())
    used = {name for line in loaded.lines for name in line.cond.split("&")}
    assert used == set(REGISTERED)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (("+43142000",), Why.DENIED),
        (("+4930123456",), Why.ALLOWED),
        (("+4930123456", "+43142000"), Why.DENIED),
        (None, Why.DENIED),
        (("anonymous",), Why.DENIED),
    ],
    ids=["of-it", "of-another", "one-of-two", "not-known", "tells-none"],
)
def test_a_country_is_a_condition_and_what_is_not_known_fails_closed(
    numbers: tuple[str, ...] | None, why: Why
) -> None:
    text = """
p, role:manager, *, call, read, always, allow
p, role:manager, *, call, read, from_country:AT, deny
p, role:quality, *, call, read, from_country:AT, allow
"""
    authz = Authz(MODEL, policy.parse(text))

    def asked(role: Role) -> Why:
        grants = frozenset({Grant(role=role, tenant="t1")})
        subject = Subject(id="usr_a", tenant="t1", grants=grants)
        thing = Thing(kind="call", tenant="t1", id="c", numbers=numbers)
        question = Question(
            subject=subject, tenant="t1", permission=Permission.CALL_READ, thing=thing
        )
        assert "+43" not in repr(question), "numbers stand in no log"
        return authz.decide(question).why

    assert asked(Role.MANAGER) is why
    is_known = numbers is not None and numbers != ("anonymous",)
    is_allowed = is_known and why is Why.DENIED
    assert asked(Role.QUALITY) is (Why.ALLOWED if is_allowed else Why.CONDITION)


@pytest.mark.parametrize(
    ("condition", "because"),
    [
        ("from_country", "names nothing that is known by ''"),
        ("from_country:", "names nothing that is known by ''"),
        ("from_country:XX", "names nothing that is known by 'XX'"),
        ("always:DE", "nobody knows the condition 'always:DE'"),
        ("with_purpose&from_country:at", "names nothing that is known by 'at'"),
    ],
)
def test_a_condition_that_names_what_is_not_known_does_not_load(
    condition: str, because: str
) -> None:
    with pytest.raises(PolicyError, match=because):
        policy.parse(f"p, role:manager, *, call, read, {condition}, deny")


def test_the_lines_about_a_kind_in_a_tenant_come_in_the_order_of_the_text() -> None:
    text = """
p, role:agent, t2, call, read, always, allow
p, role:agent, t1, call, read, always, allow
p, *, *, *, *, is_disabled, deny
p, role:agent, t1, queue, read, always, allow
p, role:agent, *, call, read, own_call, allow
"""
    lines = policy.parse(text).lines
    assert policy.parse(text).about("t1", "call") == (lines[1], lines[2], lines[4])
    assert policy.parse(text).about("t3", "queue") == (lines[2],)
