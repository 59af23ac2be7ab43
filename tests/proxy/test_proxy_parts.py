"""The edge's side of Kamailio against a real one: told, asked, listened to, restarted, frozen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge.acd.token import Token
from edge.proxy.errors import ProxyError, ProxyRefusedError, ProxyUnreachableError
from edge.proxy.events import (
    Connected,
    Disconnected,
    Event,
    GateChanged,
    Refused,
    Registered,
    Unregistered,
)
from edge.proxy.gate import GateEntry, GateLoad, GateState
from edge.proxy.proxy import Proxy
from edge.proxy.rpc import RpcClient
from edge.proxy.secrets_file import SecretsFile
from edge.proxy.tables import Tables, decode_file
from state.model import AgentId, CallId, EdgeId
from state.phone_credentials import issue, read_secrets
from tests.kemi.phone import asked, offer, proved, register
from tests.kemi.sip_peer import ha1_of
from tests.kemi.site import Site, running

pytestmark = pytest.mark.parts

ALICE = AgentId("alice")


async def until(
    ask: Callable[[], Awaitable[object]], wanted: object, within_s: float = 3.0
) -> float:
    """Return how many seconds passed until `ask` said what is wanted."""
    start = time.monotonic()
    while (said := await ask()) != wanted:
        assert time.monotonic() - start < within_s, f"still {said!r}, not {wanted!r}"
        await asyncio.sleep(0.02)
    return time.monotonic() - start


async def connected(events: list[Event]) -> None:
    """Return when the stream is there."""

    async def is_there() -> bool:
        return Connected() in events

    await until(is_there, wanted=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    kamailio = Site(tmp_path_factory.mktemp("site"))
    with running(kamailio):
        yield kamailio


class Standing:
    """The offers that stand, as the edge's snapshot has them."""

    def __init__(self) -> None:
        self.load: GateLoad | None = GateLoad(floor=Token(epoch=1, revision=100), offers={})

    async def __call__(self) -> GateLoad | None:
        """Return them."""
        return self.load

    async def to_load(self) -> GateLoad:
        """Return them, or raise ProxyError."""
        if self.load is None:
            raise ProxyError("the gate stays shut until this edge has a fresh snapshot")
        return self.load


@asynccontextmanager
async def started(
    site: Site, standing: Standing, name: str = "a1"
) -> AsyncIterator[tuple[Proxy, list[Event]]]:
    """Run a Proxy and collect its events."""
    proxy = Proxy(
        edge=EdgeId(name),
        rpc_socket=site.rpc_socket,
        evapi=site.events,
        tables_file=site.run_dir / "tables.json",
        standing=standing,
        to_load=standing.to_load,
    )
    events: list[Event] = []

    async def collect() -> None:
        async for event in proxy.events():
            events.append(event)  # noqa: PERF401 - each as it comes, for ever

    tasks = [asyncio.create_task(proxy.run()), asyncio.create_task(collect())]
    try:
        await connected(events)
        yield proxy, events
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


TABLES = Tables(
    steer={"4930": "127.0.0.1:5081"},
    peers={"127.0.0.2": "trunk:t1"},
    ha1={ALICE: ha1_of("alice", "pw")},
    home={ALICE: "0.0"},
    forward={"4930": "t2 +4930123456"},
    epoch=1,
)


async def test_given_tables_are_applied_then_kamailio_and_the_file_have_them(site: Site) -> None:
    async with started(site, Standing()) as (proxy, _events):
        await proxy.apply(TABLES)
        assert site.row("steer", "4930") == "127.0.0.1:5081"
        assert site.row("peers", "127.0.0.2") == "trunk:t1"
        assert site.row("ha1", "alice") == ha1_of("alice", "pw")
        assert site.row("meta", "tables") == "1"
        file = site.run_dir / "tables.json"

        async def in_the_file() -> str | None:
            return decode_file(file.read_bytes()).get(("steer", "4930")) if file.exists() else None

        await until(in_the_file, wanted="127.0.0.1:5081")
        assert file.stat().st_mode & 0o777 == 0o600

        await proxy.apply(Tables(steer={"4931": ""}, draining=True))
        assert site.row("steer", "4930") is None
        assert site.row("forward", "4930") is None
        assert site.row("steer", "4931") == "|"
        assert site.row("ha1", "alice") is None
        assert site.row("meta", "draining") == "1"

        await proxy.apply(TABLES)
        assert site.row("meta", "draining") is None
        assert site.row("forward", "4930") == "t2 +4930123456"


