"""Hypothesis strategies for records and keys of the shared state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from state import keys
from state.codec import RECORD_TYPES, Record
from state.keys import Kind

unhurried: Final = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
"""The machine may be busy with other tests: no example has a deadline of its own."""

IDS: Final = st.from_regex(r"[A-Za-z0-9_.+-]{1,12}", fullmatch=True)
CALLS: Final = st.from_regex(r"[0-9a-f]{24}", fullmatch=True)
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NAMED_IDS: Final = frozenset({"id", "number", "agent", "edge", "queue", "site", "holder", "via"})


def ids(kind: Kind) -> st.SearchStrategy[str]:
    """Make ids of a kind."""
    of_calls = {
        Kind.TICKET,
        Kind.PLACE,
        Kind.CLEARANCE,
        Kind.HEIR,
        Kind.RECORDING_WISH,
        Kind.RECORDING,
        Kind.TRANSFER_WISH,
        Kind.TRANSFER,
        Kind.ENDED,
        Kind.CODED,
        Kind.RESTED,
    }
    return CALLS if kind in of_calls else IDS


def records(kind: Kind) -> st.SearchStrategy[Record]:
    """Make records of a kind from the type hints of its class."""
    return _structs(RECORD_TYPES[kind])


def keyed_records() -> st.SearchStrategy[tuple[str, Record]]:
    """Make records of any kind that stands in a snapshot, each with its own key."""
    mirrored = [kind for kind in Kind if kind not in {Kind.ENDED, Kind.CODED, Kind.RESTED}]
    return st.sampled_from(mirrored).flatmap(
        lambda kind: records(kind).map(lambda value: (_key(kind, value), value))
    )


def _key(kind: Kind, value: Record) -> str:
    for name in ("id", "number", "call", "agent", "edge", "site"):
        if kind in {Kind.OFFER, Kind.WORK} and name == "call":
            continue
        if hasattr(value, name):
            return keys.build(kind, getattr(value, name))
    raise AssertionError(f"{value!r} has no id")


def _structs(cls: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any record
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: _values(f.name, hints[f.name]) for f in fields(cls)})


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401, PLR0911 - one line for each type
    supertype = getattr(hint, "__supertype__", hint)
    if supertype is str:
        return CALLS if name == "call" else IDS if name in _NAMED_IDS else TEXTS
    if supertype is int:
        return st.integers(-(2**53), 2**53)
    if supertype is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if supertype is bool:
        return st.booleans()
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        if arguments[1:] == (...,):
            return st.lists(_values(name, arguments[0]), max_size=3).map(tuple)
        return st.tuples(*(_values(name, each) for each in arguments))
    if get_origin(hint) is Mapping:
        key, value = arguments
        return st.dictionaries(_values(name, key), _values(name, value), max_size=3)
    if arguments:
        return st.one_of([st.none() if e is type(None) else _values(name, e) for e in arguments])
    if hasattr(hint, "__members__"):
        return st.sampled_from(list(hint))
    return _structs(hint)
