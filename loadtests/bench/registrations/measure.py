"""`bench registrations`: how calls fare while thousands of telephones sign in at once.

The site of `bench site` with two edges, SIPp as the carrier at a steady rate, and telephones that
all have lost their registrations: as ours find out (within three seconds), and all at the same
instant. Everything shares the cores, SIPp and the telephones too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from drills.cli.progress import Task, progress
from drills.lab.enter import RUN_ROOT
from loadtests.bench import servers
from loadtests.bench.center import agent_id, configuration
from loadtests.bench.errors import BenchError
from loadtests.bench.registrations import storm
from loadtests.bench.registrations.storm import Plan, Told
from loadtests.bench.relay import sipp
from loadtests.bench.relay.proxies import KEMI, TRUNK
from loadtests.bench.site import PARTS, Site, site_up
from loadtests.bench.stats import percentile
from state.configuration import Configuration, ha1_of
from state.model import SkillId, Trunk, TrunkId

EDGES: Final = 2
JITTER, AT_ONCE = "as ours", "at once"
QUIET_WITHIN_S: Final = 60.0
WRITTEN_WITHIN_S: Final = 30.0
_LOOK_S: Final = 0.5
_IDLE_SHARE: Final = 0.25
"""Of a core: what the edges take at most once they have written that nobody is there."""


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    agents: int = 5000
    rounds: int = 3
    rate: float = 30.0
    """Calls a second."""
    before_s: float = 10.0
    after_s: float = 20.0
    """How long calls come from the beginning of the storm on."""


QUICK: Final = Effort(agents=100, rounds=1, rate=10.0, before_s=2.0, after_s=4.0)
"""Shows that it works; the figures mean little."""


class Storm(Struct, frozen=True, kw_only=True):
    """One storm, and the calls around it."""

    told: Told
    before_ms: tuple[float, ...]
    """INVITE to 200 of the calls before it."""
    during_ms: tuple[float, ...]
    """Of those until the last telephone was back, or an edge had written that of its agent."""
    failed: int
    """Calls that were not answered, of all."""
    call_retransmissions: int
    ringable_s: float | None
    """When the last agent could be rung by the shared state; None: somebody never could."""
    cores: Mapping[str, float]
    """That each part took meanwhile."""


@dataclass(frozen=True)
class RegistrationFigures:
    """What came out, by kind of storm."""

    effort: Effort
    storms: Mapping[str, tuple[Storm, ...]]

    def setup_ms(self, kind: str, share: float, *, is_before: bool) -> float:
        """Return a percentile of INVITE to 200 over the rounds together."""
        return percentile(
            [
                ms
                for each in self.storms[kind]
                for ms in (each.before_ms if is_before else each.during_ms)
            ],
            share,
        )

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        effort = self.effort
        return {
            "agents": effort.agents,
            "calls_per_s": effort.rate,
            "edges": EDGES,
            "storms": {kind.replace(" ", "_"): self.of(kind) for kind in self.storms},
        }

    def of(self, kind: str) -> dict[str, object]:
        """Return the figures of one kind of storm."""
        storms = self.storms[kind]
        told = [each.told for each in storms]
        ringable = [each.ringable_s for each in storms]
        return {
            "rounds": len(storms),
            "setup_ms": {
                name: {
                    "calls": sum(len(getattr(each, f"{name}_ms")) for each in storms),
                    **{
                        f"p{share * 100:g}": round(
                            self.setup_ms(kind, share, is_before=name == "before"), 1
                        )
                        for share in (0.5, 0.99)
                    },
                }
                for name in ("before", "during")
            },
            "calls_failed": sum(each.failed for each in storms),
            "call_retransmissions": sum(each.call_retransmissions for each in storms),
            "registrations_per_s": median(storm.busiest_per_s(each.back_s) for each in told),
            "all_back_s": max(max(each.back_s, default=0.0) for each in told),
            "half_back_s": median(percentile(each.back_s, 0.5) for each in told),
            "all_ringable_s": None if None in ringable else max(filter(None, ringable), default=0),
            "never_back": sum(each.missing for each in told),
            "took_ms": {
                f"p{share * 100:g}": round(
                    percentile([ms for each in told for ms in each.took_ms], share), 1
                )
                for share in (0.5, 0.99)
            },
            "refused": sum(each.refused for each in told),
            "refused_twice": sum(each.refused_twice for each in told),
            "timeouts": sum(each.timeouts for each in told),
            "retransmissions": sum(each.retransmissions for each in told),
            "cores": {
                part: round(median(each.cores[part] for each in storms), 2) for part in PARTS
            },
        }


async def measure(effort: Effort) -> RegistrationFigures:
    """Bring a site up for each storm, and let it come."""
    storms: dict[str, list[Storm]] = {JITTER: [], AT_ONCE: []}
    with progress("bench registrations", total=2 * effort.rounds) as task:
        for number in range(effort.rounds):
            for kind, found in storms.items():
                found.append(await _storm(effort, kind, number, task))
    return RegistrationFigures(
        effort=effort, storms={kind: tuple(each) for kind, each in storms.items()}
    )


async def _storm(effort: Effort, kind: str, seed: int, task: Task) -> Storm:
    plan = Plan(
        registrar=f"{KEMI.address}:5060",
        names=tuple(agent_id(number) for number in range(effort.agents)),
        passwords=tuple(f"secret{number}" for number in range(effort.agents)),
        has_jitter=kind == JITTER,
        seed=seed,
    )
    async with site_up(configured=_configuration(plan)) as site:
        await site.have_edges(EDGES)
        await _until_quiet(site)
        found = await _calls_and_storm(site, effort, plan)
    task.advance(f"{kind}: all back after {max(found.told.back_s, default=0.0):.1f} s")
    return found


def _configuration(plan: Plan) -> Configuration:
    """Return a site with agents who can do nothing that callers want: calls only wait."""
    made = configuration(len(plan.names), plan.registrar)
    return Configuration(
        sites=made.sites,
        trunks=(Trunk(id=TrunkId("bench"), addresses=(TRUNK,)),),
        queues=made.queues,
        dids=made.dids,
        agents=tuple(
            replace(agent, skills={SkillId("write"): 1}, ha1=ha1_of(agent.id, password))
            for agent, password in zip(made.agents, plan.passwords, strict=True)
        ),
    )


async def _until_quiet(site: Site) -> None:
    """Wait until the edges have written of all agents that they are not there."""
    meter = site.meters()["edge"]
    for _ in range(round(QUIET_WITHIN_S / _LOOK_S)):
        before_s = meter.read_s()
        await asyncio.sleep(_LOOK_S)
        if meter.read_s() - before_s < _IDLE_SHARE * _LOOK_S:
            return
    raise BenchError("the edges are busy without calls and registrations")


async def _calls_and_storm(site: Site, effort: Effort, plan: Plan) -> Storm:
    run = RUN_ROOT
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.bench.registrations.telephones"),
        cwd=servers.PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise BenchError("the telephones have no line")
    try:
        stdin.write(msgspec.json.encode(plan) + b"\n")
        if await stdout.readline() != b"ready\n":
            raise BenchError("the telephones did not come up")
        for old in run.glob("*_rtt.csv"):
            old.unlink()
        sipp_ms = time.time_ns() / 1e6
        calls = round(effort.rate * (effort.before_s + effort.after_s))
        calling = asyncio.create_task(
            sipp.carrier(KEMI, run, rate=effort.rate, calls=calls, has_times=True)
        )
        await asyncio.sleep(effort.before_s)
        meters = site.meters()
        before = {part: meter.read_s() for part, meter in meters.items()}
        stdin.write(b"go\n")
        told = msgspec.json.decode(await stdout.readline(), type=Told)
        ringable_s = await _ringable(run, plan, told)
        lasts_s = max(max(told.back_s, default=0.0), ringable_s or 0.0)
        spent = {part: meter.read_s() - before[part] for part, meter in meters.items()}
        tally = (await calling).tally
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    times = sipp.times(run)
    # SIPp counts from its own start, which is some ms after that of its process.
    began_ms = told.began_ms - sipp_ms
    return Storm(
        told=told,
        before_ms=tuple(ms for at_ms, ms in times if at_ms - ms < began_ms),
        during_ms=tuple(
            ms for at_ms, ms in times if began_ms <= at_ms - ms < began_ms + 1000 * lasts_s
        ),
        failed=tally.created - tally.succeeded,
        call_retransmissions=tally.retransmissions,
        ringable_s=ringable_s,
        cores={part: spent[part] / (lasts_s or 1.0) for part in PARTS},
    )


async def _ringable(run: Path, plan: Plan, told: Told) -> float | None:
    """Wait until the edges have written of all agents that they are ready; return when that was.

    By the edges' own logs: asking the shared state would be work for those that are measured.
    """
    logs = [run / "log" / f"{servers.edge_name(number)}.log" for number in range(1, EDGES + 1)]
    for _ in range(round(WRITTEN_WITHIN_S / _LOOK_S)):
        ready = _ready_ms(logs, told.began_ms)
        if len(ready) >= len(plan.names):
            return (max(ready.values()) - told.began_ms) / 1000
        await asyncio.sleep(_LOOK_S)
    return None


def _ready_ms(logs: list[Path], began_ms: int) -> dict[str, float]:
    """Return when each agent was first written down as ready, from the storm's beginning on."""
    found: dict[str, float] = {}
    for log in logs:
        for line in log.read_bytes().splitlines():
            if b'"event":"presence"' not in line or b'"ready"' not in line:
                continue
            said = json.loads(line)
            at_ms = 1000 * datetime.fromisoformat(said["timestamp"]).timestamp()
            if at_ms >= began_ms:
                found[said["agent"]] = min(at_ms, found.get(said["agent"], at_ms))
    return found
