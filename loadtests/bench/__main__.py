"""`python -m loadtests.bench NAME [--json FILE] [--quick] [--profile]`.

Enters namespaces of its own first, so that nothing it sends leaves the machine, and nothing of it
is left behind however it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path

from drills.lab.enter import RUN_ROOT, enter, inside
from drills.lab.errors import EnterError, LabError
from drills.setup.say import note
from loadtests.bench.errors import BenchError

FAILED, CANNOT = 1, 3


def main(argv: list[str]) -> int:
    """Run one benchmark. Exit code 1: it went wrong; 3: this machine cannot run it."""
    options = _parser().parse_args(argv)
    if inside() is None:
        try:
            return enter("loadtests.bench", argv)
        except EnterError as error:
            note(str(error))
            return CANNOT
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)  # noqa: S607 - in our own namespace
    try:
        figures = asyncio.run(_run(options))
    except (BenchError, LabError) as error:
        note(str(error))
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return 130
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, object]:
    from loadtests.bench import edge, report  # noqa: PLC0415 - only what is asked for
    from loadtests.bench.relay import measure as relay  # noqa: PLC0415
    from loadtests.bench.routing import measure as routing  # noqa: PLC0415

    if options.name == "api":
        from loadtests.bench.api import measure as api  # noqa: PLC0415

        return report.api(await api.measure(api.QUICK if options.quick else api.Effort()))
    if options.name == "recording":
        from loadtests.bench.recording import measure as recording  # noqa: PLC0415

        much = recording.QUICK if options.quick else recording.Effort()
        return report.recording(await recording.measure(much))
    if options.name == "routing":
        effort_of = routing.QUICK if options.quick else routing.Effort()
        return report.routing(await routing.measure(effort_of))
    if options.name == "relay":
        return report.relay(await relay.measure(relay.QUICK if options.quick else relay.Effort()))
    effort = edge.QUICK if options.quick else edge.Effort()
    if options.profile:
        out = RUN_ROOT / "samples.json"
        measured = await edge.sample(effort, options.profile, out)
        return report.profile(measured, json.loads(out.read_text()))
    figures = await edge.measure(effort)
    return report.edge(figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("name", choices=("api", "edge", "recording", "relay", "routing"))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="few and short slices")
    parser.add_argument(
        "--profile",
        metavar="NG",
        default="",
        help="sample the edge instead: `direct` or an NG address",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
