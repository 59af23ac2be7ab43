"""The control plane under test: a process of its own, told where its database is."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from msgspec import Struct

from control_plane.tokens import make_key
from loadtests.bench.errors import BenchError
from loadtests.bench.servers import PROJECT

ADDRESS: Final = "127.0.0.1:8300"
URL: Final = f"http://{ADDRESS}"
PASSWORD: Final = "a benchmark's password"  # noqa: S105 - of a server that lives for a minute
START_S: Final = 120.0


class Plane(Struct, frozen=True, kw_only=True):
    """One that serves."""

    pid: int
    log: Path


def configure(run: Path, database: str, policies: Path, *etcd: str) -> Path:
    """Write the settings; limits stand aside, since few users ask what thousands would."""
    key, password, config = run / "signing.pem", run / "password", run / "plane.toml"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(make_key())
        password.write_text(PASSWORD)
    config.write_text(
        f"""\
site = "a"
listen = "{ADDRESS}"
is_plain_on_loopback = true
database = "{database}"
etcd = [{", ".join(f'"{each}"' for each in etcd)}]
signing_key = "{key}"
first_password = "{password}"
policies = "{policies}"
[limits]
subject_rate = 100000
subject_burst = 100000
stranger_rate = 100000
stranger_burst = 100000
"""
    )
    return config


@asynccontextmanager
async def serving(config: Path) -> AsyncIterator[Plane]:
    """Serve while entered."""
    log = config.with_suffix(".log")
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program
            [sys.executable, "-m", "control_plane", "--config", str(config)],
            cwd=PROJECT,
            stderr=sink,
        )
    try:
        await _ready(process, log)
        yield Plane(pid=process.pid, log=log)
    except BenchError as error:
        raise BenchError(f"{error}\n{_worst(log)}") from error
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _worst(log: Path) -> str:
    """Return the last lines that are no mere information."""
    lines = [line for line in log.read_text().splitlines() if '"level":"info"' not in line]
    return "\n".join(lines[-3:])


async def _ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    async with aiohttp.ClientSession() as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(f"{URL}/ready") as reply:
                    if reply.status == 200:  # noqa: PLR2004 - HTTP
                        return
            if process.poll() is not None or time.monotonic() > end:
                said = log.read_text()[-800:]  # noqa: ASYNC240 - at the end
                raise BenchError(f"the control plane does not start: {said}")
            await asyncio.sleep(0.1)
