"""Three sites of real servers: up, killed, revived, and down again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from drills.lab.commands import Done
from drills.lab.errors import LabError, PlanError, ProcessError
from drills.lab.lab import Lab
from drills.lab.plan import plan_lab
from drills.lab.probes import is_ready
from drills.lab.process import DatagramProbe, EventKind, NgProbe, SipProbe
from state.model import SiteId
from tests.lab.echo import reaches

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

A, B, C = SiteId("a"), SiteId("b"), SiteId("c")
EDGE = """
import os, socket, sys, time, tomllib
settings = tomllib.load(open(sys.argv[1], "rb"))
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if os.path.exists(settings["command_socket"]): os.unlink(settings["command_socket"])
listener.bind(settings["command_socket"])
listener.listen()
print("serving", settings["edge"], flush=True)
while True: time.sleep(60)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites() -> AsyncIterator[Lab]:
    """One lab for all tests here, with a stand-in for each edge."""
    commands = {
        f"edge-{site}1": ("/usr/bin/python3", "-c", EDGE, f"/run/everline/{site}/edge-{site}1.toml")
        for site in "abc"
    }
    async with Lab(plan_lab(edges=1, commands=commands)) as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def lab(sites: Lab) -> Lab:
    """Make the lab whole and sound again."""
    sites.wan.heal_all()
    for site in sites.plan.sites:
        await sites.revive_site(site)
    return sites


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - conditions of other processes
            await asyncio.sleep(0.02)


async def etcdctl(lab: Lab, host: str, site: SiteId, *argv: str, known: bool = True) -> Done:
    endpoint = f"https://{lab.addresses[site]}:2379"
    own = lab.operator
    proof = (f"--cert={own.cert}", f"--key={own.key}") if known else ()
    command = ("etcdctl", f"--endpoints={endpoint}", f"--cacert={own.ca}", *proof)
    env = {"ETCDCTL_API": "3", "ETCDCTL_DIAL_TIMEOUT": "1s"}
    return await lab.host_exec(host, (*command, "--command-timeout=2s", *argv), env=env)


def kamailio(lab: Lab, site: SiteId) -> DatagramProbe:
    return DatagramProbe(
        path=lab.paths.of(site) / "kamailio.rpc",
        ask=b'{"jsonrpc":"2.0","method":"core.version","id":1}',
        expect=b"kamailio",
    )


async def leader(lab: Lab) -> SiteId:
    async with asyncio.timeout(10):
        while True:
            site = await lab.etcd_leader_site()
            if site is not None:
                return site
            await asyncio.sleep(0.05)


async def test_everything_is_up_in_ten_seconds_and_each_step_has_its_time(lab: Lab) -> None:
    took = {step.name: step.took_s for step in lab.steps}
    assert {"network", "files", "etcd-a", "rtpengine-b", "kamailio-c", "kamailio-carrier"} <= set(
        took
    )
    assert took["network"] + took["files"] + max(took.values()) < 10


async def test_every_part_answers_where_the_map_says(lab: Lab) -> None:
    for site in (A, B, C):
        assert await is_ready(kamailio(lab, site), None)
        assert await is_ready(NgProbe(), site)
        (await etcdctl(lab, site, site, "endpoint", "health")).check()
    assert await is_ready(SipProbe(address=lab.addresses["carrier"]), "callers")


async def test_the_ng_port_is_for_its_own_host_alone(lab: Lab) -> None:
    assert not await is_ready(NgProbe(address=lab.addresses[A]), "b")
    assert not await is_ready(NgProbe(address=lab.addresses[A]), "a")


async def test_etcd_refuses_whoever_has_no_certificate(lab: Lab) -> None:
    refused = await etcdctl(lab, "agents-a", A, "get", "x", known=False)
    assert refused.status != 0
    assert (await etcdctl(lab, "a", A, "get", "x")).status == 0


async def test_one_member_leads(lab: Lab) -> None:
    assert await leader(lab) in {A, B, C}


async def test_a_stand_in_runs_with_the_edges_own_settings(lab: Lab) -> None:
    log = lab.supervisor.log_path("edge-b1")
    assert "serving b1" in log.read_text()


async def test_a_kamailio_that_dies_is_back_in_seconds(lab: Lab) -> None:
    lab.supervisor.kill("kamailio-b")
    assert not await is_ready(kamailio(lab, B), None)
    await until(lambda: lab.supervisor.starts("kamailio-b") == 2, timeout_s=20)
    await lab.supervisor.wait_ready("kamailio-b", 20)
    assert await is_ready(kamailio(lab, B), None)


