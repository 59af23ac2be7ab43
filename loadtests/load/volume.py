"""Volume beside the people: one SIPp, whose counts come into the same tables.

Once a second what was added to its files is entered: each answer with its own time, and each call
that failed without one. Imported by Locust's processes alone.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import gevent

from drills.lab.lab import PROJECT
from drills.lab.namespaces import entering
from loadtests.load.counted import Counted
from loadtests.load.plan import STATISTICS, WITH_WORKER, Plan
from loadtests.load.telling import Row

SCENARIO: Final = PROJECT / "loadtests" / "load" / "sipp.xml"
PORT: Final = 5160
"""5060 of the host may be another SIPp's: the demo's."""
MEDIA_PORT: Final = 16000
HOST: Final = "callers"
EVERY_S: Final = 1
NO_MORE_CALLS: Final = signal.SIGUSR1
"""What SIPp takes for: end when all calls have ended. SIGTERM leaves them where they are."""
ENDS_WITHIN_S: Final = 10.0
"""A call of the scenario takes two seconds, and its repetitions some."""
LONGEST_CALLS: Final = 400
"""So many at once at most: what a stalled site leaves waiting does not grow for ever."""


class Volume:
    """One SIPp at a fixed rate until `stop`."""

    def __init__(self, plan: Plan, enter: Callable[[Row], None]) -> None:
        self._enter = enter
        file = plan.folder / STATISTICS
        self._counted = Counted(file)
        log = plan.folder / "sipp.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own scenario
                (*WITH_WORKER, *entering(HOST, command(plan, file))),
                cwd=plan.folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._following = gevent.spawn(self._follow)

    def stop(self) -> None:
        """Place no more calls, let those that go on end in order, and take what is left."""
        if self._process.poll() is None:
            self._process.send_signal(NO_MORE_CALLS)
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._following.kill()
        self._take()

    def _follow(self) -> None:
        while True:
            gevent.sleep(EVERY_S)
            self._take()

    def _take(self) -> None:
        for row in self._counted.new():
            self._enter(row)


def command(plan: Plan, statistics: Path) -> tuple[str, ...]:
    """Return SIPp's command line."""
    own: Mapping[str, str] = plan.hosts
    calls = round(plan.request.sipp_per_s * plan.request.seconds)
    return (
        *("sipp", "-sf", str(SCENARIO), plan.carrier, "-s", plan.volume_did),
        *("-i", own[HOST], "-p", str(PORT), "-mi", own[HOST], "-mp", str(MEDIA_PORT)),
        *("-r", f"{plan.request.sipp_per_s:g}", "-m", str(max(1, calls))),
        *("-l", str(LONGEST_CALLS), "-aa", "-nostdin"),
        *("-trace_stat", "-fd", str(EVERY_S), "-stf", str(statistics)),
        *("-trace_rtt", "-rtt_freq", "1"),
    )