async def test_phone_secrets_that_were_made_private_let_phones_in(
    site: Site, tmp_path: Path
) -> None:
    path, agent = tmp_path / "secrets", AgentId("bob+1")
    path.write_text("s" * 40, encoding="utf-8")
    path.chmod(0o640)
    file = SecretsFile(path)
    (secret,) = read_secrets("s" * 40)
    until_s = int(time.clock_gettime(time.CLOCK_REALTIME)) + 60
    given = issue(secret, agent, until_s)

    def sign_in() -> int:
        phone = site.peer()
        challenge = asked(phone, "REGISTER", agent)
        return proved(phone, "REGISTER", agent, challenge, given.user, given.password).status

    async with started(site, Standing()) as (proxy, _events):
        for mode, status in ((0o640, 401), (0o600, 200)):
            path.chmod(mode)
            assert file.has_changed() == (mode == 0o600)
            rows = Tables(ha1={agent: "-"}, home={agent: "0.0"}, sip_secret=file.by_name, epoch=1)
            await proxy.apply(rows)
            assert await asyncio.to_thread(sign_in) == status
    site.rpc("ul.rm", "location", agent)  # the site is that of the other tests, too


async def test_rows_of_an_earlier_life_go_when_an_edge_applies_its_own(site: Site) -> None:
    site.put("steer", "666", "127.0.0.1:1")
    async with started(site, Standing()) as (proxy, _events):
        await proxy.apply(TABLES)
        assert site.row("steer", "666") is None
        assert site.row("steer", "4930") is not None


async def test_registrations_and_the_gate_are_told(site: Site) -> None:
    phone, edge = site.peer(), site.edge()
    token = Token(epoch=1, revision=200)
    told = [
        Connected(),
        Registered(agent=ALICE, expires_s=33),
        GateChanged(agent=ALICE, token=token, state=GateState.RINGING, call=CallId("c1")),
        GateChanged(agent=ALICE, token=token, state=GateState.IDLE, call=CallId("c1")),
        Refused(agent=ALICE, call=CallId("c2"), why="stale token"),
        Unregistered(agent=ALICE, expired=False),
    ]
    async with started(site, Standing()) as (proxy, events):

        async def are_told(count: int) -> None:
            # What different workers tell has no order but that of what they are asked.
            async def is_told() -> bool:
                return events == told[:count]

            await until(is_told, wanted=True)

        await proxy.apply(TABLES)
        site.put("peers", edge.address, "edge")
        await until(proxy.is_gate_open, wanted=True)

        assert (await asyncio.to_thread(register, phone, "alice", expires_s=33)).status == 200
        assert await proxy.registered() == {ALICE}
        await are_told(2)
        await asyncio.to_thread(offer, edge, "alice", "c1", (1, 200))
        ringing = await asyncio.to_thread(phone.wait, "INVITE")
        await are_told(3)
        await asyncio.to_thread(phone.respond, ringing, 486)
        await asyncio.to_thread(edge.wait, 486)
        await are_told(4)
        await asyncio.to_thread(offer, edge, "alice", "c2", (1, 100))
        await asyncio.to_thread(edge.wait, 403)
        await are_told(5)
        assert (await asyncio.to_thread(register, phone, "alice", expires_s=0)).status == 200
        assert await proxy.registered() == frozenset()
        await are_told(6)


async def test_a_phone_that_is_not_heard_of_in_time_is_told(site: Site) -> None:
    async with started(site, Standing()) as (proxy, events):
        # One second: less than any phone is granted, so put there from the outside.
        contact = ("location", "zoe", "sip:zoe@127.0.0.1:9", 1, 1.0, "0", 0, 0, 0)
        assert "code" not in (site.rpc("ul.add", *contact) or {})
        assert AgentId("zoe") in await proxy.registered()
        expired = Unregistered(agent=AgentId("zoe"), expired=True)

        async def is_told() -> bool:
            return expired in events

        await until(is_told, wanted=True, within_s=6)
        assert AgentId("zoe") not in await proxy.registered()


