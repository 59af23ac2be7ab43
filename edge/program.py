"""`python -m edge --config FILE`: one edge process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import structlog

from edge import log
from edge.errors import EdgeError
from edge.process import EdgeProcess
from edge.settings import Settings, load
from state import start
from state.discreet import fault

BAD_SETTINGS = 2
DIED = 70
"""A fault of ours (EX_SOFTWARE of sysexits.h): whoever supervises starts another life."""


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2: the settings are wrong; 70: a fault of ours."""
    parser = argparse.ArgumentParser(
        prog="python -m edge", description="One edge: the ACD process."
    )
    parser.add_argument("--config", type=Path, required=True, help="its settings, a TOML file")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config)
    except EdgeError as error:
        print(f"edge: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return BAD_SETTINGS
    log.configure(settings.log_level, edge=settings.edge, site=settings.site)
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        # An address that cannot be had, a certificate that cannot be read.
        print(f"edge {settings.edge}: {error}", file=sys.stderr)  # noqa: T201 - for the operator
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, one line, and another life
        structlog.get_logger().critical("edge_died", **fault(error))
        return DIED
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.note_fault)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    process = EdgeProcess(settings)
    start.settle()
    await process.run(stop)
