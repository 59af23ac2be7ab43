"""No text with a pattern takes a newline at its end, wherever it is read.

`re` matches `$` before one; ids, words and numbers go into SIP and file names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, inspect
from pydantic import Field, TypeAdapter

import control_plane
import custody
import drills
import edge
import state
from state.patterns import portable, whole
from tests.state.shapes import kinds_of, models, structs, within

NEWLINE = "\n"
EXAMPLES = (
    *("a", "A", "1", "DE", "+4930100", "08:00-17:00", "2026-12-24", "ab", "de", "a@b"),
    *("0" * 24, "0" * 64, "http://h:4318"),
)
PACKAGES = (state, custody, edge, control_plane, drills)


def of_structs() -> dict[str, str]:
    """Return the patterns that msgspec checks, each with a struct that has it."""
    return {
        part.pattern: each.__name__
        for each in structs(PACKAGES)
        for kind in kinds_of(each)
        for part in within(kind)
        if isinstance(part, inspect.StrType) and part.pattern
    }


def of_models() -> dict[str, str]:
    """Return the patterns that pydantic checks, each with a model that has it."""
    return {
        pattern: each.__name__
        for each in models(PACKAGES)
        for pattern in _strings(each.__pydantic_core_schema__)
    }


def _strings(schema: Any) -> Iterator[str]:  # noqa: ANN401 - a core schema
    if isinstance(schema, dict):
        if schema.get("type") == "str" and schema.get("pattern"):
            yield schema["pattern"]
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _strings(each)


def example_of(pattern: str) -> str:
    """Return a text that the pattern takes."""
    found = next((text for text in EXAMPLES if re.search(pattern, text)), None)
    assert found is not None, f"add an example for {pattern}"
    return found


def test_no_record_or_table_takes_a_newline_at_the_end_of_a_text_with_a_pattern() -> None:
    found = of_structs()
    assert len(found) >= 10
    for pattern, name in found.items():
        kind, example = Annotated[str, Meta(pattern=pattern)], example_of(pattern)
        assert msgspec.convert(example, kind) == example
        with pytest.raises(msgspec.ValidationError):
            pytest.fail(f"{name}: {pattern} {msgspec.convert(example + NEWLINE, kind)!r}")


def test_no_model_takes_a_newline_at_the_end_of_a_text_with_a_pattern() -> None:
    found = of_models()
    assert len(found) >= 20
    assert not any("regex_engine" in each.model_config for each in models(PACKAGES))
    for pattern, name in found.items():
        kind = TypeAdapter(Annotated[str, Field(pattern=pattern)])
        example = example_of(pattern)
        assert kind.validate_python(example) == example
        with pytest.raises(ValueError, match="pattern"):
            pytest.fail(f"{name}: {pattern} {kind.validate_python(example + NEWLINE)!r}")


def test_a_pattern_is_told_to_others_as_they_read_it() -> None:
    pattern = whole("[a-z]+").pattern
    assert pattern is not None
    assert re.search(pattern, "abc")
    assert not re.search(pattern, "abc\n")
    assert portable(pattern) == "^[a-z]+$"
    assert portable("^a$") == "^a$"
