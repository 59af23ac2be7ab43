from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from drills.demo.calling import place, told
from drills.desk.asks import PlaceAsk

if TYPE_CHECKING:
    from drills.desk.client import Line


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"event": "ready"}, []),
        ({"event": "ended", "how": "refused"}, []),
        ({"event": "ringing", "wall_ms": 1_500}, ["  0.50 s  hears it ring"]),
        ({"event": "call", "how": "far_end"}, ["it is over: the other side hung up"]),
        (
            {"event": "call", "how": "refused", "status": 404},
            ["it is over: refused with 404: nobody has that number"],
        ),
        ({"event": "call", "how": "refused", "status": 600}, ["it is over: refused with 600"]),
        ({"event": "call", "how": "of_tomorrow"}, ["it is over: of tomorrow"]),
    ],
)
def test_a_phones_report_is_told_in_words(report: dict[str, object], said: list[str]) -> None:
    lines = list(told({"wall_ms": 1_000} | report, began_ms=1_000))
    assert [line if line in said else line[10:] for line in lines] == said


def test_a_call_is_named_when_it_is_dialled() -> None:
    report = {"event": "invite", "sip_call_id": "x@y", "local_tag": "t", "wall_ms": 5}
    (line,) = told(report, began_ms=5)
    assert line.startswith("  0.00 s  dials (call ")


def test_a_long_talk_is_waited_for() -> None:
    class Quiet:
        def follow(self, ask: PlaceAsk, *, timeout_s: float) -> Iterator[bytes]:
            assert timeout_s > ask.talk_s, "nothing is told meanwhile"
            yield b'{"event": "joined"}'

    assert place(cast("Line", Quiet()), PlaceAsk(did="15550100", talk_s=3600.0))
