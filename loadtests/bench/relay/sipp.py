"""SIPp on both sides of a proxy: the carrier, started for each slice, and two edges that stay."""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.lab.process import ProcessSpec, RestartPolicy, SipProbe
from loadtests.bench.cpu import CpuMeter
from loadtests.bench.errors import BenchError
from loadtests.bench.relay.proxies import EDGES, TRUNK, Proxy

SCENARIOS: Final = Path(__file__).parent
PATIENCE_S: Final = 20.0


class Tally(Struct, frozen=True, kw_only=True):
    """What SIPp's statistics say of one run."""

    created: int
    succeeded: int
    failed: int
    retransmissions: int
    elapsed_s: float = 0.0
    """From the first call to the last count."""
    steady_per_s: float = 0.0
    """Calls that went well a second, from the first second's end for as long as calls were placed;
    0: that was too short."""

    def plus_retransmissions(self, more: int) -> Tally:
        """Return it with what the other side has sent again."""
        return replace(self, retransmissions=self.retransmissions + more)

    @property
    def dirt(self) -> str:
        """Say what was not clean; nothing if all was."""
        parts = []
        if self.failed or self.succeeded != self.created:
            parts.append(f"{self.created - self.succeeded} of {self.created} failed")
        if self.retransmissions:
            parts.append(f"{self.retransmissions} retransmissions")
        return ", ".join(parts)


def parse_statistics(text: str) -> Tally:
    """Read the last row of a SIPp statistics file (`-trace_stat`). ValueError if there is none."""
    rows = list(csv.DictReader(text.splitlines(), delimiter=";"))
    if not rows:
        raise ValueError("no row of statistics")
    last = rows[-1]
    return Tally(
        created=int(last["TotalCallCreated"]),
        succeeded=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        elapsed_s=_seconds(last.get("ElapsedTime(C)") or ""),
        steady_per_s=_steady(rows),
    )


def _steady(rows: Sequence[Mapping[str, str]]) -> float:
    """Return how many went well a second, in the seconds in which calls were placed all the time.

    What was begun before and ended in them is counted, and what was begun in them and ended later
    is not: over whole seconds it is as much.
    """
    total = rows[-1]["TotalCallCreated"]
    counted = [
        (_seconds(row.get("ElapsedTime(C)") or ""), int(row["SuccessfulCall(C)"]))
        for row in rows
        if row["TotalCallCreated"] != total
    ]
    counted = [each for each in counted if each[0] >= 1.0]
    if len(counted) < 2:  # noqa: PLR2004 - two ends of a span
        return 0.0
    (first_s, first), (last_s, last) = counted[0], counted[-1]
    return (last - first) / (last_s - first_s)


def _seconds(clock: str) -> float:
    """Read SIPp's `00:00:04` or `00:00:04:123456`; 0 for anything else."""
    parts = clock.split(":")
    if len(parts) < 3 or not all(part.isdecimal() for part in parts):  # noqa: PLR2004
        return 0.0
    hours, minutes, seconds, *micros = map(int, parts)
    return 3600 * hours + 60 * minutes + seconds + (micros[0] / 1e6 if micros else 0.0)


def name_of(address: str) -> str:
    """Return the process name of an edge."""
    return f"sipp-{address.partition(':')[2]}"


def edge(address: str, run: Path, scenario: Path = SCENARIOS / "uas.xml") -> ProcessSpec:
    """Return an edge that answers every call; or who else the scenario plays."""
    host, _, port = address.partition(":")
    (run / f"edge-{port}.csv").unlink(missing_ok=True)
    return ProcessSpec(
        name=name_of(address),
        host=None,
        cwd=run,
        restart=RestartPolicy(restarts=False),
        argv=(
            *_program(),
            *("-sf", str(scenario), "-i", host, "-p", port, "-nostdin"),
            *("-trace_stat", "-stf", str(run / f"edge-{port}.csv"), "-fd", "1"),
            *("-aa", "-buff_size", "4194304", "-l", "100000"),
        ),
        ready=SipProbe(address=host, port=int(port)),
    )


def edges_retransmissions(run: Path) -> int:
    """Return what both edges have sent again so far; they say so once a second."""
    total = 0
    for address in EDGES:
        file = run / f"edge-{address.partition(':')[2]}.csv"
        try:
            total += parse_statistics(file.read_text()).retransmissions
        except (OSError, ValueError):
            continue
    return total


async def carrier(
    proxy: Proxy, run: Path, *, rate: float, calls: int, scenario: Path = SCENARIOS / "uac.xml"
) -> tuple[Tally, float]:
    """Place `calls` at `rate` through the proxy; return the tally, and SIPp's own CPU seconds."""
    file = run / "carrier.csv"
    file.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *_program(),
        f"{proxy.address}:5060",
        *("-sf", str(scenario), "-i", TRUNK, "-p", "5060", "-nostdin"),
        *("-r", f"{rate:.0f}", "-rp", "1000", "-m", str(calls), "-l", "100000"),
        *("-trace_stat", "-stf", str(file), "-fd", "1"),
        *("-buff_size", "4194304", "-recv_timeout", "8000", "-timeout", "60"),
        cwd=run,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    meter = CpuMeter([process.pid])
    waiting = asyncio.create_task(process.communicate())
    spent_s = 0.0
    try:
        async with asyncio.timeout(PATIENCE_S + calls / rate):
            while not waiting.done():
                spent_s = meter.read_s()
                await asyncio.wait({waiting}, timeout=0.05)
    except TimeoutError as error:
        raise BenchError(f"SIPp did not end its {calls} calls to {proxy.name}") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return parse_statistics(file.read_text()), spent_s
    except (OSError, ValueError, KeyError) as error:
        _, said = await waiting
        what = said.decode(errors="replace").strip() or "nothing"
        raise BenchError(
            f"SIPp counted none of its calls to {proxy.name}; it said: {what}"
        ) from error


def _program() -> Sequence[str]:
    if shutil.which("sipp") is None:
        raise BenchError("sipp is missing: apt-get install sip-tester")
    return ("sipp",)
