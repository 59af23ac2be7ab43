"""An agent pauses the recording of their own call from a terminal, and lets it go on."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from drills.lab.control_plane import api_url
from drills.lab.lab import Lab
from drills.lab.plan import CALLS, Part, plan_lab
from state import keys
from state.codec import decode
from state.model import CallId, RecordingState, RecordingStatus, SiteId
from tests.integration.center import Center, eventually

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
A = SiteId("a")
PASSWORD = "ann counts to eleven"  # noqa: S105 - of a test's agent
ANN = {
    "login": "ann", "name": "Ann", "agent": "ann", "roles": ["role:agent"], "password": PASSWORD,
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Lab]:
    """Serve with one site, its recorder and its control plane."""
    parts = CALLS | {Part.RECORDER, Part.CONTROL_PLANE}
    async with Lab(plan_lab(sites=1, edges=1, parts=parts)) as lab:
        yield lab


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    errors: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it is
        """Return its answer."""
        return json.loads(self.out)


class Terminal:
    """A terminal of somebody's own."""

    def __init__(self, home: Path) -> None:
        self._around = {**os.environ, "HOME": str(home), "EVERLINE_PASSWORD": PASSWORD}

    async def ctl(self, *words: str) -> Said:
        """Type a command."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "drills", "ctl", *words,
            env=self._around, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        return Said(process.returncode or 0, out.decode(), errors.decode())


async def hire_ann(lab: Lab, url: str) -> None:
    """Let the agent have a user."""
    trusted = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=lab.ca))
    async with aiohttp.ClientSession(url, connector=trusted) as client:
        password = lab.paths.secrets.first_password.read_text().strip()
        said = {"tenant": "main", "login": "admin", "password": password}
        async with client.post("/v1/sessions", json=said) as reply:
            token = (await reply.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with client.post("/v1/users", json=ANN, headers=headers) as reply:
            assert reply.status == 201, await reply.text()


async def test_an_agent_pauses_their_own_calls_recording_and_lets_it_go_on_by_ctl(
    center: Center, tmp_path: Path
) -> None:
    await center.lab.start_control_planes()
    url = api_url(center.lab.plan, A)
    await hire_ann(center.lab, url)
    terminal = Terminal(tmp_path)
    signed_in = await terminal.ctl(
        "sign-in", "--url", url, "--ca", str(center.lab.ca), "--login", "ann"
    )
    assert signed_in.code == 0, signed_in

    ann, caller = await center.agent("ann"), center.caller()
    theirs, _ = await center.talking(caller, ann)
    (call,) = await center.tickets()

    # The caller's telephone has no telephone-event: what they key are tones.
    for words, state, is_apart in (
        (("pause",), RecordingState.PAUSED, False),
        (("pause", "--keyed"), RecordingState.PAUSED, True),
        (("resume",), RecordingState.RECORDING, False),
    ):
        said = await terminal.ctl("calls", "recording", words[0], call, *words[1:], "--json")
        assert said.code == 0, said
        assert said.json == {
            "call": call,
            "state": state.value,
            "hears_keys": not is_apart,
            "hears_caller": not is_apart,
        }
        # What the edge says, once its recorder has done it.
        found = (await center.store.range(keys.recording(CallId(call)))).records
        assert decode(RecordingStatus, found[0].value, found[0].key).state is state

    await caller.hang_up(theirs)

    async def is_over() -> bool:
        return (await terminal.ctl("calls", "recording", "pause", call)).code != 0

    await eventually(is_over, "nothing is paused of a call that is over", within_s=15)
