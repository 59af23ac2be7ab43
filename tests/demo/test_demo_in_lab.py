"""The demo itself, smaller than people see it: real sites, real calls, a real kill."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab(outside=True)

ROOT = Path(__file__).parents[2]


async def test_the_demo_holds_every_claim_and_writes_its_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "drills", "demo", "--calls", "30", "--seed", "5"),
        *("--json", str(figures)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await demo.communicate()
    assert demo.returncode == 0, f"{out.decode()}\n{err.decode()}"
    assert b"\x1b[" not in out, "plain text where nobody watches"
    found = json.loads(figures.read_text())
    calls = found["calls"]
    assert calls["offered"] == 30
    assert calls["offered"] == sum(
        calls[end] for end in ("answered", "abandoned", "refused", "lost")
    )
    assert calls["by_edges"] == {key: value for key, value in calls.items() if key != "by_edges"}
    assert found["routing"]["wrong_skill"] == found["routing"]["double_offers"] == 0
    assert found["audio"]["checked"] >= calls["answered"] / 2 > 0
    assert found["audio"]["both_ways"] == found["audio"]["checked"]
    assert found["failover"]["rto_s"] <= 5
    assert found["failover"]["lost_elsewhere"] == 0
    assert found["leaks"] == 0
    assert found["setup_s"] <= 15
    assert set(found["failover"]["noticed_s"]) == {"carrier", "edges", "etcd"}


async def test_an_interrupt_while_the_sites_come_up_is_not_kept_until_they_are() -> None:
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "drills", "up"),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert up.stderr is not None
    try:
        async with asyncio.timeout(60):
            async for line in up.stderr:
                if b"bringing 3 sites up" in line:
                    break
            up.send_signal(signal.SIGINT)
            _, said = await up.communicate()
        assert b"interrupted" in said
        assert up.returncode == 130
    finally:
        if up.returncode is None:
            up.kill()
            await up.wait()


async def test_sites_stay_up_for_a_test_call_and_go_on_interrupt() -> None:
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "drills", "up"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert up.stdout is not None
    try:
        async with asyncio.timeout(60):
            async for line in up.stdout:
                if b"Ctrl-C" in line:
                    break
            else:
                pytest.fail("the sites did not come up")
        call = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "drills", "call", "15550102", "--first", "c", "--talk", "1"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await call.communicate()
        assert call.returncode == 0, said.decode()
        assert b"hears the agent" in said
        up.terminate()
        async with asyncio.timeout(30):
            await up.communicate()
        assert up.returncode == 0
    finally:
        if up.returncode is None:
            up.kill()
            await up.wait()
