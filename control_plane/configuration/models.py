"""PURE. Models of the API, made from the tables that an operator writes: one shape, told once.

`state.queue_tables` says what a queue is; a file and the API take the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from pydantic import Field, create_model

from control_plane.api.model import ApiModel, Id
from control_plane.configuration.document import SECRET
from state import model as nouns
from state.patterns import portable

_NOUNS: Final = {
    "_WeightsTable": "ScoreWeights",
    "_ScopeTable": "Scope",
    "_StepTable": "Step",
    "_LimitTable": "Limit",
    "_CallBackTable": "CallBack",
    "_CountryTable": "CountryRules",
    "_RecordingTable": "RecordingRules",
}
"""Tables that are not called as the nouns of `state.model` which they become."""
_META: Final = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


def body_model(name: str, shape: type[Any], *, but: frozenset[str] = frozenset()) -> type[ApiModel]:
    """Return what is sent to write such a table, without the fields `but`."""
    return _model(name, shape, but, {})


def draft_model(name: str, shape: type[Any], *, but: frozenset[str]) -> type[ApiModel]:
    """Return what is sent to add one: the table, and its id."""
    return _model(name, shape, but, {"id": (Id, ...)})


def view_model(name: str, shape: type[Any]) -> type[ApiModel]:
    """Return what is told of such a table."""
    told = {"id": (str, ...), "tenant": (str, ...), "version": (int, ...)}
    return _model(name, shape, SECRET | {"tenant"}, told)


def _model(
    name: str, shape: type[Any], but: frozenset[str], more: Mapping[str, Any]
) -> type[ApiModel]:
    hints = get_type_hints(shape, include_extras=True)
    fields: dict[str, Any] = dict(more)
    for field in msgspec.structs.fields(shape):
        if field.name in but or field.name in more:
            continue
        kind = _kind(hints[field.name])
        if field.name in SECRET:
            kind = Annotated[kind, Field(repr=False)]
        if field.required:
            fields[field.name] = (kind, ...)
        elif field.default is not msgspec.NODEFAULT:
            fields[field.name] = (kind, field.default)
        else:
            fields[field.name] = (kind, Field(default_factory=_factory(field.default_factory)))
    made = create_model(name, __base__=ApiModel, __doc__=shape.__doc__, **fields)
    made.told_by = _told_by(shape)
    return made


def _told_by(shape: type[Any]) -> tuple[type, ...]:
    """Return the table, and before it the noun that it becomes."""
    name = _NOUNS.get(shape.__name__, shape.__name__.removesuffix("Table"))
    noun = getattr(nouns, name, None)
    return (shape,) if noun is None else (noun, shape)


def _factory(made: Any) -> Any:  # noqa: ANN401 - what makes a default
    """Return what makes the model's default, where msgspec would make a table's."""
    is_table = isinstance(made, type) and issubclass(made, msgspec.Struct)
    return _nested(made) if is_table else made


@cache
def _nested(shape: type[Any]) -> type[ApiModel]:
    return _model(shape.__name__.lstrip("_"), shape, frozenset(), {})


def _kind(hint: Any) -> Any:  # noqa: ANN401, PLR0911 - a type in, a type out
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *metas = get_args(hint)
        limits = {n: v for m in metas for n in _META if (v := getattr(m, n, None)) is not None}
        if "pattern" in limits:
            limits["pattern"] = portable(limits["pattern"])
        return Annotated[_kind(inner), Field(**limits)]
    if origin is Literal or hint is type(None):
        return hint
    if origin is list:
        return list[_kind(get_args(hint)[0])]  # type: ignore[misc]
    if origin is dict:
        key, value = get_args(hint)
        return dict[_kind(key), _kind(value)]  # type: ignore[misc]
    if origin is not None:
        return Union[tuple(_kind(each) for each in get_args(hint))]  # noqa: UP007 - made at run time
    if issubclass(hint, msgspec.Struct):
        return _nested(hint)
    if issubclass(hint, Enum):
        return hint
    return hint
