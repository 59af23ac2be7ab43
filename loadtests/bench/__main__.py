"""`python -m loadtests.bench NAME [--json FILE] [--quick] [--profile]`.

Enters namespaces of its own first, so that nothing it sends leaves the machine, and nothing of it
is left behind however it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from drills.cli.errors import Exit
from drills.figures_file import write_figures
from drills.lab.enter import RUN_ROOT, enter, inside
from drills.lab.errors import EnterError, LabError
from drills.setup.say import note
from loadtests.bench import together
from loadtests.bench.errors import BenchError
from loadtests.bench.machine import machine

_NOTHING: Mapping[str, Any] = MappingProxyType({})
MODULES = {
    "api": "api.measure",
    "breadth": "breadth",
    "bridged": "bridged.measure",
    "distance": "distance.measure",
    "edge": "edge",
    "edges": "edges",
    "growth": "growth",
    "media": "media.measure",
    "memory": "memory",
    "queue": "queue.measure",
    "recording": "recording.measure",
    "registrations": "registrations.measure",
    "relay": "relay.measure",
    "routing": "routing.measure",
    "site": "site",
    "sites": "sites",
}
"""Where each benchmark is; `report` has a function of its name."""


def main(argv: list[str]) -> int:
    """Run what is named. Exit codes are those of `Exit`."""
    options = _parser().parse_args(argv)
    if inside() is None:
        try:
            return enter("loadtests.bench", argv)
        except EnterError as error:
            note(str(error))
            return Exit.SETUP
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)  # noqa: S607 - in our own namespace
    try:
        return asyncio.run(_run(options))
    except (BenchError, LabError) as error:
        note(str(error))
        return Exit.FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return Exit.INTERRUPTED


async def _run(options: argparse.Namespace) -> Exit:
    if options.name == "all":
        return await _all(options)
    figures = await _on_this_machine(_figures(options), is_quick=options.quick)
    return Exit.OK if options.json is None else _written(options.json, figures)


async def _on_this_machine(
    measuring: Awaitable[dict[str, object]], *, is_quick: bool
) -> dict[str, object]:
    """Measure; the machine is looked at before, as the load at hand is to be others' alone."""
    here = machine("before")
    figures = await measuring
    from loadtests.bench import report  # noqa: PLC0415 - takes a while

    return report.on(here, figures) | ({together.QUICK: True} if is_quick else {})


def _written(file: Path, figures: Mapping[str, object]) -> Exit:
    """Write the figures; what has been printed stands, whether the disk takes them or not."""
    try:
        write_figures(file, figures)
    except OSError as error:
        note(f"{file} cannot be written: {error.strerror}")
        return Exit.FAILED
    return Exit.OK


async def _figures(options: argparse.Namespace) -> dict[str, object]:
    """Run one benchmark, or what of it is asked for."""
    if options.profile:
        return await _profile(options)
    if options.part and options.name == "routing":
        return await _part_of_routing(options.part, is_quick=options.quick)
    if options.part:
        return await _part(options.part, is_quick=options.quick)
    return await _one(options.name, is_quick=options.quick, agents=options.agents)


async def _part(name: str, *, is_quick: bool) -> dict[str, object]:
    """Do one part of `api` alone."""
    from loadtests.bench import report  # noqa: PLC0415 - only what is asked for
    from loadtests.bench.api import measure  # noqa: PLC0415 - only what is asked for

    part, effort = measure.Part(name), measure.QUICK if is_quick else measure.Effort()
    if part is measure.Part.LOAD:
        await measure.load_only(effort)
        return {}
    return report.api(await measure.measure(effort, part))


async def _part_of_routing(name: str, *, is_quick: bool) -> dict[str, object]:
    from loadtests.bench import report  # noqa: PLC0415 - only what is asked for
    from loadtests.bench.routing import measure  # noqa: PLC0415 - only what is asked for

    effort = measure.QUICK if is_quick else measure.Effort()
    return report.routing(await measure.measure(effort, measure.Part(name)))


async def _all(options: argparse.Namespace) -> Exit:
    """Run one after the other. Exit codes: see `series.carry_out`."""
    from loadtests.bench import series  # noqa: PLC0415 - only what is asked for

    def measure(piece: together.Piece) -> Awaitable[Mapping[str, Any]]:
        work = _one(piece.bench, is_quick=options.quick, changes=piece.effort)
        return _on_this_machine(work, is_quick=options.quick)

    order = series.Order(
        pieces=together.chosen(filter(None, options.pieces.split(","))),
        file=options.json,
        is_resumed=options.resume,
        minutes=options.minutes,
        is_quick=options.quick,
    )
    return await series.carry_out(order, measure)


async def _one(
    name: str, *, is_quick: bool, agents: int = 0, changes: Mapping[str, Any] = _NOTHING
) -> dict[str, object]:
    """Run one benchmark; its module is imported when it is asked for."""
    module = importlib.import_module(f"loadtests.bench.{MODULES[name]}")
    effort = module.QUICK if is_quick else replace(module.Effort(), **changes)
    if name == "growth" and agents:
        effort = replace(effort, sizes=(agents,))
    if name == "registrations" and agents:
        effort = replace(effort, agents=agents)
    show = importlib.import_module("loadtests.bench.report")
    found: dict[str, object] = getattr(show, name)(await module.measure(effort))
    return found


async def _profile(options: argparse.Namespace) -> dict[str, object]:
    """Sample an edge without media, and one with rtpengine: the flame graph is of this one."""
    from loadtests.bench import edge, flame, report, servers  # noqa: PLC0415 - only what is asked for
    from loadtests.bench.sampler import Sampled  # noqa: PLC0415 - as above

    out = RUN_ROOT / "samples.json"
    effort = edge.QUICK if options.quick else edge.Effort()
    found: dict[str, object] = {}
    for name, ng in (("direct", servers.DIRECT), ("rtpengine", servers.NG)):
        media = ng == servers.NG
        measured = await edge.sample(effort, ng, out)
        sampled = msgspec.json.decode(out.read_bytes(), type=Sampled)
        if media and options.flame is not None:
            options.flame.write_text(flame.svg(sampled.stacks, report.title(measured, media=media)))
        found[name] = report.profile(measured, sampled, media=media)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("name", choices=("all", *MODULES))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--agents", type=int, default=0, help="growth, registrations: so many")
    parser.add_argument(
        "--part",
        choices=("load", "sqlite", "postgresql", "decisions", "index", "reserve"),
        help="api, routing: do this alone; what `load` has loaded is kept for the runs to come",
    )
    parser.add_argument(
        "--pieces", default="", help="all: measure these alone, names with commas between"
    )
    parser.add_argument(
        "--resume", action="store_true", help="all: leave out what the file of figures has"
    )
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="all: begin no piece after so long"
    )
    parser.add_argument("--quick", action="store_true", help="few and short slices, other sizes")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="sample the edge instead, without media and with rtpengine",
    )
    parser.add_argument("--flame", type=Path, help="with --profile: write a flame graph (SVG)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
