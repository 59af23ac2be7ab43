"""What passwords leave in the memory of a control plane, as a process of its own."""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from control_plane.sign_in.hashing import AT_ONCE
from control_plane.tokens import make_key
from tests.control_plane.center import PASSWORD

ROOT = Path(__file__).parents[3]
ROUNDS = 6
HASH_MB = 19
MB = 1_048_576


@asynccontextmanager
async def serving(database: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have `python -m control_plane` serve at `folder`/api.sock while entered."""
    key, config = folder / "key.pem", folder / "config"
    key.touch(mode=0o600)
    key.write_bytes(make_key())
    config.write_text(f"""\
site = "a"
listen_unix = "{folder / "api.sock"}"
database = "{database}"
signing_key = "{key}"
""")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "control_plane", "--config", str(config),
        cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def resident_mb(pid: int) -> float:
    """Return what a process holds: of one that is never dumped, too, /proc tells everybody this."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


async def until_it_answers(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with client.get("http://center/ready") as answer:
                    assert answer.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def test_the_memory_that_a_password_takes_is_given_back(begun_file: str) -> None:
    async def sign_in(client: aiohttp.ClientSession) -> None:
        said = {"tenant": "main", "login": "admin", "password": PASSWORD}
        async with client.post("http://center/v1/sessions", json=said) as answer:
            assert answer.status == 201

    with tempfile.TemporaryDirectory(prefix="everline-") as name:
        folder = Path(name)
        connector = aiohttp.UnixConnector(path=str(folder / "api.sock"))
        async with (
            serving(begun_file, folder) as process,
            aiohttp.ClientSession(connector=connector) as client,
        ):
            await until_it_answers(client)
            before_mb = resident_mb(process.pid)
            for _ in range(ROUNDS):
                await asyncio.gather(*(sign_in(client) for _ in range(AT_ONCE)))
            grown_mb = resident_mb(process.pid) - before_mb
    assert grown_mb < HASH_MB, "what the database takes, and not one hash"
