"""SIPp on both sides of a proxy: the carrier, started for each slice, and two edges that stay."""

from __future__ import annotations

import asyncio
import csv
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.lab.process import ProcessSpec, RestartPolicy, SipProbe
from loadtests.bench.cpu import CpuMeter, Look, cores
from loadtests.bench.errors import BenchError
from loadtests.bench.relay.proxies import EDGES, TRUNK, Proxy

SCENARIOS: Final = Path(__file__).parent
PATIENCE_S: Final = 20.0
LOOK_S: Final = 0.2
"""From one look at the meters to the next."""
SIPP: Final = "sipp"
_COUNTED: Final = (
    "TotalCallCreated",
    "SuccessfulCall(C)",
    "FailedCall(C)",
    "Retransmissions(C)",
)
_NO_METERS: Final[Mapping[str, CpuMeter]] = MappingProxyType({})


class Span(Struct, frozen=True, kw_only=True):
    """The whole seconds but the first in which calls were placed all the time.

    What was begun before and went well in them is counted, and what was begun in them and went well
    later is not: over whole seconds it is as much.
    """

    first_s: float = 0.0
    """From SIPp's beginning, as the following."""
    last_s: float = 0.0
    placed: int = 0
    succeeded: int = 0

    @property
    def placed_per_s(self) -> float:
        """Return how many calls were placed a second; 0: it was too short."""
        return self.placed / (self.last_s - self.first_s) if self.last_s > self.first_s else 0.0

    @property
    def succeeded_per_s(self) -> float:
        """Return how many went well a second; 0: it was too short."""
        return self.succeeded / (self.last_s - self.first_s) if self.last_s > self.first_s else 0.0


class Tally(Struct, frozen=True, kw_only=True):
    """What SIPp's statistics say of one run."""

    created: int
    succeeded: int
    failed: int
    retransmissions: int
    elapsed_s: float = 0.0
    """From the first call to the last count."""
    steady: Span = Span()

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
    rows = [
        row
        for row in csv.DictReader(text.splitlines(), delimiter=";")
        # One that SIPp is just writing ends somewhere.
        if all(row.get(name, "") is not None for name in _COUNTED)
    ]
    if not rows:
        raise ValueError("no row of statistics")
    last = rows[-1]
    return Tally(
        created=int(last["TotalCallCreated"]),
        succeeded=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        elapsed_s=_seconds(last.get("ElapsedTime(C)") or ""),
        steady=_steady(rows),
    )


def _steady(rows: Sequence[Mapping[str, str]]) -> Span:
    total = rows[-1]["TotalCallCreated"]
    counted = [
        (at_s, int(row["TotalCallCreated"]), int(row["SuccessfulCall(C)"]))
        for row in rows
        if row["TotalCallCreated"] != total
        and (at_s := _seconds(row.get("ElapsedTime(C)") or "")) >= 1.0
    ]
    if not counted:
        return Span()
    (first_s, placed, succeeded), last = counted[0], counted[-1]
    return Span(
        first_s=first_s, last_s=last[0], placed=last[1] - placed, succeeded=last[2] - succeeded
    )


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


class Run(Struct, frozen=True, kw_only=True):
    """What became of the calls of one SIPp, and what it and others took of the cores."""

    tally: Tally
    own_s: float
    """SIPp's own CPU seconds."""
    looks: tuple[Look, ...]
    """At the meters, SIPp's own among them, all the while; at_s from SIPp's beginning."""
    took_s: float = 0.0
    """From SIPp's beginning to its end."""

    def steady_cores(self) -> dict[str, float]:
        """Return the cores that each part took while calls were placed all the time.

        At the end of a run SIPp waits for the last answers, and nobody has much to do.
        """
        return cores(self.looks, self.tally.steady.first_s, self.tally.steady.last_s)


async def carrier(  # noqa: PLR0913 - each is what it says
    proxy: Proxy,
    run: Path,
    *,
    rate: float,
    calls: int,
    scenario: Path = SCENARIOS / "uac.xml",
    meters: Mapping[str, CpuMeter] = _NO_METERS,
    has_times: bool = False,
) -> Run:
    """Place `calls` at `rate` through the proxy, looking at the meters meanwhile.

    `has_times`: how long each took is written down, for `times`.
    """
    file = run / "carrier.csv"
    file.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *_program(),
        f"{proxy.address}:5060",
        *("-sf", str(scenario), "-i", TRUNK, "-p", "5060", "-nostdin"),
        *("-r", f"{rate:.0f}", "-rp", "1000", "-m", str(calls), "-l", "100000"),
        *("-trace_stat", "-stf", str(file), "-fd", "1"),
        *("-buff_size", "4194304", "-recv_timeout", "8000", "-timeout", "60"),
        *(("-trace_rtt", "-rtt_freq", "1") if has_times else ()),
        cwd=run,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    began_s, meter = time.monotonic(), CpuMeter([process.pid])
    waiting = asyncio.create_task(process.communicate())
    spent_s, looks = 0.0, list[Look]()
    try:
        async with asyncio.timeout(PATIENCE_S + calls / rate):
            while not waiting.done():
                spent_s, at_s = meter.read_s(), time.monotonic() - began_s
                if meters and (not looks or at_s >= looks[-1].at_s + LOOK_S):
                    read = {name: each.read_s() for name, each in meters.items()}
                    looks.append(Look(at_s=at_s, spent_s=read | {SIPP: spent_s}))
                await asyncio.wait({waiting}, timeout=0.05)
    except TimeoutError as error:
        raise BenchError(f"SIPp did not end its {calls} calls to {proxy.name}") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    took_s = time.monotonic() - began_s
    try:
        tally = parse_statistics(file.read_text())
    except (OSError, ValueError, KeyError) as error:
        _, said = await waiting
        what = said.decode(errors="replace").strip() or "nothing"
        raise BenchError(
            f"SIPp counted none of its calls to {proxy.name}; it said: {what}"
        ) from error
    return Run(tally=tally, own_s=spent_s, looks=tuple(looks), took_s=took_s)


def times(run: Path) -> tuple[tuple[float, float], ...]:
    """Return of each call when it was answered, in ms from SIPp's start, and ms from its INVITE."""
    return tuple(
        each for file in sorted(run.glob("*_rtt.csv")) for each in parse_times(file.read_text())
    )


def parse_times(text: str) -> tuple[tuple[float, float], ...]:
    """Read a file of SIPp's `-trace_rtt`: ms from its start, response time in ms, which timer."""
    rows = (line.split(";") for line in text.splitlines()[1:])
    return tuple((float(row[0]), float(row[1])) for row in rows if len(row) >= 2)  # noqa: PLR2004


def _program() -> Sequence[str]:
    if shutil.which("sipp") is None:
        raise BenchError("sipp is missing: apt-get install sip-tester")
    return ("sipp",)
