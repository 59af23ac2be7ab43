"""Proves the policy: decides every case in the enforcer, then breaks it in every small way.

A mutant is the policy with one line left out, turned round or freed of a condition, or with one
condition that always or never holds. A mutant that decides every case as before shows that a case
is missing. The score is the share of mutants that some case notices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from control_plane import conditions, policy
from control_plane.authz import Authz
from control_plane.conditions import JOIN
from control_plane.errors import PolicyError
from control_plane.permissions import Permission, Role
from control_plane.policy import ALLOW, DENY, Line, Policy
from control_plane.subjects import Approval, Circumstances, Glass, Grant, Question, Subject, Thing

NOW_MS: Final = 1_000_000
POLICIES: Final = Path(__file__).parents[1] / "policies"


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of cases.yaml."""

    n: int
    """Of the 33 first ones; 0: another."""
    case: str
    roles: list[str] = msgspec.field(name="as")
    may: str
    allow: bool
    tenant: str = "t1"
    """Where the request acts."""
    subject: dict[str, Any] = {}
    thing: dict[str, Any] = {}
    around: dict[str, Any] = {}

    @property
    def kind(self) -> str:
        """Return what it is about."""
        return Permission(self.may).kind

    def question(self, home: str = "t1") -> Question:
        """Return what is asked, by somebody of tenant `home`."""
        permission = Permission(self.may)
        grants = frozenset(Grant(role=Role(f"role:{role}"), tenant=home) for role in self.roles)
        about = {"id": "usr_anna", "tenant": home, "agent": "anna", "team": "north", "site": "a"}
        words = {"kind": permission.kind, "tenant": self.tenant, **self.thing}
        if "on_call_with" in words:
            words["on_call_with"] = frozenset(words["on_call_with"])
        return Question(
            subject=_made(Subject, {**about, "grants": grants, **self.subject}),
            tenant=self.tenant,
            permission=permission,
            thing=_made(Thing, words),
            around=self._around(),
        )

    def _around(self) -> Circumstances:
        words = {"now_ms": NOW_MS, **self.around}
        if "approval" in words:
            usual = {
                "by": "usr_boss", "act": "recording:export", "thing": "r1", "digest": "d",
                "until_ms": NOW_MS + 1, "is_used": False, "same_line": False, "still_may": True,
            }  # fmt: skip
            words["approval"] = _made(Approval, usual | words["approval"])
        if "glass" in words:
            usual = {"ticket": "INC-1", "until_ms": NOW_MS + 1, "things": frozenset({"r1"})}
            words["glass"] = _made(Glass, usual | words["glass"])
        made: Circumstances = _made(Circumstances, words)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of it."""

    cases: int
    failed: tuple[str, ...]
    mutants: int
    survivors: tuple[str, ...]

    @property
    def mutation_score(self) -> float:
        """Return the share of mutants that a case notices."""
        return 1.0 - len(self.survivors) / self.mutants if self.mutants else 0.0


def load(file: Path) -> tuple[Case, ...]:
    """Read cases.yaml. Raise `PolicyError`."""
    import yaml  # noqa: PLC0415 - a policy is proved seldom, and no start waits for that

    try:
        return tuple(msgspec.convert(yaml.safe_load(file.read_text()), list[Case]))
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise PolicyError(f"{file}: {error}") from error


def prove(model: str, rules: Policy, cases: tuple[Case, ...]) -> Proof:
    """Decide every case under the policy, and find one that notices each mutant."""
    authz = Authz(model, rules)
    failed = tuple(f"{case.n}: {case.case}" for case in cases if not all(_decided(authz, (case,))))
    survivors: list[str] = []
    count = 0
    for name, kind, mutant in _mutants(rules):
        count += 1
        concerned = tuple(case for case in cases if kind in (policy.ANY, case.kind))
        if all(_decided(Authz(model, mutant), concerned)):
            survivors.append(name)
    for name in conditions.REGISTERED:
        for always in (True, False):
            if name == "always" and always:
                continue
            count += 1
            with _condition(name, holds=always):
                if all(_decided(authz, cases)):
                    survivors.append(f"condition {name} is always {always}")
    return Proof(cases=len(cases), failed=failed, mutants=count, survivors=tuple(survivors))


def _decided(authz: Authz, cases: tuple[Case, ...]) -> Iterator[bool]:
    for case in cases:
        yield authz.decide(case.question()).allowed is case.allow


def _mutants(rules: Policy) -> Iterator[tuple[str, str, Policy]]:
    """Yield what was broken, the kind that it concerns, and the broken policy."""
    for place, line in enumerate(rules.lines):
        before, after = rules.lines[:place], rules.lines[place + 1 :]
        yield f"without: {line}", line.kind, replace(rules, lines=before + after)
        turned = replace(line, eft=DENY if line.eft == ALLOW else ALLOW)
        changed = replace(rules, lines=(*before, turned, *after))
        yield f"turned: {line}", line.kind, changed
        for freed in _freed(line):
            changed = replace(rules, lines=(*before, freed, *after))
            yield f"freed to {freed.cond}: {line}", line.kind, changed


def _freed(line: Line) -> Iterator[Line]:
    names = line.cond.split(JOIN)
    if names == ["always"]:
        return
    for place in range(len(names)):
        rest = names[:place] + names[place + 1 :]
        yield replace(line, cond=JOIN.join(rest) or "always")


@contextmanager
def _condition(name: str, *, holds: bool) -> Iterator[None]:
    before: Mapping[str, conditions.Condition] = conditions.REGISTERED
    conditions.REGISTERED = {**before, name: lambda _question: holds}  # type: ignore[misc]
    try:
        yield
    finally:
        conditions.REGISTERED = before  # type: ignore[misc]


def _made(kind: type[Any], words: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an instance of it
    if unknown := words.keys() - get_type_hints(kind).keys():
        raise PolicyError(f"cases: a {kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**words)


def run(folder: Path) -> Proof:
    """Prove the policy of `folder`."""
    text = (folder / "policy.csv").read_text()
    model = (folder / "model.conf").read_text()
    return prove(model, policy.parse(text), load(folder / "cases.yaml"))
