"""The policy of the checkout decides every case, and its cases notice when it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_plane import policy, proof
from control_plane.errors import PolicyError
from control_plane.permissions import Permission, Role

FOLDER = Path(__file__).parents[2] / "policies"
MODEL = (FOLDER / "model.conf").read_text()
CASES = proof.load(FOLDER / "cases.yaml")


def test_every_case_is_decided_as_it_says_and_breaking_the_policy_is_noticed() -> None:
    found = proof.run(FOLDER)
    assert found.failed == ()
    assert found.mutation_score >= 0.95, found.survivors


def test_the_first_cases_are_all_there_but_the_one_about_outages() -> None:
    # 33 is about a database that is away: test_who.py.
    assert {case.n for case in CASES} - {0} == set(range(1, 33))


def test_every_role_and_condition_has_cases() -> None:
    assert {f"role:{role}" for case in CASES for role in case.roles} == set(Role)


def test_every_permission_that_some_line_allows_has_an_allow_and_a_deny() -> None:
    rules = policy.parse((FOLDER / "policy.csv").read_text())
    allowed = {
        permission.value
        for permission in Permission
        for line in rules.lines
        if line.eft == policy.ALLOW
        and line.kind == permission.kind
        and line.act in (policy.ANY, permission.act)
    }
    for told in (True, False):
        missing = allowed - {case.may for case in CASES if case.allow is told}
        assert not missing, (told, sorted(missing))


def test_a_missing_case_lowers_the_score() -> None:
    rules = policy.parse("p, role:agent, *, queue, read, always, allow")
    assert proof.prove(MODEL, rules, ()).mutation_score == 0.0


def test_a_case_with_a_word_nobody_knows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text('- {n: 1, case: x, as: [agent], may: "queue:read", alow: true}')
    with pytest.raises(PolicyError, match=r"cases\.yaml"):
        proof.load(file)
