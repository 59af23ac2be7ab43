"""PURE. Answers as tables, and how two states of a thing differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

DEEPEST: Final = 3
GAP: Final = 2
"""Between columns."""
MOST: Final = 30
"""Of a list in one line."""
BLOCK: Final = 3
"""Of so many columns that belong together more would push out everything else."""
DULL: Final = (
    "tenant",
    "version",
    "digest",
    "agent_site",
    "caller.is_masked",
    "edge",
    "did",
    "session",
    "policy",
    "request",
    "place",
)
KEEN: Final = ("name", "title", "state", "outcome", "numbers", "fault", "remedy")
"""What somebody who looks at a list most likely looks for."""
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$")
_COMMANDS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""C0 and C1 (ISO 6429), but for the end of a line and the tab."""
LONGEST: Final = 60
_DIGITS: Final = 4
"""After the point: more say nothing to a person."""
_CHANGE: Final = {"before", "after"}


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
    """Return a list as a table.

    Columns that are empty everywhere are left out, and those for which there is no room.
    """
    if not rows:
        return "None."
    if not all(isinstance(each, Mapping) for each in rows):
        return ", ".join(cell(each) for each in rows)
    flat = [dict(flattened(each)) for each in rows]
    names = list(dict.fromkeys(name for each in flat for name in each))
    names = [name for name in names if any(each.get(name) not in _EMPTY for each in flat)]
    return Rows(flat, names)


class Rows:
    """A table that fits: columns of less interest go first, and it says which."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
        self._rows = rows
        self._names = tuple(names)
        self._cells = {name: [_short(each.get(name)) for each in rows] for name in names}

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the table, and what is not in it."""
        kept = self._fitting(options.max_width)
        made = Table(box=None, pad_edge=False, header_style="bold")
        for name in kept:
            numbers = (each.get(name) for each in self._rows)
            is_number = all(isinstance(each, int | float | None) for each in numbers)
            made.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for place in range(len(self._rows)):
            made.add_row(*(Text(self._cells[name][place]) for name in kept))
        yield made
        if left := [name for name in self._names if name not in kept]:
            yield Text(f"No room for {', '.join(left)}: --json tells all.", style="dim")

    def _fitting(self, room: int) -> list[str]:
        kept = list(self._names)
        for name in self._going():
            if sum(self._width(each) + GAP for each in kept) <= room + GAP:
                break
            kept.remove(name)
        return kept

    def _width(self, name: str) -> int:
        return max(len(name), *map(len, self._cells[name]))

    def _going(self) -> list[str]:
        """Return the columns in the order in which they go; the first one stays."""
        first, *names = self._names
        is_list = len(self._rows) > 1
        blocks = Counter(each.partition(".")[0] for each in names if "." in each)
        instants = [each for each in names if _INSTANT.match(str(self._rows[0].get(each)))]
        last_first = tuple(reversed(names))
        order = (
            *(each for each in names if self._cells[each] == self._cells[first]),
            *(each for each in DULL if each in names),
            *(each for each in last_first if each.count(".") > 1),
            *(each for each in last_first if blocks[each.partition(".")[0]] > BLOCK),
            *reversed(instants[1:]),
            *(each for each in last_first if all(is_so == "no" for is_so in self._cells[each])),
            *(each for each in last_first if is_list and self._says_the_same(each)),
            *(each for each in last_first if "." in each),
            *last_first,
        )
        going = list(dict.fromkeys(order))
        return sorted(going, key=lambda name: name.rpartition(".")[2] in KEEN)

    def _says_the_same(self, name: str) -> bool:
        """Whether all rows have the same word; that all have the same number is worth a look."""
        is_word = isinstance(self._rows[0].get(name), str | bool)
        return is_word and len(set(self._cells[name])) == 1


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a cell: an instant without its fractions, the rest up to so many characters."""
    text = cell(value, LONGEST)
    found = _INSTANT.match(text)
    return f"{found[1]} {found[2]}" if found else text


def thing(told: Mapping[str, Any]) -> RenderableType:
    """Return one thing: its fields below each other, lists of things as tables."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    parts: list[RenderableType] = [made]
    for name, value in flattened(told):
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            rows = list(_changes(value)) if value[0].keys() >= _CHANGE else value
            parts += ["", Text(name, style="bold"), table(rows)]
        elif isinstance(value, list) and any(
            ", " in each for each in value if isinstance(each, str)
        ):
            parts += ["", Text(name, style="bold"), *(Text(f"  {cell(each)}") for each in value)]
        elif value not in _EMPTY:
            made.add_row(name, Text(cell(value)))
    return Group(*parts) if made.row_count or len(parts) > 1 else "Nothing."


def _changes(changes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield what differs of things that were changed: a row for each field."""
    for each in changes:
        was, now = (dict(flattened(each[name] or {})) for name in ("before", "after"))
        of = {name: value for name, value in each.items() if name not in _CHANGE}
        for field in dict.fromkeys((*was, *now)):
            if was.get(field) != now.get(field):
                yield {**of, "field": field, "was": was.get(field), "is": now.get(field)}


def flattened(told: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the fields; those of things within as `outer.inner`."""
    for name, value in told.items():
        if isinstance(value, Mapping) and value and depth < DEEPEST:
            for inner, each in flattened(value, depth + 1):
                yield f"{name}.{inner}", each
        else:
            yield name, value


def harmless(text: str) -> str:
    """Return what people have written, with what would command a terminal in hexadecimal.

    Lines and tabs stay. A note may be anybody's, and a terminal does as its escapes say.
    """
    return _COMMANDS.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def cell(value: Any, longest: int | None = None) -> str:  # noqa: ANN401 - JSON
    """Return a value in a line."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case float():
            text = str(round(value, _DIGITS))
        case list():
            text = ", ".join(cell(each) for each in value[:MOST])
            text += f", … ({len(value)} in all)" if len(value) > MOST else ""
        case Mapping():
            text = ", ".join(f"{name}={cell(each)}" for name, each in value.items())
        case _:
            text = harmless(str(value))
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
