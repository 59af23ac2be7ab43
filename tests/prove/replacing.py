"""Replaces functions of an edge, so that a bug is planted in it.

A function that is no longer there is an error: a mutant that does nothing would count as one that
was missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from edge.acd.plan import Plan
from state.store import Delete


def of(where: Any, name: str) -> Any:  # noqa: ANN401 - of a module or class
    """Return what is to be replaced."""
    return getattr(where, name)


def put_in(where: Any, name: str, what: object) -> None:  # noqa: ANN401 - a module or class
    """Replace a function that is there."""
    of(where, name)
    setattr(where, name, what)


def without(plan: Plan, *, prefixes: tuple[str, ...], deletes: tuple[str, ...] = ()) -> Plan:
    """Return the plan without its compares of these keys, and without deleting those."""
    return replace(
        plan,
        compares=tuple(each for each in plan.compares if not each.key.startswith(prefixes)),
        success=tuple(
            each
            for each in plan.success
            if not (isinstance(each, Delete) and each.key.startswith(deletes or ("-",)))
        ),
    )


def wrap(module: Any, name: str, change: Callable[[Plan], Plan]) -> None:  # noqa: ANN401 - a module
    """Change what a function plans."""
    original = of(module, name)

    def mutated(*arguments: Any, **named: Any) -> Plan:  # noqa: ANN401 - as the original
        return change(original(*arguments, **named))

    put_in(module, name, mutated)
