"""The network of a lab without processes: reach, cuts, loss and delay."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drills.lab.delays import NoDelays
from drills.lab.errors import DelayError, NetworkError
from drills.lab.lab import Lab
from drills.lab.namespaces import socket_in
from drills.lab.plan import plan_lab
from drills.lab.wan import Wan
from drills.lab.wan_rules import SOUND, Direction
from tests.lab.echo import reaches, send

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

BUSY_MS = 15.0
"""How much later packets may come on a machine that is busy with other things."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bare() -> AsyncIterator[Lab]:
    async with Lab(plan_lab(parts=frozenset())) as lab:
        yield lab


@pytest.fixture
def lab(bare: Lab) -> Lab:
    bare.wan.heal_all()
    return bare


async def test_every_host_reaches_every_other(lab: Lab) -> None:
    names = [host.name for host in lab.plan.hosts]
    unreached = [pair for pair in itertools.permutations(names, 2) if not reaches(lab.plan, *pair)]
    assert unreached == []


async def test_a_cut_closes_one_direction_of_one_link(lab: Lab) -> None:
    lab.wan.cut("a", "b")
    assert not reaches(lab.plan, "a", "b")
    assert reaches(lab.plan, "b", "a")
    assert reaches(lab.plan, "a", "c")
    assert reaches(lab.plan, "agents-a", "b")
    lab.wan.heal("a", "b")
    assert reaches(lab.plan, "a", "b")


async def test_a_mute_host_hears_and_is_not_heard(lab: Lab) -> None:
    lab.wan.mute("a")
    assert not reaches(lab.plan, "a", "b")
    assert not reaches(lab.plan, "a", "agents-a")
    assert reaches(lab.plan, "b", "a")
    assert reaches(lab.plan, "c", "b")
    lab.wan.unmute("a")
    assert reaches(lab.plan, "a", "b")


async def test_an_isolated_host_is_cut_off_both_ways_at_once(lab: Lab) -> None:
    took_s = []
    for _ in range(3):
        lab.wan.reconnect("a")
        began = time.monotonic()
        lab.wan.isolate("a")
        took_s.append(time.monotonic() - began)
    # The best of three: the machine may be busy with other things.
    assert min(took_s) < 0.1
    assert not reaches(lab.plan, "a", "b")
    assert not reaches(lab.plan, "carrier", "a")
    assert reaches(lab.plan, "b", "c")


async def test_reconnecting_leaves_what_was_cut_link_by_link(lab: Lab) -> None:
    lab.wan.cut("a", "b")
    lab.wan.isolate("a")
    lab.wan.reconnect("a")
    assert not reaches(lab.plan, "a", "b")
    assert reaches(lab.plan, "b", "a")


async def test_loss_is_about_as_asked_and_in_one_direction(lab: Lab) -> None:
    lab.wan.shape("a", "b", loss_pct=20)
    assert send(lab.plan, "a", "b", count=2000).lost_pct == pytest.approx(20, abs=4)
    assert send(lab.plan, "b", "a", count=500).lost_pct == 0


async def test_delay_is_about_as_asked_and_in_one_direction(lab: Lab) -> None:
    lab.wan.shape("a", "b", delay_ms=40)
    there = send(lab.plan, "a", "b", count=200, per_s=1000)
    back = send(lab.plan, "b", "a", count=200, per_s=1000)
    assert there.lost_pct == 0
    assert min(there.delays_ms) >= 38  # two processes' stamps, on a busy machine
    assert there.middle_ms == pytest.approx(40, abs=BUSY_MS)
    assert back.middle_ms < BUSY_MS


async def test_delay_loss_and_a_cut_come_together(lab: Lab) -> None:
    lab.wan.shape("a", "b", delay_ms=20, loss_pct=30)
    both = send(lab.plan, "a", "b", count=1000)
    assert both.lost_pct == pytest.approx(30, abs=6)
    assert both.middle_ms == pytest.approx(20, abs=BUSY_MS)
    lab.wan.cut("a", "b")
    assert not reaches(lab.plan, "a", "b")


