"""Asks what is left after the last call: every living edge, and the shared state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

from drills.demo.figures import Stock
from state import keys
from state.keys import Kind
from state.listing import read_all
from state.model import EdgeId
from state.store import Store

ANSWER_TIMEOUT_S = 2.0
SETTLE_S = 16.0
"""How long what is left has to go: an edge gives up a BYE to an agent of the dead site after 8 s;
a dead edge's tickets are closed 1 s after its lease, which is 8 s."""
LOOK_EVERY_S = 0.5


async def settle(
    edges: Iterable[tuple[EdgeId, Path]], store: Store, within_s: float = SETTLE_S
) -> tuple[tuple[Stock, ...], tuple[EdgeId, ...]]:
    """Look until nothing is left, or for as long as that may take.

    Return the last stock of each place, and the edges that did not answer.
    """
    places = tuple(edges)
    deadline_s = asyncio.get_running_loop().time() + within_s
    while True:
        stocks, silent = await take(places, store)
        is_clean = not silent and not any(stock.left for stock in stocks)
        if is_clean or asyncio.get_running_loop().time() > deadline_s:
            return stocks, silent
        await asyncio.sleep(LOOK_EVERY_S)


async def take(
    edges: Iterable[tuple[EdgeId, Path]], store: Store
) -> tuple[tuple[Stock, ...], tuple[EdgeId, ...]]:
    """Ask everybody once."""
    stocks, silent = [await _of_store(store)], []
    for edge, path in edges:
        try:
            stocks.append(await _of_edge(edge, path))
        except (OSError, ValueError):
            silent.append(edge)
    return tuple(stocks), tuple(silent)


async def _of_edge(edge: EdgeId, path: Path) -> Stock:
    """Ask one edge; OSError when it does not answer, ValueError when that makes no sense."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b'{"cmd": "stock"}\n')
            await writer.drain()
            answer = json.loads(await reader.readline())
        finally:
            writer.close()
    if not (isinstance(answer, dict) and answer.get("ok")):
        raise ValueError(f"edge {edge} did not say what it holds: {answer}")
    if answer.get("media_calls") is None:
        raise ValueError(f"edge {edge} cannot ask its rtpengine")
    return Stock(
        place=f"edge {edge}",
        legs=int(answer["legs"]),
        transactions=int(answer["transactions"]),
        calls=int(answer["calls"]),
        media_calls=int(answer["media_calls"]),
    )


async def _of_store(store: Store) -> Stock:
    tickets = await read_all(store, f"{keys.ROOT}{Kind.TICKET}/", keys_only=True)
    offers = await read_all(store, f"{keys.ROOT}{Kind.OFFER}/", keys_only=True)
    return Stock(place="etcd", tickets=len(tickets.records), offers=len(offers.records))
