"""Several hosts in the URL: the one that takes writes is found, past one that is silent."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from control_plane.db.database import CONNECT_S, Database
from control_plane.errors import DatabaseUnavailableError
from tests.control_plane.postgresql import OWNER, Server

pytestmark = pytest.mark.parts


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def test_the_new_primary_is_found_when_the_old_one_falls_silent() -> None:
    home = Path(tempfile.mkdtemp(prefix="everline-pg-", dir="/tmp"))
    ports = [_port(), _port()]
    servers = [Server(home / str(port), port, "-c", "listen_addresses=127.0.0.1") for port in ports]
    hosts = "&".join(f"host=127.0.0.1:{port}" for port in ports)
    database = Database.open(f"postgresql+psycopg://{OWNER}@/{OWNER}?{hosts}")
    try:
        for server in servers:
            server.start()
        with servers[1].connect() as second:
            second.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            second.execute("SELECT pg_reload_conf()")
        async with database.write() as connection:
            shown = await connection.execute(text("SHOW port"))
            assert shown.scalar_one() == str(ports[0])
        servers[0].stop()
        with socket.create_server(("127.0.0.1", ports[0])):  # accepts, and never says a word
            with pytest.raises(DatabaseUnavailableError):
                async with database.read() as connection:
                    await connection.execute(text("SELECT 1"))
            with servers[1].connect() as second:
                second.execute("SET default_transaction_read_only = off")
                second.execute("ALTER SYSTEM RESET default_transaction_read_only")
                second.execute("SELECT pg_reload_conf()")
            began = time.monotonic()
            async with database.write() as connection:
                shown = await connection.execute(text("SHOW port"))
                assert shown.scalar_one() == str(ports[1])
            assert time.monotonic() - began < 5 * CONNECT_S
    finally:
        await database.close()
        for server in servers:
            server.remove()
        home.rmdir()  # noqa: ASYNC240 - the test is over
