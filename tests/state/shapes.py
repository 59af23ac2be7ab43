"""Every record, table and model of the program, and the types within them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TypeVar

import msgspec
from msgspec import Struct, inspect
from pydantic import BaseModel

TypeT = TypeVar("TypeT")
_NOT_IMPORTED = ("kemi", "__main__", "etcdpb")
"""Of Kamailio's own Python, run as programs, or made by a generator."""


def structs(packages: Iterable[ModuleType]) -> list[type[Struct]]:
    """Return every struct that the packages define."""
    return _below(Struct, packages)


def models(packages: Iterable[ModuleType]) -> list[type[BaseModel]]:
    """Return every pydantic model that the packages define, built."""
    found = _below(BaseModel, packages)
    for each in found:
        each.model_rebuild()  # the API's are not before somebody uses them
    return found


def _below(base: type[TypeT], packages: Iterable[ModuleType]) -> list[type[TypeT]]:
    names = set()
    for package in packages:
        names.add(package.__name__)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in module.name for part in _NOT_IMPORTED):
                importlib.import_module(module.name)
    found, left = [], [base]
    while left:
        below = left.pop().__subclasses__()
        found += [each for each in below if each.__module__.split(".")[0] in names]
        left += below
    return found


def kinds_of(struct: type[Struct]) -> tuple[inspect.Type, ...]:
    """Return the types of its fields; none if it is never read from outside."""
    try:
        fields = msgspec.structs.fields(struct)
        return tuple(inspect.multi_type_info([field.type for field in fields]))
    except (TypeError, NameError):
        return ()


def within(kind: object) -> Iterator[object]:
    """Yield the type and those in it, at any depth that is its own."""
    yield kind
    below: list[object] = [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
    below += [getattr(kind, name, None) for name in ("item_type", "key_type", "value_type", "type")]
    for each in below:
        if isinstance(each, inspect.Type):
            yield from within(each)
