"""Signing in and out: with a password, or by the tenant's identity provider in a browser.

RFC 8252: the browser comes back to a port of the loopback that is open for this one sign-in. PKCE
and the state are the control plane's; the holder's secret stays in this process.
"""

from __future__ import annotations

import asyncio
import os
import webbrowser
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from drills.cli.errors import CommandError, Exit
from drills.ctl import client, sitting
from drills.ctl.account import Account, Book
from drills.ctl.client import Api
from drills.ctl.line import LineError

URL: Final = "EVERLINE_URL"
PASSWORD: Final = "EVERLINE_PASSWORD"  # noqa: S105 - a variable's name
BACK: Final = "/ctl"
"""Where the browser comes back to; a provider knows it as `http://127.0.0.1/ctl`, of any port."""
WAIT_S: Final = 300.0
_SAID: Final = ("url", "login", "tenant", "password-file", "ca")
_USAGE: Final = (
    "sign-in takes --url URL, --tenant TENANT, --ca FILE, and --oidc"
    " or --login NAME with --password-file FILE"
)


async def sign_in(book: Book, words: Sequence[str]) -> int:
    """Sign in, and keep the tokens. Raise `CommandError`, `LineError` or `ProblemError`."""
    said, is_oidc = _read(words)
    url = client.checked(said["url"] or os.environ.get(URL) or book.read().now)
    ca = said["ca"]
    async with client.session(ca) as http:
        if is_oidc:
            told = await _by_browser(http, url, said["tenant"])
        else:
            password = _password(said["password-file"])
            told = await client.sign_in(http, url, said["tenant"], said["login"], password)
    account = msgspec.structs.replace(told, ca=ca)
    with book.locked():
        book.keep(account)
    print(f"signed in at {url} as {account.user}")  # noqa: T201 - the command's output
    return Exit.OK


def _read(words: Sequence[str]) -> tuple[Mapping[str, str], bool]:
    said = dict.fromkeys(_SAID, "") | {"tenant": "main"}
    is_oidc = False
    rest = iter(words)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if word == "--oidc":
            is_oidc = True
        elif name in said and word.startswith("--"):
            said[name] = value if equals else next(rest, "")
            if not said[name]:  # as of a variable that is empty: what was before is not meant
                raise LineError(f"--{name} needs a value")
        else:
            raise LineError(_USAGE)
    if is_oidc is bool(said["login"]):
        raise LineError(_USAGE)
    if said["ca"]:
        said["ca"] = str(Path(said["ca"]).resolve())
    return said, is_oidc


def _password(file: str) -> str:
    """Return the password: never a word of the command line, which others can see."""
    if not file:
        return os.environ.get(PASSWORD) or sitting.password()
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise LineError(f"--password-file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LineError(f"--password-file {file}: no text") from error


async def sign_out(api: Api, book: Book) -> int:
    """End the session, and forget its tokens."""
    try:
        await api.ask("DELETE", "/v1/sessions/current")
    finally:
        # Whatever the control plane says: the tokens do not stay here.
        book.drop(api.account.url)
    print(f"signed out at {api.account.url}")  # noqa: T201
    return Exit.OK


# ---- in a browser --------------------------------------------------------------------------------


async def _by_browser(http: aiohttp.ClientSession, url: str, tenant: str) -> Account:
    async with _door() as (redirect, back):
        asked = {"tenant": tenant, "redirect_uri": redirect}
        begun = await client.post(http, url, "/v1/oidc/begin", asked)
        where = begun["authorization_url"]
        print(f"Sign in there; if no browser opens, open it yourself:\n  {where}")  # noqa: T201
        await asyncio.to_thread(webbrowser.open, where)
        try:
            async with asyncio.timeout(WAIT_S):
                came = await back
        except TimeoutError as error:
            raise CommandError("nobody came back from the browser: sign in again") from error
    if came.get("state") != begun["state"]:
        raise CommandError("the browser brought the answer of another sign-in: sign in again")
    if "code" not in came:
        raise CommandError(f"the provider refused: {came.get('error', 'it said nothing')}")
    names = [name for name in ("state", "code", "iss") if name in came]
    told = {name: came[name] for name in names} | {"holder": str(begun["holder"])}
    return await client.open_session(http, url, "/v1/oidc/complete", told)


@asynccontextmanager
async def _door() -> AsyncIterator[tuple[str, asyncio.Future[dict[str, str]]]]:
    """Listen on a port of the loopback; give its address, and what the first browser brings."""
    back: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, text = _answer(await reader.readline(), back)
            body = f"<!doctype html><title>Everline</title><p>{text}</p>".encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
                f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except OSError:
            pass  # the browser has gone
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=16_384)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}{BACK}", back


def _answer(line: bytes, back: asyncio.Future[dict[str, str]]) -> tuple[str, str]:
    """Take what a request line brings; return status and text of the page."""
    method, _, rest = line.decode("latin-1").partition(" ")
    parts = urlsplit(rest.partition(" ")[0])
    if method != "GET" or parts.path != BACK:
        return "404 Not Found", "There is nothing here."
    if not back.done():
        found: Mapping[str, list[str]] = parse_qs(parts.query)
        back.set_result({name: values[0] for name, values in found.items()})
    return "200 OK", "You may close this window, and go on in the terminal."
