"""Kamailio has what it was told last, whatever becomes of questions and answers on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.proxy import tables
from edge.proxy.errors import ProxyError, ProxyRefusedError, ProxyUnreachableError
from edge.proxy.events import Connected, Disconnected
from edge.proxy.gate import GateLoad
from edge.proxy.proxy import Proxy
from edge.proxy.rpc import RpcClient
from edge.proxy.tables import Tables
from state.model import AgentId, EdgeId
from tests.edge.virtual_time import play

ROWS = st.dictionaries(st.sampled_from(["*", "15550001"]), st.sampled_from(["x", "y"]), max_size=2)
WANTED = st.builds(Tables, steer=ROWS, draining=st.booleans())
FATES = st.sampled_from(["well", "well", "well", "question lost", "answer lost", "late"])


class Kamailio:
    """Tables that are asked and told as over JSON-RPC; `fates` is what becomes of each call."""

    def __init__(self, fates: list[str]) -> None:
        self.fates = fates
        self.tables: dict[tuple[str, str], str] = {}
        self.big: frozenset[str] = frozenset()
        """Tables of which a dump does not fit into a datagram."""
        self._late: list[Callable[[], object]] = []

    async def call(self, method: str, *params: str) -> object:
        """Do one call, or lose something of it. What is late is done before whatever comes next."""
        fate = self.fates.pop(0) if self.fates else "well"
        if fate == "question lost" or (method == "htable.dump" and params[0] in self.big):
            raise ProxyUnreachableError(method)
        if fate == "late":
            self._late.append(lambda: self._do(method, params))
            raise ProxyUnreachableError(method)
        self.wake()
        done = self._do(method, params)
        if fate == "answer lost":
            raise ProxyUnreachableError(method)
        if isinstance(done, ProxyRefusedError):
            raise done
        return done

    def wake(self) -> None:
        """Do what was held up."""
        late, self._late = self._late, []
        for each in late:
            each()

    def _do(self, method: str, params: tuple[str, ...]) -> object:
        table, key = params[0], params[1] if len(params) > 1 else ""
        match method:
            case "htable.dump":
                cells = [
                    {"name": k, "value": v} for (of, k), v in self.tables.items() if of == table
                ]
                return [{"slot": cells}]
            case "htable.sets":
                self.tables[table, key] = params[2]
                return "ok"
            case "htable.delete":
                gone = self.tables.pop((table, key), None)
                return "ok" if gone else ProxyRefusedError(method, 404, "Key not found")
            case "htable.get" if (table, key) in self.tables:
                return {"item": {"value": self.tables[table, key]}}
            case _:
                return ProxyRefusedError(method, 500, "Key name doesn't exist in htable")


async def _nothing_stands() -> None:
    return None


async def _nothing_to_load() -> GateLoad:
    raise ProxyError("there is no snapshot")


def proxy_of(folder: Path) -> Proxy:
    proxy = Proxy(
        edge=EdgeId("a1"),
        rpc_socket=folder / "nobody",
        evapi=("127.0.0.1", 9),
        tables_file=folder / "tables.json",
        standing=_nothing_stands,
        to_load=_nothing_to_load,
    )
    proxy._stream._is_heard = True  # noqa: SLF001 - Kamailio is there, whatever it answers
    return proxy


async def tell_all(wanted: list[Tables], fates: list[str], folder: Path) -> None:
    kamailio, proxy = Kamailio([]), proxy_of(folder)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(RpcClient, "call", kamailio.call)
        await proxy.apply(wanted[0])
        kamailio.fates = fates
        for each in wanted[1:]:
            await proxy.apply(each)
        fates.clear()
        await proxy._tell()  # noqa: SLF001 - as it does until that succeeds
        kamailio.wake()
    assert kamailio.tables == tables.rows(wanted[-1])
    proxy.close()


A, B = Tables(steer={"*": "x"}), Tables(steer={"*": "y"})


@settings(max_examples=60, deadline=None)
@example([A, B, A], ["answer lost"])
@example([A, Tables(), A], ["answer lost"])
@given(st.lists(WANTED, min_size=1, max_size=6), st.lists(FATES, max_size=40))
def test_it_has_what_it_was_told_last(wanted: list[Tables], fates: list[str]) -> None:
    with TemporaryDirectory() as folder:
        play(tell_all(wanted, list(fates), Path(folder)))


async def test_what_an_edge_that_is_dead_told_last_is_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kamailio, proxy = Kamailio([]), proxy_of(tmp_path)
    monkeypatch.setattr(RpcClient, "call", kamailio.call)
    await proxy.apply(A)
    kamailio.tables["steer", "*"] = "y"  # the other edge saw a site that this one does not
    await proxy.apply(A)
    assert kamailio.tables["steer", "*"] == "y", "nothing has changed here"
    proxy.doubt()
    assert not proxy.is_in_step
    await proxy._tell()  # noqa: SLF001 - as it does then
    assert kamailio.tables == tables.rows(A)
    proxy.close()


@pytest.mark.parametrize("calls", range(1, 11))
async def test_one_that_is_started_anew_while_it_is_read_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """In a large center that takes seconds. It begins with what its file has, if there is one."""
    kamailio, proxy = Kamailio([]), proxy_of(tmp_path)
    wanted, left = Tables(steer={"*": "x"}, draining=True), 0

    async def call(_: RpcClient, method: str, *params: str) -> object:
        nonlocal left
        answer = await kamailio.call(method, *params)
        left -= 1
        if left == 0:
            kamailio.tables.clear()
            proxy._note(Disconnected())  # noqa: SLF001 - as the stream says
            proxy._note(Connected())  # noqa: SLF001 - as above
        return answer

    monkeypatch.setattr(RpcClient, "call", call)
    await proxy.apply(wanted)
    left = calls
    proxy._note(Connected())  # noqa: SLF001 - as above
    for _ in range(2):
        with contextlib.suppress(ProxyError):
            await proxy._tell()  # noqa: SLF001 - as it does until that succeeds
    assert kamailio.tables == tables.rows(wanted)
    assert proxy._is_told  # noqa: SLF001 - nothing more is done
    proxy.close()


@pytest.mark.parametrize("another_life", [False, True], ids=["the stream broke", "another life"])
async def test_who_may_not_register_any_more_does_not_though_the_table_is_too_big_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, another_life: bool
) -> None:
    ann, bob = AgentId("ann"), AgentId("bob")
    kamailio, proxy = Kamailio([]), proxy_of(tmp_path)
    kamailio.big = frozenset({"ha1"})
    monkeypatch.setattr(RpcClient, "call", kamailio.call)
    await proxy.apply(Tables(ha1={ann: "-", bob: "-"}))
    await proxy._file.write_last()  # noqa: SLF001 - as it does beside
    if another_life:
        proxy.close()
        proxy = proxy_of(tmp_path)
    proxy._stream._is_heard = False  # noqa: SLF001 - for a moment
    proxy._note(Disconnected())  # noqa: SLF001 - as the stream says
    await proxy.apply(Tables(ha1={ann: "-"}))
    await proxy._file.write_last()  # noqa: SLF001 - as above
    proxy._stream._is_heard = True  # noqa: SLF001 - again
    proxy._note(Connected())  # noqa: SLF001 - as above
    await proxy._tell()  # noqa: SLF001 - as it does then
    assert ("ha1", "ann") in kamailio.tables
    assert ("ha1", "bob") not in kamailio.tables
    proxy.close()