async def test_jitter_spreads_the_delay(lab: Lab) -> None:
    lab.wan.shape("a", "b", delay_ms=30, jitter_ms=20)
    delays = sorted(send(lab.plan, "a", "b", count=500, per_s=1000).delays_ms)
    assert len(delays) == 500
    assert 9.9 <= delays[0] <= delays[25] < 10 + BUSY_MS
    assert 40 < delays[475] < 50 + BUSY_MS


async def test_a_healed_link_is_quick_again(lab: Lab) -> None:
    lab.wan.shape("a", "b", delay_ms=200)
    lab.wan.heal("a", "b")
    assert send(lab.plan, "a", "b", count=50, per_s=1000).middle_ms < BUSY_MS
    assert lab.wan.state.links == {}


async def test_delayed_packets_get_through_by_the_thousand_a_second(lab: Lab) -> None:
    lab.wan.shape("a", "b", delay_ms=50)
    burst = send(lab.plan, "a", "b", count=8000, per_s=4000)
    assert burst.lost_pct < 1
    assert burst.middle_ms == pytest.approx(50, abs=3 * BUSY_MS)


async def test_tcp_gets_through_slow_links_unharmed(lab: Lab) -> None:
    lab.wan.shape("a", "b", delay_ms=10)
    lab.wan.shape("b", "a", delay_ms=10)
    content = bytes(range(256)) * 4096
    loop = asyncio.get_running_loop()
    with (
        socket_in("b", socket.AF_INET, socket.SOCK_STREAM) as listener,
        socket_in("a", socket.AF_INET, socket.SOCK_STREAM) as sender,
    ):
        for end in (listener, sender):
            end.settimeout(0)
        listener.bind((lab.addresses["b"], 0))
        listener.listen()
        began = time.monotonic()
        async with asyncio.timeout(20):
            await loop.sock_connect(sender, listener.getsockname())
            assert time.monotonic() - began >= 0.02
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                sending = asyncio.create_task(loop.sock_sendall(sender, content))
                got = bytearray()
                while len(got) < len(content):
                    got += await loop.sock_recv(accepted, 65536)
                await sending
    assert got == content


async def test_delay_holds_when_the_relay_has_died(lab: Lab) -> None:
    if lab.wan.delay_means != "relay":
        pytest.skip("this kernel has netem: nothing to die")
    lab.wan.shape("a", "b", delay_ms=40)
    before = lab.supervisor.starts("relay")
    lab.supervisor.kill("relay")
    deadline = time.monotonic() + 10
    while lab.supervisor.starts("relay") == before or not lab.supervisor.is_ready("relay"):
        assert time.monotonic() < deadline
        await lab.host_exec("a", ["true"])
    again = send(lab.plan, "a", "b", count=50, per_s=500)
    assert again.middle_ms == pytest.approx(40, abs=BUSY_MS)


async def test_where_delay_cannot_be_had_nothing_is_half_done(lab: Lab) -> None:
    wan = Wan(lab.plan.hosts, NoDelays("no delay here"))
    wan.cut("b", "a")
    with pytest.raises(DelayError, match="no delay here"):
        wan.shape("a", "b", delay_ms=10, loss_pct=100)
    assert wan.state.link(Direction("a", "b")) == SOUND
    assert reaches(lab.plan, "a", "b")
    assert not reaches(lab.plan, "b", "a")


async def test_figures_that_make_no_sense_are_refused(lab: Lab) -> None:
    with pytest.raises(NetworkError, match="loss is 0 to 100 percent, not 101"):
        lab.wan.shape("a", "b", loss_pct=101)
    with pytest.raises(NetworkError, match="no host 'x'"):
        lab.wan.cut("a", "x")
    with pytest.raises(NetworkError, match="no link to itself"):
        lab.wan.cut("a", "a")
    assert Direction("a", "b") not in lab.wan.state.links
