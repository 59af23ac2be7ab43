"""The drill whose controller dies: a process of its own, killed once its fault is made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from drills.course import FaultError, Made
from drills.drill.ground import DyingController
from drills.fault import Fault, FaultKind
from drills.faults import FaultClient

CUT = Fault(kind=FaultKind.CUT, target="a-b", ttl_s=5.0)


class Agent:
    """A fault agent, of which somebody else may have asked for a fault."""

    path = Path("faults.sock")

    def __init__(self) -> None:
        self.made: tuple[Made, ...] = ()

    async def standing(self) -> tuple[Made, ...]:
        """Return what was made."""
        return self.made


def controller(agent: Agent, python: str) -> DyingController:
    return DyingController(cast("FaultClient", agent), Path(python), Path.cwd())


def lives(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_controller_that_makes_nothing_is_a_fault_that_cannot_be_made() -> None:
    async with asyncio.timeout(9.0):
        with pytest.raises(FaultError, match="has not made cut a-b"):
            await controller(Agent(), "/bin/false").make(CUT)


async def test_a_controller_that_has_ended_by_itself_needs_no_killing() -> None:
    agent = Agent()
    agent.made = (Made(id=1, fault=CUT, at_ms=1, until_ms=5001),)
    assert await controller(agent, "/bin/true").make(CUT) == agent.made[0]


async def test_a_controller_is_killed_also_where_nobody_waits_for_it_any_more(
    tmp_path: Path,
) -> None:
    program = tmp_path / "controller"
    # Moved there when it is whole: who sees the file can read it.
    said = f"echo $$ >{tmp_path}/said && mv {tmp_path}/said {tmp_path}/pid"
    program.write_text(f"#!/bin/sh\n{said}\nexec sleep 60\n")
    program.chmod(0o700)
    making = asyncio.create_task(controller(Agent(), str(program)).make(CUT))
    async with asyncio.timeout(20.0):
        while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    making.cancel()
    await asyncio.wait({making})
    assert not lives((tmp_path / "pid").read_text().strip())
