"""The doors by which one comes to the sites' APIs from outside the lab: ports of the loopback.

The launcher opens them in the machine's own network, and the lab's process, which has another one,
inherits them: whoever connects is put through to the site's control plane.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from drills.desk.path import ca_path, password_path
from drills.lab.control_plane import API_PORT
from drills.lab.lab import Lab
from drills.lab.plan import Part
from state.model import SiteId

FIRST_PORT: Final = 8441
"""Of the first site, the next ones following; any others where these are taken."""
LOOPBACK: Final = "127.0.0.1"
CONNECT_S: Final = 2.0
CHUNK: Final = 65536


@contextlib.contextmanager
def outside(sites: Sequence[str]) -> Iterator[dict[str, int]]:
    """Open a door for each site, in the launcher: descriptors by site, to be inherited."""
    with contextlib.ExitStack() as stack:
        doors = {}
        for place, site in enumerate(sites):
            door = stack.enter_context(_listening(FIRST_PORT + place))
            doors[site] = door.fileno()
        yield doors


def _listening(port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((LOOPBACK, port))
    except OSError:
        door.bind((LOOPBACK, 0))
    door.listen()
    return door


@contextlib.asynccontextmanager
async def inside(
    lab: Lab, doors: Mapping[str, int], launcher: int
) -> AsyncIterator[dict[SiteId, str]]:
    """Put through whoever comes, in the lab: each site's URL, as it is written outside.

    The first administrator's password, and the certificate of the authority that vouches for the
    sites, stand beside the lab's socket meanwhile.
    """
    async with contextlib.AsyncExitStack() as stack:
        if Part.CONTROL_PLANE in lab.plan.parts:
            secret = lab.paths.secrets.first_password
            stack.enter_context(_copied(secret, password_path(launcher), mode=0o600))
            stack.enter_context(_copied(lab.ca, ca_path(launcher), mode=0o644))
        urls = {}
        for site in lab.plan.sites:
            if site in doors:
                door = socket.socket(fileno=doors[site])
                server = await asyncio.start_server(_Porter(lab.addresses[site]), sock=door)
                # Not its own context: that would wait for those who are still talking.
                stack.callback(server.close)
                urls[site] = f"https://{LOOPBACK}:{door.getsockname()[1]}"
        yield urls


@contextlib.contextmanager
def _copied(source: Path, path: Path, *, mode: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=mode)
    path.write_bytes(source.read_bytes())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


class _Porter:
    """Puts those who come to one door through to one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until both sides have ended, or one has gone."""
        with contextlib.suppress(OSError):
            try:
                async with asyncio.timeout(CONNECT_S):
                    theirs = await asyncio.open_connection(self._address, API_PORT)
                try:
                    await asyncio.gather(_pump(reader, theirs[1]), _pump(theirs[0], writer))
                finally:
                    theirs[1].close()
            finally:
                writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK):
        target.write(chunk)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()
