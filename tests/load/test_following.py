"""What the command makes of what a load says."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from drills.cli.errors import CommandError
from drills.cli.load import QUIET_S, SEEDS, _drawn, _follow
from drills.desk.asks import Ask, LoadAsk
from drills.desk.client import Line
from loadtests.load.plan import Request, ShapeName
from loadtests.load.report import Report
from loadtests.load.saying import ALIVE_S

REQUEST = Request(shape=ShapeName.SOAK, seconds=60.0)
REPORT = Report(
    shape=ShapeName.SOAK,
    request=REQUEST,
    machine={},
    rows=(),
    figures={},
    limits=(),
    held=False,
    incomplete=("Locust ended after 7 of 60 s",),
    missing_calls=(),
    faults=(),
)


class Told(Line):
    """A line to a lab that says this."""

    def __init__(self, *events: dict[str, object]) -> None:
        self._events = events

    def follow(self, ask: Ask, *, timeout_s: float = 0.0) -> Iterator[bytes]:
        """Say it."""
        assert isinstance(ask, LoadAsk)
        assert timeout_s > 10 * ALIVE_S
        yield from map(msgspec.json.encode, self._events)


def follow(*events: dict[str, object]) -> Report:
    return _follow(Told(*events), LoadAsk(request={}), REQUEST)


def test_load_that_only_says_that_it_lives_is_waited_for() -> None:
    done = {"event": "done", "report": REPORT}
    assert follow({"event": "alive"}, {"event": "step", "what": "waiting"}, done) == REPORT


def test_load_that_cannot_be_done_is_told_in_one_line() -> None:
    with pytest.raises(CommandError, match="load: no limits"):
        follow({"event": "failed", "why": "no limits"})


def test_command_waits_longer_than_anything_is_silent() -> None:
    assert QUIET_S >= 60 * ALIVE_S


def test_load_that_breaks_something_draws_a_seed_and_tells_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seeds = {_drawn(ShapeName.SOAK) for _ in range(8)}
    assert len(seeds) > 1
    assert all(0 <= seed < SEEDS for seed in seeds)
    told = capsys.readouterr().err
    assert all(f"--seed {seed} " in told for seed in seeds)


def test_load_that_breaks_nothing_is_always_the_same() -> None:
    assert _drawn(ShapeName.STEADY) == 1
