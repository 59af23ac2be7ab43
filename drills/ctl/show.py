"""PURE. Answers as tables, and how two states of a thing differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

DEEPEST: Final = 3
LONGEST: Final = 60


def answer(told: Any) -> RenderableType:  # noqa: ANN401 - JSON
    """Return an answer as a person reads it."""
    match told:
        case None:
            return "Done."
        case {"items": list() as items}:
            return table(items)
        case Mapping():
            return thing(told)
        case _:
            return cell(told)


def table(rows: Sequence[Any]) -> RenderableType:
    """Return a list as a table; columns that are empty everywhere are left out."""
    if not rows:
        return "None."
    if not all(isinstance(each, Mapping) for each in rows):
        return ", ".join(cell(each) for each in rows)
    flat = [dict(flattened(each)) for each in rows]
    names = list(dict.fromkeys(name for each in flat for name in each))
    names = [name for name in names if any(each.get(name) not in _EMPTY for each in flat)]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        is_number = all(isinstance(each.get(name), int | float | None) for each in flat)
        made.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for each in flat:
        made.add_row(*(Text(cell(each.get(name), LONGEST)) for name in names))
    return made


def thing(told: Mapping[str, Any]) -> RenderableType:
    """Return one thing: its fields below each other, lists of things as tables."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    parts: list[RenderableType] = [made]
    for name, value in flattened(told):
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            parts += ["", Text(name, style="bold"), table(value)]
        elif value not in _EMPTY:
            made.add_row(name, Text(cell(value)))
    return Group(*parts)


def flattened(told: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the fields; those of things within as `outer.inner`."""
    for name, value in told.items():
        if isinstance(value, Mapping) and value and depth < DEEPEST:
            for inner, each in flattened(value, depth + 1):
                yield f"{name}.{inner}", each
        else:
            yield name, value


def cell(value: Any, longest: int | None = None) -> str:  # noqa: ANN401 - JSON
    """Return a value in a line."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case list():
            text = ", ".join(cell(each) for each in value)
        case Mapping():
            text = ", ".join(f"{name}={cell(each)}" for name, each in value.items())
        case _:
            text = str(value)
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], names: tuple[str, str] = ("was", "is")
) -> RenderableType:
    """Return what differs, field by field."""
    was, now = dict(flattened(before)), dict(flattened(after))
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("field", *names):
        made.add_column(name, overflow="fold")
    for name in dict.fromkeys((*was, *now)):
        if was.get(name) != now.get(name):
            made.add_row(name, Text(cell(was.get(name))), Text(cell(now.get(name))))
    return made if made.row_count else "No field that you can see differs."


_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