async def test_a_killed_site_takes_nobody_along(lab: Lab) -> None:
    dead = await leader(lab)
    alive = [site for site in (A, B, C) if site != dead]
    others = {
        name: lab.supervisor.pid(name)
        for name in lab.supervisor.names()
        if name not in lab.supervisor.names(dead)
    }
    pids = [lab.supervisor.pid(name) for name in lab.supervisor.names(dead)]
    assert len(pids) == 5
    began = time.monotonic()
    killed_s = lab.kill_site(dead)
    assert began <= killed_s <= time.monotonic()

    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert not reaches(lab.plan, "carrier", dead)
    assert not reaches(lab.plan, dead, "carrier")
    assert {name: lab.supervisor.pid(name) for name in others} == others
    assert await leader(lab) in alive
    written = await etcdctl(lab, alive[0], alive[0], "put", "after", "the kill")
    assert written.check().output == "OK\n"
    died = [e for e in lab.events if e.kind is EventKind.DIED and e.at_s >= killed_s]
    assert {event.host for event in died} == {dead}
    assert all(event.detail == "signal 9" for event in died)


async def test_a_killed_site_stays_dead_until_it_is_revived(lab: Lab) -> None:
    lab.kill_site(C)
    await until(lambda: all(lab.supervisor.pid(name) is None for name in lab.supervisor.names(C)))
    starts = {name: lab.supervisor.starts(name) for name in lab.supervisor.names(C)}
    await asyncio.sleep(1)
    assert {name: lab.supervisor.starts(name) for name in starts} == starts
    assert await leader(lab) in {A, B}
    (await etcdctl(lab, "a", A, "put", "meanwhile", "written")).check()

    await lab.revive_site(C)
    assert all(lab.supervisor.is_ready(name) for name in starts)
    assert "written" in (await etcdctl(lab, "c", C, "get", "meanwhile")).output


async def test_two_sites_cut_from_each_other_have_a_quorum_by_the_third(
    lab: Lab,
) -> None:
    lab.wan.cut_between("a", "b")
    assert await leader(lab) in {A, B, C}
    (await etcdctl(lab, "c", C, "put", "x", "1")).check()


async def test_a_command_in_a_host_returns_what_it_said_and_how_it_ended(lab: Lab) -> None:
    done = await lab.host_exec(
        "callers",
        ["sh", "-c", "ip -br -4 address show wan0; cat; echo oops >&2; exit 3"],
        stdin=b"in",
    )
    assert done.status == 3
    assert "198.18.11.10/24" in done.output
    assert done.output.endswith("in")
    assert done.errors == "oops\n"
    with pytest.raises(ProcessError, match=r"(?s)sh ended with 3.*oops"):
        done.check()


async def test_a_command_that_takes_too_long_is_killed_with_its_children(lab: Lab) -> None:
    directory = lab.paths.of("callers")
    with pytest.raises(TimeoutError):
        await lab.host_exec(
            "callers", ["sh", "-c", "sleep 100 & echo $! > child; wait"], timeout_s=0.2
        )
    child = int((directory / "child").read_text())
    await until(lambda: not Path(f"/proc/{child}").exists())


async def test_a_command_dies_with_its_host(lab: Lab) -> None:
    started = lab.paths.of("b") / "started"
    script = f"touch {started}; exec sleep 100"
    running = asyncio.create_task(lab.host_exec("b", ["sh", "-c", script]))
    await until(started.exists)
    lab.kill_site(B)
    assert (await asyncio.wait_for(running, 20)).status == -9


async def test_a_command_in_no_host_is_refused(lab: Lab) -> None:
    with pytest.raises(PlanError, match="no host 'mars'"):
        await lab.host_exec("mars", ["true"])


async def test_logs_can_be_kept(lab: Lab, tmp_path: Path) -> None:
    kept = lab.keep_logs(tmp_path / "kept" / "here")
    assert {f"etcd-{site}.log" for site in "abc"} <= {path.name for path in kept.iterdir()}
    with pytest.raises(LabError, match="would vanish"):
        lab.keep_logs(Path("/run/logs"))
    with pytest.raises(LabError, match="cannot be kept"):
        lab.keep_logs(Path("/proc/logs"))


async def test_secrets_are_for_their_owner_alone(lab: Lab) -> None:
    assert lab.paths.run.stat().st_mode & 0o777 == 0o700
    for host in lab.plan.hosts:
        assert lab.paths.of(host.name).stat().st_mode & 0o777 == 0o700
    assert all(key.stat().st_mode & 0o077 == 0 for key in lab.paths.run.glob("certs/*.key"))
