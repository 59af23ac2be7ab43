"""Who may do what: the only importer of casbin.

Casbin finds the lines that speak of a role, a tenant, a kind and an act; that answer depends on the
policy's text alone and is kept. Which of them count, their conditions tell from live facts, each
time. Nothing is allowed that no line allows; a deny wins; what cannot be known denies.

The enforcers are small: one for each kind, since casbin looks at every line it has, and for each
tenant of which lines speak.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import casbin

from control_plane import policy
from control_plane.conditions import UnknownFactError, holds
from control_plane.errors import PolicyError
from control_plane.permissions import Permission, Role, reading
from control_plane.policy import DENY, Line, Policy
from control_plane.subjects import ANY_TENANT, Question

KEPT: Final = 10_000
"""Answers of casbin that are kept, of all tenants together."""
NO_ROLE: Final = "role:none"


class Why(StrEnum):
    """The reason of a decision, in one word."""

    ALLOWED = "allowed"
    DENIED = "denied"
    """A line denies it."""
    NO_LINE = "no_line"
    """No line speaks of it."""
    CONDITION = "condition"
    """Lines would allow it, under conditions that do not hold."""
    FOREIGN = "foreign"
    """The tenant has no such thing: it is another one's, or there is none. Nobody is told which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An answer that can be explained."""

    allowed: bool
    why: Why
    permission: Permission
    policy_version: str
    line: Line | None = None
    """The line that decided: the deny, or the first allow; or the first allow that failed."""


