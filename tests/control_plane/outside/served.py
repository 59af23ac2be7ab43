"""A control plane on a TCP port: browsers and others' tools know no Unix sockets."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from control_plane import app
from control_plane.configuration.desk import SHARED
from control_plane.keys.provider import LocalFile
from control_plane.serving import Listener
from drills.lab.process import Identity
from state.clock import ManualClock, SystemClock
from state.store import Store
from tests.control_plane.center import Center, settings
from tests.ports import free_tcp_port


@dataclass(frozen=True)
class Served:
    """Where it serves, and the way to make people."""

    url: str
    center: Center


@asynccontextmanager
async def served(
    database_url: str | None = None,
    shared: Store | None = None,
    identity: Identity | None = None,
    **changes: Any,  # noqa: ANN401
) -> AsyncIterator[Served]:
    """Serve on a loopback port while entered, with keys for sensitive fields.

    With `identity`, over TLS, as that.
    """
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        keys = folder / "customer.keys"
        LocalFile.make(keys)
        address = f"127.0.0.1:{free_tcp_port()}"
        made = settings(
            folder,
            database_url or f"sqlite:///{folder / 'everline.db'}",
            listen=address,
            listen_unix=None,
            **_sealed(identity),
            **changes,
            customer_keys=keys,
            keys_database=f"sqlite:///{folder / 'keys.db'}",
        )
        # Clients outside go by the real time: tokens have to be good by it.
        clock = ManualClock(wall_ms=SystemClock().now().wall_ms)
        application = app.build(made, clock)
        if shared is not None:
            application[SHARED] = shared
        async with Listener(application, made), aiohttp.ClientSession() as client:
            scheme = "http" if identity is None else "https"
            center = Center(application, folder, client, clock, address)
            yield Served(f"{scheme}://{address}", center)


def _sealed(identity: Identity | None) -> dict[str, Any]:
    if identity is None:
        return {"is_plain_on_loopback": True}
    return {"tls_cert": identity.cert, "tls_key": identity.key}
