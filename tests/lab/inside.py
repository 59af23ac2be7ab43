"""pytest hooks: tests marked `lab` run in namespaces of their own, one inner pytest for each file.

A conftest.py takes them up with

    from tests.lab.inside import pytest_runtest_logreport, pytest_runtest_protocol

Whoever runs the whole of pytest inside (`drills.lab.enter`) gets no second layer. A test marked
`lab(outside=True)` makes namespaces itself and runs where it is. The first test of a file waits for
the whole file; reports are the inner ones, with their durations.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from drills.lab.enter import enter, inside

REPORTS = "EVERLINE_TEST_REPORTS"
"""Environment variable: the file to which the inner pytest writes its reports, JSON lines."""

_reports: dict[str, list[dict[str, Any]]] = {}
_output: dict[Path, str] = {}
_config: list[pytest.Config] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Inside: write the report down for the outer pytest."""
    path = os.environ.get(REPORTS)
    if path is None or inside() is None or not _config:
        return
    config = _config[0]
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    with Path(path).open("a") as file:
        file.write(json.dumps(data) + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Outside: report what the inner pytest found, having run it for the item's file if need be."""
    _config[:] = [item.config]
    mark = item.get_closest_marker("lab")
    if mark is None or mark.kwargs.get("outside") or inside() is not None:
        return None
    if item.path not in _output:
        wanted = [i.nodeid for i in item.session.items if i.path == item.path and _is_inner(i)]
        _output[item.path] = _run_inside(item.config, wanted)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for data in _reports.get(item.nodeid) or [_missing(item)]:
        report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What the test before this one had set up for both of them, the next may have no part in.
    item.session._setupstate.teardown_exact(nextitem)  # noqa: SLF001 - pytest has no public way
    return True


def _is_inner(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("lab")
    return mark is not None and not mark.kwargs.get("outside")


def _run_inside(config: pytest.Config, nodeids: list[str]) -> str:
    """Run these tests inside; keep their reports, return what was printed."""
    with tempfile.TemporaryDirectory(prefix="everline-lab-") as directory:
        path = Path(directory) / "reports"
        path.touch()
        os.environ[REPORTS] = str(path)
        with (Path(directory) / "output").open("w+b") as output:
            options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(config.rootpath))
            status = enter("pytest", (*options, *nodeids), output=output)
            output.seek(0)
            printed = output.read().decode(errors="replace")
        del os.environ[REPORTS]
        for line in path.read_text().splitlines():
            data = json.loads(line)
            _reports.setdefault(data["nodeid"], []).append(data)
    if status in {pytest.ExitCode.INTERRUPTED, 128 + signal.SIGINT}:
        sys.stdout.write(printed)
        raise KeyboardInterrupt
    return printed


def _missing(item: pytest.Item) -> dict[str, Any]:
    """Return a failure for a test that the inner pytest never came to."""
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=f"the pytest inside gave no report of this test; it said:\n{_output[item.path]}",
        when="call",
    )
    data: dict[str, Any] = item.config.hook.pytest_report_to_serializable(
        config=item.config, report=report
    )
    return data
