"""The supervisor's care for real processes, outside any namespace."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec import Struct

from drills.lab.errors import ProcessError
from drills.lab.process import CallProbe, EventKind, FileProbe, ProcessSpec, RestartPolicy
from drills.lab.supervisor import Supervisor

QUICK = RestartPolicy(first_delay_s=0.02, longest_delay_s=0.1)


class Care(Struct, frozen=True, kw_only=True):
    """A supervisor, what it has told, and where its processes may write."""

    supervisor: Supervisor
    told: list[tuple[EventKind, str]]
    directory: Path

    def spec(
        self,
        name: str,
        script: str,
        *,
        after: tuple[str, ...] = (),
        ready: FileProbe | CallProbe | None = None,
        restart: RestartPolicy = QUICK,
    ) -> ProcessSpec:
        """Return a shell script as a process."""
        return ProcessSpec(
            name=name,
            host=None,
            argv=("/bin/sh", "-c", script),
            cwd=self.directory,
            after=after,
            ready=ready,
            ready_timeout_s=5,
            restart=restart,
        )


@pytest.fixture
async def care(tmp_path: Path) -> AsyncIterator[Care]:
    supervisor = Supervisor(tmp_path / "log")
    told: list[tuple[EventKind, str]] = []
    supervisor.add_listener(lambda event: told.append((event.kind, event.process)))
    yield Care(supervisor=supervisor, told=told, directory=tmp_path)
    await supervisor.close(grace_s=0.2)


async def until(condition: Callable[[], bool], timeout_s: float = 5) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - conditions of the world outside this loop
            await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    """Return whether the process runs: a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_what_dies_is_started_again(care: Care) -> None:
    await care.supervisor.start([care.spec("x", "exec sleep 100")])
    first = care.supervisor.pid("x")
    care.supervisor.kill("x")
    await until(lambda: care.supervisor.starts("x") == 2)
    assert care.supervisor.pid("x") != first
    await until(lambda: care.told[-1] == (EventKind.READY, "x"))
    assert [kind for kind, _ in care.told] == [
        EventKind.STARTED,
        EventKind.READY,
        EventKind.KILLED,
        EventKind.DIED,
        EventKind.RESTARTED,
        EventKind.READY,
    ]


async def test_what_has_no_restart_stays_dead(care: Care) -> None:
    once = RestartPolicy(restarts=False)
    await care.supervisor.start([care.spec("x", "exec sleep 100", restart=once)])
    care.supervisor.kill("x")
    await until(lambda: (EventKind.DIED, "x") in care.told)
    assert care.supervisor.pid("x") is None
    with pytest.raises(ProcessError, match="x does not run"):
        care.supervisor.kill("x")


async def test_a_process_is_ready_when_its_probe_says_so(care: Care) -> None:
    ready = FileProbe(path=care.directory / "ready")
    began = time.monotonic()
    await care.supervisor.start(
        [care.spec("x", "sleep 0.2; touch ready; exec sleep 100", ready=ready)]
    )
    assert time.monotonic() - began >= 0.2
    assert care.supervisor.is_ready("x")


async def test_a_process_waits_for_those_it_needs(care: Care) -> None:
    first = FileProbe(path=care.directory / "ready")
    await care.supervisor.start(
        [
            care.spec("second", "exec sleep 100", after=("first",)),
            care.spec("first", "sleep 0.1; touch ready; exec sleep 100", ready=first),
        ]
    )
    assert care.told == [
        (EventKind.STARTED, "first"),
        (EventKind.READY, "first"),
        (EventKind.STARTED, "second"),
        (EventKind.READY, "second"),
    ]


async def test_a_probe_may_be_a_callable(care: Care) -> None:
    asked: list[int] = []

    async def check() -> bool:
        asked.append(1)
        await asyncio.sleep(0)
        return len(asked) == 3

    await care.supervisor.start([care.spec("x", "exec sleep 100", ready=CallProbe(check=check))])
    assert len(asked) == 3


async def test_what_never_comes_up_is_an_error_with_the_end_of_its_log(care: Care) -> None:
    ready = FileProbe(path=care.directory / "never")
    spec = care.spec("x", "echo cannot bind 5060 >&2; exit 7", ready=ready)
    with pytest.raises(ProcessError, match=r"(?s)x: died 3 times.*cannot bind 5060"):
        await care.supervisor.start([spec])


async def test_a_command_that_does_not_exist_is_an_error_that_names_it(care: Care) -> None:
    spec = ProcessSpec(name="x", host=None, argv=("/no/such/program",), cwd=care.directory)
    with pytest.raises(ProcessError, match=r"x: cannot be started .*/no/such/program"):
        await care.supervisor.start([spec])


async def test_two_processes_of_one_name_are_refused(care: Care) -> None:
    await care.supervisor.start([care.spec("x", "exec sleep 100")])
    with pytest.raises(ProcessError, match="already is a process 'x'"):
        await care.supervisor.start([care.spec("x", "exec sleep 100")])


async def test_killing_takes_the_children_along(care: Care) -> None:
    await care.supervisor.start([care.spec("x", "sleep 100 & echo $! > child; wait")])
    path = care.directory / "child"
    await until(lambda: path.exists() and path.read_text().strip() != "")
    child = int(path.read_text())
    care.supervisor.kill("x")
    await until(lambda: not lives(child))


async def test_a_death_leaves_no_orphan_that_could_hold_a_port(care: Care) -> None:
    once = RestartPolicy(restarts=False)
    await care.supervisor.start(
        [care.spec("x", "sleep 100 & echo $! > child; kill -9 $$", restart=once)]
    )
    await until(lambda: (EventKind.DIED, "x") in care.told)
    child = int((care.directory / "child").read_text())
    await until(lambda: not lives(child))


