"""`python -m control_plane --config FILE`: one control plane."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from control_plane import app, log
from control_plane.errors import ControlPlaneError, PolicyError, SettingsError
from control_plane.serving import Listener
from control_plane.settings import Settings, load
from custody import memory
from state import start
from state.clock import SystemClock
from state.discreet import fault

BAD_SETTINGS: Final = 2
DIED: Final = 70
"""A fault of ours (EX_SOFTWARE of sysexits.h): whoever supervises starts another life."""
SWITCH_S: Final = 0.0005
"""A thread that reckons (readiness, a move, a configuration's check) gives way so soon to the loop
that serves, and to a thread that has rows for it. Python's own 5 ms are waited for at each hop."""


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2: settings or policy are wrong; 70: our fault."""
    parser = argparse.ArgumentParser(
        prog="python -m control_plane", description="One control plane: API and access control."
    )
    parser.add_argument("--config", type=Path, required=True, help="its settings, a TOML file")
    arguments = parser.parse_args()
    try:
        sys.setswitchinterval(SWITCH_S)
        settings = load(arguments.config)
        log.configure(settings.log_level, site=settings.site)
        memory.dump_nothing()  # keys, and what is being played
        memory.keep_little()  # passwords' hashes are large, and SQLite's threads many
        made = app.build(settings, SystemClock())
        asyncio.run(_serve(made, settings))
    except (SettingsError, PolicyError) as error:
        print(f"control plane: {error}", file=sys.stderr)  # noqa: T201 - for the operator
        return BAD_SETTINGS
    except (OSError, ControlPlaneError) as error:
        print(f"control plane: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, one line, and another life
        structlog.get_logger().critical("control_plane_died", **fault(error))
        return DIED
    return 0


async def _serve(made: web.Application, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with Listener(made, settings):
        start.settle()  # routes, models, the policy
        structlog.get_logger().info("serving", listen=settings.listen or str(settings.listen_unix))
        await stop.wait()
