"""`./everline replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cyclopts

from drills.cli.asking import Json, print_json
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.replay.compare import compare, shown
from drills.replay.day import DayError, read_day
from edge.acd.simulation import Day
from state.configuration import Configuration, parse_configuration
from state.errors import ConfigurationError

File = Annotated[Path, cyclopts.Parameter(help="A day, as ./everline calls --export writes it.")]
Rules = Annotated[
    Path | None, cyclopts.Parameter(help="A configuration, as it is published: TOML.")
]
Target = Annotated[
    float,
    cyclopts.Parameter(
        help="Seconds for the service level. Default 20.",
        validator=cyclopts.validators.Number(gt=0, lte=3600),
    ),
]


def replay(file: File, /, *, rules: Rules = None, target: Target = 20.0, json: Json = False) -> int:
    """Run a recorded day again under other rules, and compare.

    The callers come as they came, and leave when they left; handling takes
    as long as it took; agents are there when they were. Who is served by
    whom, and when, is decided anew by the real matcher. Without --rules the
    day's own rules are used: what differs then is the replay's own error.

    For example:
      ./everline calls --export day.jsonl
      ./everline replay day.jsonl
      ./everline replay day.jsonl --rules new.toml --json
    """
    answer = compare(_day(file), None if rules is None else _rules(rules), target)
    if json:
        print_json(answer, indent=2)
    else:
        console().print(shown(answer))
    return Exit.OK


def _day(path: Path) -> Day:
    try:
        return read_day(path.read_bytes().splitlines(), str(path))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", Exit.USAGE) from error
    except DayError as error:
        raise CommandError(str(error), Exit.USAGE) from error


def _rules(path: Path) -> Configuration:
    try:
        return parse_configuration(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", Exit.USAGE) from error
    except (ConfigurationError, UnicodeDecodeError) as error:
        raise CommandError(str(error), Exit.USAGE) from error