async def test_given_a_restart_then_tables_and_gate_are_back_within_a_second(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path / "run")
    standing = Standing()
    held = GateEntry(token=Token(epoch=1, revision=90), state=GateState.TALKING, call=CallId("c9"))
    standing.load = GateLoad(floor=Token(epoch=1, revision=100), offers={ALICE: held})
    with running(site):
        async with started(site, standing) as (proxy, events):
            await proxy.apply(TABLES)
            await until(proxy.is_gate_open, wanted=True)
            assert await proxy.gate_of(ALICE) == held

            await asyncio.to_thread(site.stop, signal.SIGKILL)
            with pytest.raises(ProxyUnreachableError):
                await proxy.gate_of(ALICE)
            changed = Tables(steer={"4932": "127.0.0.1:5081"}, epoch=2)
            await proxy.apply(changed)
            (site.run_dir / "tables.json").write_text("{")
            await asyncio.to_thread(site.start)
            assert site.row("meta", "tables") is None or site.row("steer", "4930") is None
            took_s = await until(proxy.is_gate_open, wanted=True)
            assert took_s < 4
            assert await proxy.gate_of(ALICE) == held
            assert site.row("steer", "4932") is not None
            assert site.row("meta", "epoch") == "2"
            assert Disconnected() in events
            assert events.count(Connected()) == 2


class Slow(Standing):
    """Takes its time to say what a gate has to know, and says what stood when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_say = asyncio.Event()

    async def to_load(self) -> GateLoad:
        """Return it once that is allowed."""
        asked = await super().to_load()
        self.asked.set()
        await self.may_say.wait()
        return asked


async def test_a_gate_is_not_loaded_with_what_was_read_in_its_life_before(tmp_path: Path) -> None:
    site, standing = Site(tmp_path / "run"), Slow()
    with running(site):
        async with started(site, standing) as (proxy, events):
            await asyncio.wait_for(standing.asked.wait(), 3.0)
            await asyncio.to_thread(site.stop, signal.SIGKILL)
            await asyncio.to_thread(site.start)

            async def is_back() -> bool:
                return events.count(Connected()) == 2

            await until(is_back, wanted=True)
            standing.load = GateLoad(floor=Token(epoch=1, revision=200), offers={})
            standing.may_say.set()
            await until(proxy.is_gate_open, wanted=True)
            assert site.row("meta", "gate_floor") == "1.200"


async def test_the_first_edge_to_load_the_gate_wins(site: Site) -> None:
    async with started(site, Standing()) as (proxy, _):
        await until(proxy.is_gate_open, wanted=True)
        floor = site.row("meta", "gate_floor")
        late = GateEntry(
            token=Token(epoch=9, revision=9), state=GateState.RINGING, call=CallId("late")
        )
        other = GateLoad(floor=Token(epoch=9, revision=9), offers={AgentId("zoe"): late})
        await proxy.load_gate(other)
        assert site.row("meta", "gate_floor") == floor
        assert await proxy.gate_of(AgentId("zoe")) is None


async def test_a_load_that_lost_a_message_does_not_open_the_gate(tmp_path: Path) -> None:
    site = Site(tmp_path / "run")
    standing = Standing()
    standing.load = None
    with running(site):
        async with started(site, standing) as (proxy, _events):
            offers = {
                AgentId(f"agent{number}"): GateEntry(
                    token=Token(epoch=1, revision=number),
                    state=GateState.RINGING,
                    call=CallId(f"call{number}"),
                )
                for number in range(1, 121)
            }
            load = GateLoad(floor=Token(epoch=1, revision=500), offers=offers)
            lossy = _Lossy(proxy)
            with pytest.raises(ProxyUnreachableError):
                await proxy.load_gate(load)
            lossy.mend()
            assert not await proxy.is_gate_open()
            await proxy.load_gate(load)
            assert await proxy.is_gate_open()
            assert await proxy.gate_of(AgentId("agent120")) == offers[AgentId("agent120")]


class _Lossy:
    """Loses the second message that a Proxy says, once."""

    def __init__(self, proxy: Proxy) -> None:
        self._stream = proxy._stream  # noqa: SLF001 - the one place where messages can be lost
        self._say = self._stream.say
        self._number = 0
        self._stream.say = self  # type: ignore[method-assign,assignment]

    def __call__(self, message: dict[str, object]) -> None:
        if message["do"] == "load_gate":
            self._number += 1
            if self._number == 2:
                return
        self._say(message)

    def mend(self) -> None:
        """Lose no more."""
        self._stream.say = self._say  # type: ignore[method-assign]


async def test_a_gate_that_holds_an_agent_for_an_offer_that_is_gone_is_freed(site: Site) -> None:
    standing = Standing()
    async with started(site, standing) as (proxy, _):
        await proxy.apply(TABLES)
        await until(proxy.is_gate_open, wanted=True)
        site.put("gate", "alice", "1.300.talking.c1")
        standing.load = GateLoad(floor=Token(epoch=1, revision=299), offers={})
        assert await proxy.settle_gate() == frozenset()  # newer than the snapshot
        standing.load = GateLoad(floor=Token(epoch=1, revision=300), offers={})
        assert await proxy.settle_gate() == frozenset({ALICE})

        async def row() -> str | None:
            return site.row("gate", "alice")

        await until(row, wanted="1.300.idle.")


async def test_a_frozen_edge_does_not_stop_the_workers(site: Site) -> None:
    """Evapi's writes block: a client that reads nothing must be left out, not waited for."""
    reader, writer = await asyncio.open_connection(*site.events)
    hello = json.dumps({"do": "listen", "name": "frozen"}).encode()
    writer.write(b"%d:%b," % (len(hello), hello))
    await writer.drain()

    async def listens() -> str | None:
        return site.row("listen", "frozen")

    await until(listens, wanted="1")
    await until(listens, wanted=None, within_s=8)
    async with started(site, Standing(), name="a2") as (proxy, events):
        await proxy.apply(TABLES)

        async def listeners() -> str | None:
            return site.row("meta", "listeners")

        await until(listeners, wanted="a2")
        phone = site.peer()
        await asyncio.to_thread(register, phone, "alice")

        async def is_told() -> bool:
            return any(isinstance(event, Registered) for event in events)

        await until(is_told, wanted=True)
    assert await reader.read(65536) == b'22:{"event": "listening"},'
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.read(1)
    writer.close()
    await writer.wait_closed()


