"""How soon a manager hears something: a range request over the API of a real control plane."""

from __future__ import annotations

import base64
import random
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from custody.manifest import Manifest
from drills.lab.enter import RUN_ROOT
from loadtests.bench.api.plane import PASSWORD, URL, configure, serving
from loadtests.bench.errors import BenchError
from loadtests.bench.recording.recorder import TENANT, Recorder
from loadtests.bench.servers import PROJECT

FIRST: Final = "bytes=0-32043"
"""A WAV's head and a second of it."""
PARTIAL: Final = 206
WARM: Final = 5


async def first_sounds(
    recorder: Recorder, accounts: Sequence[Manifest], requests: int
) -> list[float]:
    """Return the seconds from each request to its first bytes, each of some other recording."""
    database = RUN_ROOT / "plane.db"
    config = configure(RUN_ROOT, f"sqlite:///{database}", PROJECT / "policies")
    folder = recorder.folder
    with config.open("a") as file:
        file.write(
            f'[recordings]\nstore = "{folder / "store"}"\nkeyring = "{folder / "keyring"}"\n'
            f'provider = "a"\nprovider_file = "{folder / "a.key"}"\n'
            f'[recordings.recorders]\na = "{base64.b64encode(recorder.public).decode()}"\n'
        )
    async with serving(config), aiohttp.ClientSession(URL) as client:
        _add_calls(database, accounts)
        token = await _manager(client)
        sent = {
            "Authorization": f"Bearer {token}",
            "Everline-Purpose": "a benchmark",
            "Range": FIRST,
        }
        chance = random.Random(7)  # noqa: S311 - which recording
        times = []
        for _ in range(WARM + requests):
            path = f"/v1/recordings/{chance.choice(accounts).recording}/audio"
            began_s = time.monotonic()
            async with client.get(path, headers=sent) as reply:
                await reply.content.readany()
                times.append(time.monotonic() - began_s)
                if reply.status != PARTIAL:
                    raise BenchError(f"the control plane answered {reply.status}")
                await reply.read()
        return times[WARM:]


async def _manager(client: aiohttp.ClientSession) -> str:
    """Make a manager and sign in."""
    admin = await _post(client, "/v1/sessions", _said("admin", PASSWORD))
    person = {
        "login": "manager",
        "name": "Manager",
        "roles": ["role:manager"],
        "password": PASSWORD,
    }
    await _post(client, "/v1/users", person, admin["access_token"])
    signed_in = await _post(client, "/v1/sessions", _said("manager", PASSWORD))
    return str(signed_in["access_token"])


def _said(login: str, password: str) -> dict[str, str]:
    return {"tenant": TENANT, "login": login, "password": password}


async def _post(
    client: aiohttp.ClientSession, path: str, body: dict[str, Any], token: str = ""
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with client.post(path, json=body, headers=headers) as reply:
        said: dict[str, Any] = await reply.json(content_type=None)
        if not reply.ok:
            raise BenchError(f"POST {path}: {reply.status} {said.get('error_id', '')}")
        return said


def _add_calls(database: Path, accounts: Sequence[Manifest]) -> None:
    """Let the calls have been carried over from the ledger."""
    rows = [
        {
            "id": each.call, "tenant": TENANT, "did": "1", "queue": "q", "site": "a",
            "agent": "a", "agent_site": "a", "team": "", "employer": "", "caller": "",
            "outcome": "answered", "arrived_ms": each.started_ms, "ended_ms": each.started_ms,
            "revision": 1, "record": _record(each.call, each.started_ms),
        }
        for each in accounts
    ]  # fmt: skip
    names = list(rows[0])
    values = ", ".join(f":{name}" for name in names)
    with sqlite3.connect(database, timeout=10) as connection:
        connection.executemany(
            f"INSERT INTO calls ({', '.join(names)}) VALUES ({values})",  # noqa: S608 - names of ours
            rows,
        )


def _record(call: str, at_ms: int) -> str:
    words: dict[str, object] = {
        "call": call, "did": "1", "queue": "q", "outcome": "answered",
        "cause": "caller_hung_up", "edge": "a1", "site": "a", "via": "a", "sip_call_id": call,
        "arrived_ms": at_ms, "queued_ms": at_ms, "connected_ms": at_ms, "ended_ms": at_ms,
    }  # fmt: skip
    return msgspec.json.encode(words).decode()
