"""The recorders of other sites, as those they take copies from know them.

Owns which store each of them has, who has failed lately, and how an object is brought to one: HTTP
over mTLS, as `receiving` takes it. What is brought, and when, is `replication`'s.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from edge.recorder.ledger import Ledger
from edge.recorder.receiving import NOT_YET, SITE, STORE, Kept

ANSWER_S: Final = 30.0
CONNECT_S: Final = 2.0
FORGIVEN_S: Final = 30.0
"""So long a peer that has failed comes after the others."""
_REFUSALS: Final = frozenset({409, 413, 422})
"""Of what nobody mends by sending it again."""


class NotTakenError(Exception):
    """The other site is well, and does not take this recording as it is."""


class NotYetError(NotTakenError):
    """It will, once it has the keys."""


class NotKeptError(ConnectionError):
    """The other site is there, and its store has not kept this: it may be full, or away."""


class Peers:
    """Those of one site."""

    def __init__(
        self, addresses: Sequence[str], ledger: Ledger, on_news: Callable[[], None]
    ) -> None:
        """Note in `ledger` which store each has; call `on_news` where one says something new."""
        self._addresses = tuple(addresses)
        self._ledger = ledger
        self._on_news = on_news
        self.told: dict[str, Kept] = {}
        """By address: which site it is, and which store it has, as it has said last."""
        self._failed_s: dict[str, float] = {}

    @property
    def are_all_known(self) -> bool:
        """Whether each has said which site it is."""
        return len(self.told) == len(self._addresses)

    async def ask(self, session: aiohttp.ClientSession) -> None:
        """Ask every site which store it has."""
        await asyncio.gather(*(self._ask_one(session, peer) for peer in self._addresses))

    async def _ask_one(self, session: aiohttp.ClientSession, peer: str) -> None:
        try:
            async with session.get(
                f"https://{peer}/store", timeout=aiohttp.ClientTimeout(total=CONNECT_S)
            ) as answer:
                answer.raise_for_status()
                told = msgspec.json.decode(await answer.read(), type=Kept)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError):
            return  # what it has said before is so until it says something else
        if told.is_sound:
            if told != self.told.get(peer):
                self._on_news()
            self.told[peer] = told
            self._ledger.learn(told.site, told.store)

    def in_order(self, first: str) -> list[tuple[str, Kept]]:
        """Return the peers whose store is known: the site `first`, then the others.

        Those that have failed lately come behind.
        """
        now_s = time.monotonic()
        known = [(peer, self.told[peer]) for peer in self._addresses if peer in self.told]
        return sorted(
            known,
            key=lambda each: (
                now_s - self._failed_s.get(each[0], -FORGIVEN_S) < FORGIVEN_S,
                each[1].site != first,
            ),
        )

    def note_failed(self, peer: str) -> None:
        """Let the others come before this one for a while."""
        self._failed_s[peer] = time.monotonic()

    async def has(self, session: aiohttp.ClientSession, peer: str, name: str) -> bool:
        """Tell whether a site has audio of this name, which ends with its hash."""
        async with session.get(f"https://{peer}/objects/{name}") as answer:
            return answer.status == 200 and await answer.text() == name[-64:]  # noqa: PLR2004 - HTTP

    async def put(
        self,
        session: aiohttp.ClientSession,
        peer: str,
        name: str,
        content: bytes,
        here: Kept | None,
    ) -> None:
        """Bring an object, and say where else it is (None: nobody knows).

        Raise `NotYetError`, `NotTakenError` or `NotKeptError`, or what there is to a peer that is
        away.
        """
        headers = {} if here is None else {SITE: here.site, STORE: here.store}
        async with session.put(
            f"https://{peer}/objects/{name}", data=content, headers=headers
        ) as answer:
            said = await answer.text()
            if answer.status == NOT_YET:
                raise NotYetError
            if answer.status in _REFUSALS:
                raise NotTakenError(f"{peer} refuses it: {said[:200]}")
            if answer.status != 200 or said != hashlib.sha256(content).hexdigest():  # noqa: PLR2004 - HTTP
                raise NotKeptError(f"{peer} did not keep it: {answer.status}")


def client(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """Return what speaks to them."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), timeout=timeout)


def client_tls(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """Return what shows our certificate, and checks the other's and its address."""
    tls = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(cert, key)
    return tls
