"""One JSON line an event, whatever is in it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

from edge.log import Stamp, render


class Colour(StrEnum):
    """Some value that is a string."""

    RED = "red"


def line(**fields: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(render(None, "info", dict(fields)))
    return found


def test_a_line_is_json_with_its_fields() -> None:
    assert line(event="call_state", state=Colour.RED, count=3, agent=None) == {
        "event": "call_state",
        "state": "red",
        "count": 3,
        "agent": None,
    }


def test_what_json_does_not_know_is_shown_as_it_would_be_printed() -> None:
    assert line(path=Path("/x"))["path"] == repr(Path("/x"))
    assert line(error=ValueError("no"))["error"] == "ValueError('no')"


def test_text_that_is_no_unicode_loses_no_line() -> None:
    assert line(event="did_unknown", did="\udcff")["did"] == "\udcff"


def test_a_line_is_json_whatever_is_in_it() -> None:
    for value in ("two\nlines", "caf\udce9", b"bytes", object(), {1: 2}, float("nan")):
        line = render(None, "info", {"event": "x", "value": value})
        assert b"\n" not in line
        assert json.loads(line)["event"] == "x"


def test_a_line_is_stamped_with_its_own_instant_though_the_second_is_kept() -> None:
    stamp, second = Stamp(), 1_700_000_000 * 1_000_000_000
    told = [stamp.text(second + ns) for ns in (1_000, 999_999_999, 1_000_000_000, -1)]
    assert told == [
        "2023-11-14T22:13:20.000001Z",
        "2023-11-14T22:13:20.999999Z",
        "2023-11-14T22:13:21.000000Z",
        "2023-11-14T22:13:19.999999Z",
    ]