class Authz:
    """Answers questions from one policy, and from tenants' own lines beside it; in one thread."""

    def __init__(self, model: str, base: Policy) -> None:
        self._model = model
        self._base = base
        self._named = frozenset(line.dom for line in base.lines)
        self._joined: dict[str, Policy] = {}
        self._enforcers: OrderedDict[tuple[str, str], _Finder] = OrderedDict()
        self._found: OrderedDict[tuple[frozenset[Role], str, Permission], tuple[Line, ...]] = (
            OrderedDict()
        )

    @classmethod
    def load(cls, folder: Path) -> Authz:
        """Read `model.conf` and `policy.csv`. Raise `PolicyError`."""
        try:
            model = (folder / "model.conf").read_text(encoding="utf-8")
            text = (folder / "policy.csv").read_text(encoding="utf-8")
        except OSError as error:
            raise PolicyError(f"{error.filename}: cannot be read: {error.strerror}") from error
        return cls(model, policy.parse(text, str(folder / "policy.csv")))

    def set_tenant(self, tenant: str, own: Policy) -> None:
        """Take `own` for the lines that `tenant` has of its own, from now on."""
        self._joined[tenant] = policy.join(self._base, own)
        self._enforcers = OrderedDict(
            (key, value) for key, value in self._enforcers.items() if key[0] != tenant
        )
        self._found = OrderedDict(
            (key, value) for key, value in self._found.items() if key[1] != tenant
        )

    @property
    def base(self) -> Policy:
        """Return the platform's own policy."""
        return self._base

    def with_tenant(self, tenant: str, own: Policy) -> Authz:
        """Return another one that goes by these lines of `tenant`, and knows no other tenant's."""
        made = Authz(self._model, self._base)
        made.set_tenant(tenant, own)
        return made

    def forget(self) -> None:
        """Ask casbin anew from now on: what was found is found again."""
        self._found.clear()

    def policy_of(self, tenant: str) -> Policy:
        """Return what holds in `tenant`."""
        return self._joined.get(tenant, self._base)

    def decide(self, question: Question) -> Decision:
        """Answer. Never raises for what a question holds; what is not known denies."""
        if question.thing.tenant != question.tenant:
            return self._decision(question, Why.FOREIGN)
        failed: Line | None = None
        allowing: Line | None = None
        for line in self.lines_for(question):
            if line.eft == DENY:
                if _counts(line, question, unknown=True):
                    return self._decision(question, Why.DENIED, line)
            elif allowing is None:
                if _counts(line, question, unknown=False):
                    allowing = line
                else:
                    failed = failed or line
        if allowing:
            return self._decision(question, Why.ALLOWED, allowing)
        return self._decision(question, Why.CONDITION if failed else Why.NO_LINE, failed)

    def may_ever(self, question: Question) -> Decision:
        """Answer whether some thing of the kind might be allowed: what a listing asks first."""
        lines = self.lines_for(question)
        for line in lines:
            if line.eft == DENY and line.cond == "always":
                return self._decision(question, Why.DENIED, line)
            if line.eft == DENY and line.cond == "is_disabled" and holds(line.cond, question):
                return self._decision(question, Why.DENIED, line)
        allowing = next((line for line in lines if line.eft != DENY), None)
        return self._decision(question, Why.ALLOWED if allowing else Why.NO_LINE, allowing)

    def may_see(self, question: Question) -> bool:
        """Return whether the subject may know at all that the thing exists."""
        kind = question.permission.kind
        return any(
            self.decide(
                Question(
                    subject=question.subject,
                    tenant=question.tenant,
                    permission=each,
                    thing=question.thing,
                    around=question.around,
                )
            ).allowed
            for each in reading(kind)
        )

    def lines_for(self, question: Question) -> tuple[Line, ...]:
        """Return the lines that fit but for their conditions, in the order of the text."""
        roles = question.subject.roles_in(question.tenant)
        scope = self._scope(question.tenant)
        key = (roles, scope, question.permission)
        found = self._found.get(key)
        if found is None:
            found = self._find(roles, scope, question.permission)
            self._found[key] = found
            if len(self._found) > KEPT:
                self._found.popitem(last=False)
        return found

    def _scope(self, tenant: str) -> str:
        """Return `tenant`, or all if no line speaks of it alone: those share what is found.

        A request says in which tenant it acts before it is known whether there is such a one.
        """
        return tenant if tenant in self._joined or tenant in self._named else ANY_TENANT

    def _find(self, roles: Iterable[Role], tenant: str, permission: Permission) -> tuple[Line, ...]:
        key = (tenant, permission.kind)
        finder = self._enforcers.get(key)
        if finder is None:
            finder = _Finder(self._model, self.policy_of(tenant), tenant, permission.kind)
            self._enforcers[key] = finder
            if len(self._enforcers) > KEPT:
                self._enforcers.popitem(last=False)
        return finder.find(roles, tenant, permission)

    def _decision(self, question: Question, why: Why, line: Line | None = None) -> Decision:
        return Decision(
            allowed=why is Why.ALLOWED,
            why=why,
            permission=question.permission,
            policy_version=self.policy_of(question.tenant).version,
            line=line,
        )


class _Finder:
    """Casbin over the lines of one tenant and one kind."""

    def __init__(self, model: str, rules: Policy, tenant: str, kind: str) -> None:
        self._lines = rules.about(tenant, kind)
        self._seen: set[Line] = set()
        made = casbin.Model()
        made.load_model_from_text(model)
        enforcer = casbin.Enforcer(made)
        enforcer.add_function("found", self._note)
        enforcer.add_policies([list(line.words()) for line in self._lines])
        groups = [[role, each] for role, all_ in rules.parents.items() for each in all_]
        enforcer.add_grouping_policies(groups)
        self._enforcer = enforcer

    def find(self, roles: Iterable[Role], tenant: str, permission: Permission) -> tuple[Line, ...]:
        """Return the lines that speak of any of `roles`."""
        self._seen.clear()
        if self._lines:
            # What is for everybody is found for any role: NO_ROLE asks for who has none.
            for role in (*roles,) or (NO_ROLE,):
                self._enforcer.enforce(role, tenant, tenant, permission.kind, permission.act)
        return tuple(line for line in self._lines if line in self._seen)

    def _note(self, *words: str) -> bool:
        """Note a line that fits. Say no, so that casbin goes on to the next one."""
        self._seen.add(Line(*words))
        return False


def _counts(line: Line, question: Question, *, unknown: bool) -> bool:
    try:
        return holds(line.cond, question)
    except UnknownFactError:
        return unknown