async def test_many_registered_agents_are_all_found(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the whole location table no longer fits a datagram, agents are asked for one by one."""
    phone = site.peer()
    async with started(site, Standing()) as (proxy, _):
        names = [AgentId(f"agent{number}") for number in range(12)]
        await proxy.apply(Tables(ha1={name: ha1_of(name, "pw") for name in [*names, ALICE]}))
        for name in names:
            assert (await asyncio.to_thread(register, phone, name)).status == 200
        found = await proxy.registered()
        assert set(names) <= found

        whole = RpcClient.call

        async def no_dump(self: RpcClient, method: str, *params: str | int) -> object:
            if method == "ul.dump":
                raise ProxyUnreachableError("as for a datagram that is too large")
            return await whole(self, method, *params)

        monkeypatch.setattr(RpcClient, "call", no_dump)
        assert await proxy.registered() == found


async def test_a_kamailio_that_is_frozen_is_an_error_not_a_wait(site: Site) -> None:
    rpc = RpcClient(site.rpc_socket, timeout_s=0.1)
    assert site.process is not None
    os.killpg(site.process.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with pytest.raises(ProxyUnreachableError, match=r"core\.uptime"):
            await rpc.call("core.uptime")
        assert time.monotonic() - start < 4, "it waited for Kamailio to wake"
    finally:
        os.killpg(site.process.pid, signal.SIGCONT)
    assert (await rpc.call("core.uptime"))["uptime"] >= 0
    with pytest.raises(ProxyRefusedError, match=r"no\.such"):
        await rpc.call("no.such")
    rpc.close()


async def test_given_the_file_cannot_be_written_then_kamailio_is_told_all_the_same(
    site: Site,
) -> None:
    file = site.run_dir / "tables.json"
    before = file.read_bytes()
    # What stands in the way of the new file is a folder of its name; it could be a full disk.
    (site.run_dir / ".tables.json.a3").mkdir()
    async with started(site, Standing(), name="a3") as (proxy, _):
        await proxy.apply(Tables(steer={"4933": "127.0.0.1:5081"}))
        assert site.row("steer", "4933") is not None
    assert file.read_bytes() == before
