"""What stands below a field in the source: the OpenAPI document, and so `ctl --help`, tells it.

pydantic's own `use_attribute_docstrings` reads a class's file anew for each class, at each start;
this reads a file once, when the document is made.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from control_plane.api.model import ApiModel

OURS: Final = ("control_plane.", "state.")


def of_fields(shape: type) -> dict[str, str]:
    """Return what is said of the fields of a class and of its bases, in one line each."""
    told: dict[str, str] = {}
    for other in shape.told_by if issubclass(shape, ApiModel) else ():
        told |= of_fields(other)
    for each in reversed(shape.__mro__):
        if each.__module__.startswith(OURS):
            told |= _of_module(each.__module__).get(each.__name__.partition("[")[0], {})
    return told


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    file = sys.modules[name].__file__
    if file is None or not Path(file).is_file():
        return {}
    body = ast.parse(Path(file).read_text(encoding="utf-8")).body
    return {each.name: dict(_fields(each)) for each in body if isinstance(each, ast.ClassDef)}


def _fields(made: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(made.body, made.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(about))
            ):
                yield name, " ".join(about.split())
            case _:
                pass
