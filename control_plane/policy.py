"""PURE. A policy as text, and as lines that have been checked: what does not load denies nothing.

Casbin fails open on an effect that is misspelt (`Deny`), on roles nested more than ten deep and on
a condition nobody knows, so all of it is refused here, with the line's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Final

from control_plane.conditions import JOIN, fault
from control_plane.errors import PolicyError
from control_plane.permissions import KINDS, Permission, Role
from control_plane.subjects import ANY_TENANT
from state.keys import is_id

ANY: Final = "*"
ALLOW, DENY = "allow", "deny"
MAX_DEPTH: Final = 8
_WORDS: Final = {"p": 6, "g": 2}
_ROLES: Final = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Line:
    """One `p` line; the order of the fields is that of the text."""

    sub: str
    dom: str
    kind: str
    act: str
    cond: str
    eft: str

    def words(self) -> tuple[str, str, str, str, str, str]:
        """Return the fields as the enforcer takes them."""
        return (self.sub, self.dom, self.kind, self.act, self.cond, self.eft)

    def __str__(self) -> str:
        return ", ".join(("p", *self.words()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Checked lines, who inherits from whom, and the version: a digest of exactly these."""

    lines: tuple[Line, ...]
    parents: Mapping[str, tuple[str, ...]]
    version: str
    _places: Mapping[tuple[str, str], list[int]] = field(init=False, repr=False, compare=False)
    """Where in `lines` those of a tenant and a kind stand: there are thousands of others."""

    def __post_init__(self) -> None:
        places: dict[tuple[str, str], list[int]] = {}
        for place, line in enumerate(self.lines):
            places.setdefault((line.dom, line.kind), []).append(place)
        object.__setattr__(self, "_places", places)

    def about(self, tenant: str, kind: str) -> tuple[Line, ...]:
        """Return the lines that may speak of a kind in a tenant, in the order of the text."""
        asked = {(dom, each) for dom in (tenant, ANY_TENANT) for each in (kind, ANY)}
        places = sorted(place for each in asked for place in self._places.get(each, ()))
        return tuple(self.lines[place] for place in places)


def parse(text: str, where: str = "policy.csv", *, tenant: str | None = None) -> Policy:
    """Check `text`. Raise `PolicyError` naming `where`, the line and what it should be.

    With `tenant`, these are a tenant's own lines: they may name that tenant and no other.
    """
    lines: dict[Line, int] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        content = raw.strip()
        if not content or content.startswith("#"):
            continue
        at = f"{where}:{number}"
        head, *words = (word.strip() for word in content.split(","))
        if head not in _WORDS:
            raise PolicyError(f"{at}: begins with {head!r}; a line begins with p or g")
        if len(words) != _WORDS[head]:
            raise PolicyError(f"{at}: {head} takes {_WORDS[head]} words, not {len(words)}")
        if head == "g":
            _check_role(at, words[0])
            _check_role(at, words[1])
            parents[words[0]] = (*parents.get(words[0], ()), words[1])
            continue
        line = Line(*words)
        _check_line(at, line, tenant)
        if line in lines:
            raise PolicyError(f"{at}: says the same as line {lines[line]}")
        lines[line] = number
    _check_depth(where, parents)
    return Policy(
        lines=tuple(lines), parents=MappingProxyType(parents), version=_digest(lines, parents)
    )


def join(base: Policy, own: Policy) -> Policy:
    """Return both as one, as it holds for the tenant whose own lines the second ones are."""
    lines = tuple(dict.fromkeys((*base.lines, *own.lines)))
    return Policy(lines=lines, parents=base.parents, version=_digest(lines, base.parents))


def _check_line(at: str, line: Line, tenant: str | None) -> None:
    if line.sub != ANY:
        _check_role(at, line.sub)
    if line.eft not in (ALLOW, DENY):
        raise PolicyError(f"{at}: the effect is {line.eft!r}; it should be allow or deny")
    for name in line.cond.split(JOIN):
        if because := fault(name):
            raise PolicyError(f"{at}: {because}")
    if line.kind != ANY and line.kind not in KINDS:
        raise PolicyError(f"{at}: there is no kind {line.kind!r}")
    acts = _acts(line.kind)
    if line.act != ANY and line.act not in acts:
        raise PolicyError(f"{at}: nothing can {line.act!r} a {line.kind}; known: {sorted(acts)}")
    if line.eft == ALLOW and ANY in (line.sub, line.kind) and line.kind != "session":
        raise PolicyError(f"{at}: an allow names its role and its kind")
    if tenant is not None and line.dom != tenant:
        raise PolicyError(f"{at}: the tenant is {line.dom!r}; here it can only be {tenant!r}")
    if line.dom != ANY_TENANT and not is_id(line.dom):
        raise PolicyError(f"{at}: {line.dom!r} is no tenant")


@cache
def _acts(kind: str) -> frozenset[str]:
    return frozenset(each.act for each in Permission if kind in (ANY, each.kind))


def _check_role(at: str, role: str) -> None:
    if role not in _ROLES:
        raise PolicyError(f"{at}: there is no role {role!r}; known are {', '.join(Role)}")


def _check_depth(where: str, parents: Mapping[str, tuple[str, ...]]) -> None:
    def depth(role: str, above: tuple[str, ...]) -> int:
        if role in above:
            raise PolicyError(f"{where}: {' inherits from '.join((*above, role))}: a circle")
        return 1 + max((depth(each, (*above, role)) for each in parents.get(role, ())), default=0)

    for role in parents:
        if depth(role, ()) > MAX_DEPTH:
            raise PolicyError(f"{where}: {role} inherits over more than {MAX_DEPTH} levels")


def _digest(lines: Iterable[Line], parents: Mapping[str, tuple[str, ...]]) -> str:
    words = [str(line) for line in lines]
    words += [f"g, {role}, {each}" for role in sorted(parents) for each in parents[role]]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