async def test_a_frozen_process_stands_still_until_it_is_thawed(care: Care) -> None:
    ticking = (
        "/usr/bin/env",
        "python3",
        "-c",
        "import time\nwhile True: print('tick', flush=True); time.sleep(.01)",
    )
    await care.supervisor.start(
        [ProcessSpec(name="x", host=None, argv=ticking, cwd=care.directory, log_limit_bytes=10**6)]
    )
    log = care.supervisor.log_path("x")
    await until(lambda: log.stat().st_size > 0)
    care.supervisor.freeze("x")
    pid = care.supervisor.pid("x")
    await until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    size = log.stat().st_size
    await asyncio.sleep(0.1)
    assert log.stat().st_size == size
    care.supervisor.thaw("x")
    await until(lambda: log.stat().st_size > size)


async def test_a_frozen_process_can_be_stopped(care: Care) -> None:
    await care.supervisor.start([care.spec("x", "exec sleep 100")])
    pid = care.supervisor.pid("x")
    assert pid is not None
    care.supervisor.freeze("x")
    await care.supervisor.stop("x", grace_s=5)
    assert not lives(pid)
    assert care.told[-1] == (EventKind.STOPPED, "x")


async def test_what_ignores_sigterm_is_killed_after_the_grace(care: Care) -> None:
    ready = FileProbe(path=care.directory / "ready")
    script = "trap '' TERM; touch ready; while :; do sleep 0.01; done"
    await care.supervisor.start([care.spec("x", script, ready=ready)])
    began = time.monotonic()
    await care.supervisor.stop("x", grace_s=0.1)
    assert 0.1 <= time.monotonic() - began < 4
    assert care.supervisor.names() == []


async def test_stopping_during_the_pause_before_a_restart_ends_at_once(care: Care) -> None:
    slow = RestartPolicy(first_delay_s=60, longest_delay_s=60)
    await care.supervisor.start([care.spec("x", "exec sleep 100", restart=slow)])
    care.supervisor.kill("x")
    await until(lambda: (EventKind.DIED, "x") in care.told)
    began = time.monotonic()
    await care.supervisor.stop("x")
    assert time.monotonic() - began < 30


async def test_a_log_is_kept_short_and_keeps_its_end(care: Care) -> None:
    lines = "import sys\nfor n in range(20000): print('line', n)\nsys.stdout.flush()\ninput()"
    spec = ProcessSpec(
        name="x",
        host=None,
        argv=(sys.executable, "-c", f"{lines}"),
        cwd=care.directory,
        restart=RestartPolicy(restarts=False),
        log_limit_bytes=10_000,
    )
    await care.supervisor.start([spec])
    log = care.supervisor.log_path("x")
    await until(lambda: 0 < log.stat().st_size <= 10_000 and b"19999" in log.read_bytes())
    assert log.stat().st_mode & 0o777 == 0o600


async def test_the_environment_of_the_lab_does_not_leak_into_processes(care: Care) -> None:
    os.environ["EVERLINE_TEST_LEAK"] = "leaked"
    try:
        await care.supervisor.start([care.spec("x", "env; exec sleep 100")])
        log = care.supervisor.log_path("x")
        await until(lambda: b"PATH=" in log.read_bytes())
        assert b"leaked" not in log.read_bytes()
    finally:
        del os.environ["EVERLINE_TEST_LEAK"]


async def test_at_the_end_a_process_goes_before_those_it_needed(care: Care) -> None:
    needed = care.spec("needed", "exec sleep 100")
    await care.supervisor.start([needed, care.spec("x", "exec sleep 100", after=("needed",))])
    await care.supervisor.close()
    assert care.told[-2:] == [(EventKind.STOPPED, "x"), (EventKind.STOPPED, "needed")]


async def test_unknown_names_are_refused_with_the_known_ones(care: Care) -> None:
    await care.supervisor.start([care.spec("x", "exec sleep 100")])
    with pytest.raises(ProcessError, match="no process 'y'; there are: x"):
        care.supervisor.kill("y")


def test_the_pause_before_a_restart_doubles_up_to_its_bound() -> None:
    policy = RestartPolicy(first_delay_s=0.2, longest_delay_s=3)
    assert [policy.delay_s(deaths) for deaths in (1, 2, 3, 4, 5, 6, 100)] == pytest.approx(
        [0.2, 0.4, 0.8, 1.6, 3, 3, 3]
    )


async def test_what_waits_for_a_process_that_never_comes_up_can_be_stopped(care: Care) -> None:
    never = FileProbe(path=care.directory / "never")
    specs = [
        care.spec("first", "exec sleep 100", ready=never),
        care.spec("second", "exec sleep 100", after=("first",)),
    ]
    starting = asyncio.create_task(care.supervisor.start(specs))
    await until(lambda: (EventKind.STARTED, "first") in care.told)
    starting.cancel()
    await asyncio.wait({starting})
    async with asyncio.timeout(20.0):
        await care.supervisor.close(grace_s=0.2)
    assert care.supervisor.names() == []


async def test_a_machine_without_room_for_a_restart_is_asked_again(
    care: Care, monkeypatch: pytest.MonkeyPatch
) -> None:
    await care.supervisor.start([care.spec("x", "exec sleep 100")])
    refused: list[int] = []
    start = subprocess.Popen

    def full(*args: object, **more: object) -> object:
        if len(refused) < 2:
            refused.append(1)
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(*args, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", full)
    care.supervisor.kill("x")
    await until(lambda: care.supervisor.starts("x") == 2)
    assert len(refused) == 2
    await until(lambda: care.supervisor.is_ready("x"))
