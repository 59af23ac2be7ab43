"""The operator's whole way: up, call, status, pause, explain, down; as a person types it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.lab(outside=True)

ROOT = Path(__file__).parents[2]
EVERLINE = (sys.executable, "-m", "drills")
UP_WITHIN_S, DOWN_WITHIN_S = 90.0, 30.0


@dataclass(slots=True)
class Sites:
    """Sites that are up, and how they are asked."""

    up: asyncio.subprocess.Process

    async def say(self, *words: str) -> tuple[int, str]:
        """Run a command on this lab; return its exit code and all that it printed."""
        code, printed, _ = await self._run(*words, aside=asyncio.subprocess.STDOUT)
        return code, printed

    async def ask(self, *words: str) -> dict[str, Any]:
        """Run a command with --json and return what it prints; how far it is stands elsewhere."""
        code, printed, aside = await self._run(*words, "--json", aside=asyncio.subprocess.PIPE)
        assert code == 0, printed + aside
        found: dict[str, Any] = json.loads(printed)
        return found

    async def _run(self, *words: str, aside: int) -> tuple[int, str, str]:
        done = await asyncio.create_subprocess_exec(
            *EVERLINE,
            *words,
            *("--lab", str(self.up.pid)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=aside,
        )
        printed, said = await done.communicate()
        return done.returncode or 0, printed.decode(), (said or b"").decode()

    async def running(self) -> dict[str, Any]:
        """Return the call that is up, as soon as an agent talks in it."""
        async with asyncio.timeout(30):
            while True:
                first = (await self.ask("calls"))["calls"][:1]
                if first and first[0]["state"] == "connected":
                    return dict(first[0])

    def inside(self) -> set[int]:
        """Return every process below the launcher."""
        (unshared,) = children(self.up.pid)
        found, todo = {unshared}, [unshared]
        while todo:
            below = children(todo.pop()) - found
            found |= below
            todo += below
        return found


def children(pid: int) -> set[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(child) for child in path.read_text().split()} if path.exists() else set()


@pytest.fixture
async def sites() -> AsyncIterator[Sites]:
    up = await asyncio.create_subprocess_exec(
        *(*EVERLINE, "up"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert up.stdout is not None
    try:
        async with asyncio.timeout(UP_WITHIN_S):
            async for line in up.stdout:
                if b"Ctrl-C" in line:
                    break
            else:
                pytest.fail("the sites did not come up")
        yield Sites(up)
    finally:
        with contextlib.suppress(ProcessLookupError):
            up.send_signal(signal.SIGINT)
        await up.wait()


async def without_a_lab(*words: str) -> dict[str, Any]:
    """Run a command that asks no lab, and return the JSON that it prints."""
    done = await asyncio.create_subprocess_exec(
        *EVERLINE, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await done.communicate()
    assert done.returncode == 0
    found: dict[str, Any] = json.loads(printed)
    return found


async def nobody_rests_who_has_not_worked(sites: Sites) -> None:
    code, printed = await sites.say("agent", "wrap-up", "cyril", "finish")
    assert code == 1
    assert "not_resting" in printed, "said by their home edge"


async def the_api_is_reached_from_outside(sites: Sites, status: dict[str, Any]) -> None:
    """Sign in at one site by the password that `up` keeps, and look at the others."""
    password = ROOT / ".everline" / "up" / f"{sites.up.pid}.password"
    assert password.stat().st_mode & 0o777 == 0o600
    said = {"tenant": "main", "login": "admin", "password": password.read_text().strip()}
    first, *_ = apis = [site["api"] for site in status["sites"]]
    trusted = ssl.create_default_context(cafile=password.with_suffix(".ca.pem"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as client:
        async with client.post(f"{first}/v1/sessions", json=said) as answer:
            assert answer.status == 201
            token = (await answer.json())["access_token"]
        for api in apis:
            headers = {"Authorization": f"Bearer {token}"}
            async with client.get(f"{api}/v1/queues", headers=headers) as answer:
                found = {queue["id"] for queue in (await answer.json())["items"]}
                assert found == {"orders", "billing", "german-support"}


async def every_call_was_recorded(sites: Sites, call: str) -> None:
    async with asyncio.timeout(20):
        while (await sites.say("recordings", "reconcile"))[0]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
    verified = await sites.ask("recordings", "verify")
    assert len(verified["recordings"]) == 2
    assert all(row["is_complete"] and not row["faults"] for row in verified["recordings"])
    sampled = await sites.ask("recordings", "sample")
    assert not [each["faults"] for each in sampled["samples"] if each["faults"]]
    code, printed = await sites.say("recordings", "rotate", "--site", "a")
    assert code == 0, printed
    assert "the older secret is gone" in printed
    again = await sites.ask("recordings", "verify")
    assert not [row for row in again["recordings"] if row["faults"]], "all open with the new one"
    shown = await sites.ask("recordings", "show", call[:8])
    assert shown["length_s"] > 3
    code, printed = await sites.say("recordings", "list")
    assert code == 0, printed
    assert "2 of 2 answered calls have a recording" in printed


async def the_day_is_told_and_run_again(sites: Sites, day: str) -> None:
    report = await sites.ask("report", "--interval", "60")
    assert report["total"]["answered"] == 2
    assert report["total"]["service_level"]["answered_in_time_of_all"] == 1.0

    # The same rules, the same day.
    code, printed = await sites.say("calls", "--export", day)
    assert code == 0, printed
    replayed = await without_a_lab("replay", day, "--json")
    was, same = replayed["recorded"]["total"], replayed["same"]["total"]
    assert (same["answered"], same["abandoned"]) == (was["answered"], was["abandoned"]) == (2, 0)
    assert same["wait_p95_s"] == pytest.approx(was["wait_p95_s"], abs=0.5)
    assert same["aht_s"] == pytest.approx(was["aht_s"], abs=0.5)


async def test_an_operator_calls_looks_pauses_asks_why_and_leaves_nothing(
    sites: Sites, tmp_path: Path
) -> None:
    calling = asyncio.create_task(sites.say("call", "15550100", "--talk", "8"))
    call = await sites.running()

    status = await sites.ask("status")
    assert [site["etcd"] for site in status["sites"]].count("leader") == 1
    assert all(edge["answers"] and edge["snapshot"] == "live" for edge in status["edges"])
    (orders,) = (queue for queue in status["queues"] if queue["queue"] == "orders")
    assert (orders["talking"], status["bad_records"]) == (1, {})

    # Paused while they talk: the call goes on.
    agent = call["agent"]
    code, printed = await sites.say("agent", "pause", agent, "--reason", "lunch")
    assert code == 0, printed
    (row,) = (a for a in (await sites.ask("agent", "list"))["agents"] if a["agent"] == agent)
    assert (row["presence"], row["reason"]) == ("paused", "lunch")

    code, printed = await calling
    assert code == 0, printed
    assert f"Why so: ./everline explain {call['call'][:8]}" in printed

    explained = await sites.ask("explain", call["call"][:8])
    assert (explained["source"], explained["winner"]) == ("log", agent)
    assert explained["read_from"] == explained["call"]["edge"]
    assert explained["differs"] == []
    known = {row["agent"] for row in (await sites.ask("agent", "list"))["agents"]}
    assert {each["agent"] for each in explained["candidates"]} == known
    assert explained["call"]["outcome"] == "answered"
    code, printed = await sites.say("explain", call["call"])
    assert code == 0, printed
    assert f"{agent} was chosen" in " ".join(printed.split())

    # The next caller gets somebody else.
    code, printed = await sites.say("call", "15550100", "--first", "c", "--talk", "1")
    assert code == 0, printed
    newest = (await sites.ask("calls"))["calls"][0]
    assert (newest["site"], newest["outcome"]) == ("c", "answered")
    assert newest["agent"] != agent

    await nobody_rests_who_has_not_worked(sites)
    await every_call_was_recorded(sites, call["call"])
    await the_api_is_reached_from_outside(sites, status)
    await the_day_is_told_and_run_again(sites, str(tmp_path / "day.jsonl"))

    code, printed = await sites.say("call", "999")
    assert code == 1
    assert "refused with 404: nobody has that number" in printed

    left = sites.inside()
    assert len(left) > 20, "three sites are many processes"
    sites.up.send_signal(signal.SIGINT)
    async with asyncio.timeout(DOWN_WITHIN_S):
        await sites.up.communicate()
    assert sites.up.returncode == 0
    assert not [pid for pid in left if os.path.exists(f"/proc/{pid}")]  # noqa: ASYNC240, PTH110
    assert not list((ROOT / ".everline" / "up").glob(f"{sites.up.pid}.*"))
    code, printed = await sites.say("status")
    assert code == 1
    assert str(sites.up.pid) in printed or "./everline up" in printed


async def test_a_frozen_edge_and_a_missing_phone_are_named(sites: Sites) -> None:
    processes = {pid: words(pid) for pid in sites.inside()}
    (edge,) = (pid for pid, line in processes.items() if line.endswith("/edge-b1.toml"))
    os.kill(edge, signal.SIGSTOP)
    try:
        edges = {row["edge"]: row for row in (await sites.ask("status"))["edges"]}
        assert [name for name, row in edges.items() if not row["answers"]] == ["b1"]
    finally:
        os.kill(edge, signal.SIGCONT)
    (phones,) = (
        pid for pid, line in processes.items() if "edge.phone" in line and "198.18.21.10" in line
    )
    os.kill(phones, signal.SIGTERM)
    async with asyncio.timeout(30):
        while True:
            code, printed = await sites.say("agent", "ready", "alba")
            if code:
                break
    assert "no phone is registered at the home site a" in " ".join(printed.split())


def words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    except OSError:
        return ""
