"""One JSON line an event, whatever is in it; of a fault its kind and place, never its text."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from pathlib import Path

import pytest

from edge.log import Stamp, fault, render


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


def _faulty(number: str) -> None:
    secret_local = number
    raise KeyError(secret_local)


def test_a_fault_is_named_with_its_place_and_without_its_text_or_locals() -> None:
    with pytest.raises(KeyError) as caught:
        _faulty("+4930123")
    fields = fault(caught.value)
    assert fields["fault"] == "KeyError"
    assert fields["at"].startswith("test_log.py:")
    assert "4930123" not in json.dumps(fields)
    assert "secret" not in json.dumps(fields)


async def test_of_a_group_of_faults_the_first_is_named() -> None:
    async def faulty() -> None:
        await asyncio.sleep(0)
        _faulty("+4930123")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(faulty())
    assert fault(caught.value)["fault"] == "KeyError"
    assert "test_log.py" in fault(caught.value)["at"]


def test_a_line_is_json_whatever_is_in_it() -> None:
    for value in ("two\nlines", "caf\udce9", b"bytes", object(), {1: 2}, float("nan")):
        line = render(None, "info", {"event": "x", "value": value})
        assert b"\n" not in line
        assert json.loads(line)["event"] == "x"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert fault(ValueError("x")) == {"fault": "ValueError", "at": "?"}


def test_a_line_is_stamped_with_its_own_instant_though_the_second_is_kept() -> None:
    stamp, second = Stamp(), 1_700_000_000 * 1_000_000_000
    told = [stamp.text(second + ns) for ns in (1_000, 999_999_999, 1_000_000_000, -1)]
    assert told == [
        "2023-11-14T22:13:20.000001Z",
        "2023-11-14T22:13:20.999999Z",
        "2023-11-14T22:13:21.000000Z",
        "2023-11-14T22:13:19.999999Z",
    ]
