"""PURE. What a person reads who asks a command for help."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from drills.ctl.commands import Command, Field
from drills.ctl.line import OWN, is_of_use, usage
from drills.ctl.schema import Schemas

_LEFT: Final = 32
"""How wide the column of options is, at most."""
_WORD: Final = "WORD"
"""Stands for words of which there are so many that they are told beside it."""


def help_of(command: Command, schemas: Schemas, width: int = 100) -> str:
    """Return what a person reads who asks for help, in lines of `width`."""
    lines = [command.summary + ".", "", f"  ./everline ctl {usage(command)}", ""]
    if command.permission:
        lines += [f"Needs {command.permission}.", ""]
    fields = (*(each for each in command.places if each.about), *command.options)
    rows = [(_spoken(each, command, schemas), _about(each, command, schemas)) for each in fields]
    lines += columns(rows, width)
    if rows:
        lines.append("")
    own = [(f"--{name}", about) for name, about in OWN.items() if is_of_use(name, command)]
    return "\n".join([*lines, *columns(own, width)])


def _spoken(field: Field, command: Command, schemas: Schemas) -> str:
    if field in command.places:
        return field.wire.upper()
    if schemas.is_flag(field.schema):
        return f"--{field.name}"
    says = schemas.says(field.schema)
    if len(field.name) + len(says) > _LEFT:
        says = says.replace("|".join(schemas.words(field.schema)) or says, _WORD)
    return f"--{field.name} {says}"


def _about(field: Field, command: Command, schemas: Schemas) -> str:
    told = [field.about] if field.about else []
    spoken = _spoken(field, command, schemas)
    if _WORD in spoken:
        told.append(f"One of {', '.join(schemas.words(field.schema))}.")
    if spoken.endswith((" JSON", " JSON,...")) and (inner := schemas.inner(field.schema)):
        told.append(f"With {', '.join(inner)}.")
    usual = "" if schemas.is_flag(field.schema) else schemas.usual(field.schema)
    if field.is_needed and field not in command.places:
        told.append("Needed.")
    elif usual and not command.merges:
        told.append(f"Left out: {usual}.")
    return " ".join(told)


def columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield words beside what they are for, in lines of `width`."""
    left = min(max((len(name) for name, _ in rows), default=0), _LEFT)
    for name, about in rows:
        told = textwrap.wrap(about, max(width - left - 4, _LEFT)) or [""]
        yield f"  {name:{left}}  {told.pop(0) if len(name) <= left else ''}".rstrip()
        yield from (f"  {'':{left}}  {each}" for each in told)
