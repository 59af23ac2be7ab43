"""A pattern beside a list in one union: msgspec 0.22 frees it wrongly when the process ends.

The process then dies of SIGSEGV after its work is done, one in five, and its exit code is lost.
"""

from __future__ import annotations

from msgspec import inspect

import drills
import edge
import state
from tests.state.shapes import kinds_of, structs, within


def is_trap(union: inspect.UnionType) -> bool:
    """Tell whether a pattern stands beside something that has types of its own."""
    has_pattern = any(isinstance(t, inspect.StrType) and t.pattern for t in union.types)
    return has_pattern and any(
        hasattr(t, "item_type") or hasattr(t, "key_type") for t in union.types
    )


def test_no_record_or_table_has_a_pattern_beside_a_list() -> None:
    found = structs((state, edge, drills))
    assert len(found) > 100
    for each in found:
        parts = [part for kind in kinds_of(each) for part in within(kind)]
        assert not any(isinstance(part, inspect.UnionType) and is_trap(part) for part in parts), (
            each
        )


def test_the_trap_is_known_when_it_is_seen() -> None:
    # Described, not made: to make it is to step into it.
    word, words = inspect.StrType(pattern="^a$"), inspect.ListType(inspect.StrType())
    assert is_trap(inspect.UnionType((word, words)))
    assert not is_trap(inspect.UnionType((word, inspect.NoneType())))
    assert not is_trap(inspect.UnionType((inspect.StrType(), words)))
