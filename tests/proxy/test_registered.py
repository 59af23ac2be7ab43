"""Who is registered at a Kamailio that is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.proxy.errors import ProxyError, ProxyUnreachableError
from edge.proxy.gate import GateLoad
from edge.proxy.proxy import Proxy
from edge.proxy.rpc import RpcClient
from edge.proxy.tables import Tables
from state.model import AgentId, EdgeId
from tests.edge.virtual_time import in_virtual_time


async def _nothing_stands() -> None:
    return None


async def _nothing_to_load() -> GateLoad:
    raise ProxyError("there is no snapshot")


def proxy(folder: Path) -> Proxy:
    return Proxy(
        edge=EdgeId("a1"),
        rpc_socket=folder / "nobody",
        evapi=("127.0.0.1", 9),
        tables_file=folder / "tables.json",
        standing=_nothing_stands,
        to_load=_nothing_to_load,
    )


@in_virtual_time
async def test_nobody_known_and_no_answer_is_not_nobody_registered(tmp_path: Path) -> None:
    # A large center is still being read when it is asked the first time: all of its agents were
    # taken for gone.
    made = proxy(tmp_path)
    with pytest.raises(ProxyUnreachableError):
        await made.registered()
    made.close()


@in_virtual_time
async def test_of_a_proxy_that_is_away_only_a_few_are_asked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = proxy(tmp_path)
    await made.apply(Tables(ha1={AgentId(f"agent{number}"): "-" for number in range(1_000)}))
    asked = []

    async def call(_: RpcClient, method: str, *params: str | int) -> None:
        asked.append((method, *params))
        raise ProxyUnreachableError("it is away")

    monkeypatch.setattr(RpcClient, "call", call)
    with pytest.raises(ProxyUnreachableError):
        await made.registered()
    assert len(asked) <= 65
    made.close()
