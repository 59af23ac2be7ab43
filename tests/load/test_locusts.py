"""Locust's processes: what becomes of a load when one of them goes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from loadtests.load import locusts
from loadtests.load.figures import TableRow
from loadtests.load.locusts import Patience
from loadtests.load.plan import RAN, ROWS, Plan, Request, ShapeName

ROW = TableRow(
    kind="SIP", name="set-up", count=9, failed=0, mean_ms=1, p50_ms=1, p95_ms=1, p99_ms=1, most_ms=1
)


def plan(folder: Path) -> Plan:
    return Plan(
        request=Request(shape=ShapeName.SOAK, seconds=7200.0),
        lab=1,
        where=str(folder),
        sites=(),
        carrier="",
        hosts={},
        did="1",
        volume_did="2",
        queue="load",
        agents=(),
        manager="",
        password="",
    )


class Cast:
    """Programs in place of Locust's; `master` is what that one does."""

    def __init__(self, master: str, worker: str = "import time; time.sleep(60)") -> None:
        self._master = master
        self._worker = worker
        self.processes: list[asyncio.subprocess.Process] = []

    async def start(
        self, plan: Plan, _file: Path, name: str, *_words: str
    ) -> asyncio.subprocess.Process:
        """Start the master, or a worker that would go on for a minute."""
        does = self._master if name == "master" else self._worker
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", does), cwd=plan.folder
        )
        self.processes.append(process)
        return process


def leaves(**ran: float) -> str:
    """Return a master that lost its worker: it leaves its tables, and how far it was."""
    texts = {RAN: json.dumps(ran), ROWS: msgspec.json.encode([ROW]).decode()}
    return "; ".join(f"open({name!r}, 'w').write({text!r})" for name, text in texts.items())


async def people(
    cast: Cast, folder: Path, over_s: float = 30.0, workers_end_s: float = 0.1
) -> tuple[str, ...]:
    short = msgspec.structs.replace(plan(folder), request=Request(shape=ShapeName.SOAK, seconds=5))
    patience = Patience(over_s=over_s - 5, workers_end_s=workers_end_s)
    found = await locusts.people(short, folder / "plan.json", 1, cast.start, patience)
    assert all(each.returncode is not None for each in cast.processes)
    return found


async def test_lost_worker_ends_the_load_and_leaves_its_tables(tmp_path: Path) -> None:
    master = leaves(ran_s=4.0, stood_still_s=1.0, workers_lost=1)
    why, *_ = await people(Cast(master), tmp_path)
    assert why == "Locust heard no more of 1 of its workers, and ended after 4 of 5 s"
    assert locusts.rows(tmp_path) == (ROW,)


async def test_master_that_does_not_end_is_stopped_and_told(tmp_path: Path) -> None:
    why, *_ = await people(Cast("import time; time.sleep(60)"), tmp_path, over_s=0.5)
    assert why.startswith("Locust has not ended within ")
    assert locusts.rows(tmp_path) == ()


async def test_master_that_dies_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = "[19:50:27] vm/ERROR/locust.main: Gave up waiting for workers to connect"
    found = await people(Cast(f"open('locust-master.log', 'w').write({log!r})"), tmp_path)
    assert found == ("Locust ended before it had told anything", f"locust-master: {log}")


async def test_load_that_ran_to_its_end_has_nothing_to_explain(tmp_path: Path) -> None:
    master = leaves(ran_s=5.0, stood_still_s=1.0, workers_lost=0)
    cast = Cast(master)
    assert await people(cast, tmp_path) == ()
    assert len(cast.processes) == 2


async def test_worker_that_is_killed_before_its_master_misses_it_was_no_whole_load(
    tmp_path: Path,
) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    master = leaves(ran_s=5.0, stood_still_s=1.0, workers_lost=0)
    found = await people(Cast(master, kill), tmp_path, workers_end_s=30.0)
    assert found == ("Locust's worker 0 ended with exit code -9",)
    # One with failures in its tables ends with 1, and has told them all.
    assert await people(Cast(master, "raise SystemExit(1)"), tmp_path, workers_end_s=30.0) == ()


async def test_worker_that_died_is_told_with_its_exit_code(tmp_path: Path) -> None:
    cast = Cast(leaves(ran_s=3.0, stood_still_s=1.0, workers_lost=0), "raise SystemExit(3)")
    why, who, *_ = await people(cast, tmp_path, workers_end_s=30.0)
    assert why == "Locust ended after 3 of 5 s"
    assert who == "Locust's worker 0 ended with exit code 3"
