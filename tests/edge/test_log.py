"""One JSON line an event, whatever is in it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

from structlog.testing import capture_logs

from edge.log import Stamp, note_fault, render


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


CALLER = "+4930901820"
STUMBLING = f"""
import asyncio, logging
from edge import log

async def stumble():
    loop = asyncio.get_running_loop()
    loop.call_soon(int, "{CALLER}x")
    await asyncio.sleep(0)
    try:
        int("{CALLER}x")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("not handled: %s", "{CALLER}")

log.configure("info", recorder="a")
asyncio.run(stumble())
"""


def test_what_libraries_stumble_over_is_told_by_what_it_is_and_never_quoted() -> None:
    """They log a traceback with the words of the fault, which quote what was sent."""
    done = subprocess.run([sys.executable, "-P", "-c", STUMBLING], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert CALLER.encode() not in done.stderr
    assert [(each["name"], each["fault"], each["level"]) for each in lines] == [
        ("asyncio", "ValueError", "error"),
        ("aiohttp.server", "ValueError", "error"),
    ]


def test_what_no_task_took_is_told_without_what_it_was_called_with() -> None:
    loop = asyncio.new_event_loop()
    told = f"Exception in callback Relay.take('{CALLER}')"
    with capture_logs() as lines:
        note_fault(loop, {"message": told, "exception": KeyError(CALLER)})
        note_fault(loop, {"message": "Task was destroyed but it is pending!"})
    loop.close()
    assert [(each["what"], each.get("fault")) for each in lines] == [
        ("Exception in callback Relay.take", "KeyError"),
        ("Task was destroyed but it is pending!", None),
    ]
    assert CALLER not in str(lines)
