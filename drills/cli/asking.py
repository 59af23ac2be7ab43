"""What the commands that ask a lab have in common: which lab, and how the answer is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import cyclopts
import msgspec
from rich.console import RenderableType

from drills.cli.progress import console
from drills.desk.asks import Ask
from drills.desk.client import Line, connected
from drills.setup.say import note

T = TypeVar("T")

LabOption = Annotated[
    int | None,
    cyclopts.Parameter(
        name="--lab", help="Which lab, by the number that status shows. Default: the newest."
    ),
]
Json = Annotated[bool, cyclopts.Parameter(help="Print JSON.")]


@contextmanager
def asking(lab: int | None) -> Iterator[Line]:
    """Connect to a lab; when it was chosen among several, say which."""
    with connected(lab) as line:
        if lab is None and line.others:
            others = ", ".join(map(str, line.others))
            note(f"this is lab {line.lab.launcher}, the newest; others are up: {others} (--lab)")
        yield line


def ask_and_print(
    ask: Ask, kind: type[T], show: Callable[[T], RenderableType], *, lab: int | None, json: bool
) -> T:
    """Ask a lab, print what it answers, and return that."""
    with asking(lab) as line:
        answer = line.ask(ask, kind)
    if json:
        print_json(answer, indent=2)
    else:
        console().print(show(answer))
    return answer


def print_json(answer: object, *, indent: int) -> None:
    """Print an answer as JSON; without indent on one line."""
    text = msgspec.json.encode(answer)
    sys.stdout.write((msgspec.json.format(text, indent=indent) if indent else text).decode() + "\n")
    sys.stdout.flush()
