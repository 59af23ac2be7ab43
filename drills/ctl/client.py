"""Requests to a control plane, with a token that is kept fresh."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from drills.cli.errors import CommandError, Exit
from drills.ctl.account import Account, Book
from drills.ctl.problems import Problem, read
from state.clock import SystemClock

SPARE_S: Final = 20.0
"""A token that ends within so long is refreshed before it is used."""
CONNECT_S: Final = 10.0
SILENT_S: Final = 120.0
AGAIN_S: Final = 1.0
RENEWAL_S: Final = 6.0
"""For new tokens, twice: the control plane gives the same ones again for 15 s."""
_HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})
UNAUTHORIZED: Final = 401


class ProblemError(Exception):
    """The control plane said no."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.error_id)
        self.problem = problem


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is well, whole."""

    status: int
    body: bytes
    etag: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it says
        """Return what it says; None: nothing."""
        return msgspec.json.decode(self.body) if self.body else None


def key(given: str | None) -> str:
    """Return the key under which something is done once: the one of before, or a fresh one."""
    return given or secrets.token_hex(8)


def checked(url: str) -> str:
    """Return an address in the form in which it is kept. Raise `CommandError`."""
    none = CommandError(f"{url} is no address of a control plane: https://HOST", Exit.USAGE)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # brackets that do not close, a port beyond all ports
        raise none from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise none
    if parts.scheme == "http" and parts.hostname not in _HERE:
        raise CommandError(f"{url}: a password goes by https only, but on this machine itself")
    return url.rstrip("/")


@asynccontextmanager
async def session(ca: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    """Give the connections. `ca`: a file with an authority that is believed, too.

    Raise `CommandError` if that file is none.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
    trusted = ssl.create_default_context()
    if ca:
        try:
            trusted.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise CommandError(f"{ca} is no certificate: sign in again with --ca FILE") from error
    connector = aiohttp.TCPConnector(ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as made:
        yield made


async def sign_in(
    http: aiohttp.ClientSession, url: str, tenant: str, login: str, password: str
) -> Account:
    """Return the account. Raise `ProblemError`."""
    said = {"tenant": tenant, "login": login, "password": password}
    return await open_session(http, url, "/v1/sessions", said)


class Api:
    """A control plane, for whoever is signed in."""

    def __init__(self, http: aiohttp.ClientSession, book: Book, account: Account) -> None:
        self._http = http
        self._book = book
        self._account = account
        self._clock = SystemClock()

    @property
    def account(self) -> Account:
        """Return who is signed in."""
        return self._account

    async def document(self) -> Mapping[str, Any]:
        """Return the OpenAPI document."""
        reply = await self.ask("GET", "/openapi.json")
        found: Mapping[str, Any] = reply.json
        return found

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        again: bool = False,
    ) -> Reply:
        """Return the answer. Raise `ProblemError`. `again`: it may be sent twice, if need be."""
        data = None if body is None else msgspec.json.encode(body)
        sent = dict(headers or {})
        if data is not None:
            sent["Content-Type"] = "application/json"
        try:
            return await self._ask(method, path, sent, data)
        except (aiohttp.ClientConnectionError, TimeoutError):
            if not (again or method == "GET"):
                raise
            await asyncio.sleep(AGAIN_S)
            return await self._ask(method, path, sent, data)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None
    ) -> Reply:
        async with self.stream(method, path, headers=headers, data=data) as reply:
            body = await reply.read()
            return Reply(status=reply.status, body=body, etag=reply.headers.get("ETag", ""))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        data: Any = None,  # noqa: ANN401 - bytes, or a file
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give an answer that is read as it comes. Raise `ProblemError`."""
        await self.refresh(if_before_s=self._clock.now().wall_ms / 1000 + SPARE_S)
        for attempt in range(2):
            sent = {**headers, "Authorization": f"Bearer {self._account.access_token}"}
            url = self._account.url + path
            async with self._http.request(method, url, headers=sent, data=data) as reply:
                is_over = reply.status == UNAUTHORIZED and attempt == 0
                if is_over and (data is None or isinstance(data, bytes)):
                    await self.refresh(if_before_s=float("inf"))
                    continue
                if not reply.ok:
                    raise ProblemError(read(reply.status, await reply.read()))
                yield reply
                return

    @asynccontextmanager
    async def socket(
        self, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Give a WebSocket. Raise `ProblemError`."""
        await self.refresh(if_before_s=self._clock.now().wall_ms / 1000 + SPARE_S)
        sent = {**headers, "Authorization": f"Bearer {self._account.access_token}"}
        try:
            async with self._http.ws_connect(self._account.url + path, headers=sent) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            # The handshake's answer has no body here: the same asked plainly says why.
            await self.ask("GET", path, headers=headers)
            raise CommandError(f"{path} answered {error.status}") from error

    async def refresh(self, *, if_before_s: float) -> None:
        """Get new tokens, if these end before then; who else refreshes meanwhile is waited for."""
        if self._account.until_s > if_before_s:
            return
        old = self._account
        with self._book.locked():
            now = self._book.find(old.url)
            if now.access_token == old.access_token:
                now = msgspec.structs.replace(await self._renewed(old), ca=old.ca)
                self._book.keep(now)
            self._account = now

    async def _renewed(self, old: Account) -> Account:
        """Return new tokens; if the answer is lost on the way, the same ones at the second try."""
        try:
            return await self._renew(old)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
            await asyncio.sleep(AGAIN_S)
            return await self._renew(old)

    async def _renew(self, old: Account) -> Account:
        said = {"refresh_token": old.refresh_token}
        async with asyncio.timeout(RENEWAL_S):
            return await open_session(self._http, old.url, "/v1/sessions/refresh", said)


async def post(
    http: aiohttp.ClientSession, url: str, path: str, said: Mapping[str, str]
) -> dict[str, Any]:
    """Return what an endpoint says that takes no token. Raise `ProblemError`."""
    async with http.post(url + path, json=said) as reply:
        body = await reply.read()
        if not reply.ok:
            raise ProblemError(read(reply.status, body))
    return msgspec.json.decode(body, type=dict[str, Any])


async def open_session(
    http: aiohttp.ClientSession, url: str, path: str, said: Mapping[str, str]
) -> Account:
    """Return the account that an endpoint gives tokens for. Raise `ProblemError`."""
    told = await post(http, url, path, said)
    return Account(
        url=url,
        tenant=told["tenant"],
        user=told["user"],
        access_token=told["access_token"],
        refresh_token=told["refresh_token"],
        until_s=datetime.fromisoformat(told["expires"]).timestamp(),
    )
