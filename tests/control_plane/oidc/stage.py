"""A provider that runs, and a browser at it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.control_plane.center import Center, Person, Reply
from tests.control_plane.oidc.provider import PASSWORD, REDIRECT

START_S = 60.0


class Provider:
    """django-oauth-toolkit in a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}/o"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("provider.py")), str(self.port),
                 str(folder)],
                stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        """Return when it serves."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            if b"ready" in self.log.read_bytes():
                return
            time.sleep(0.05)
        raise AssertionError(f"the provider did not start: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Provider]:
    """Serve while entered."""
    provider = Provider(folder)
    try:
        provider.wait()
        yield provider
    finally:
        provider.stop()


async def browse(url: str, login: str) -> dict[str, str]:
    """Sign in at the provider; return what it sends the browser back with."""
    back = await sent_back(url, login)
    assert back.startswith(REDIRECT), back
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


async def sent_back(url: str, login: str, password: str = PASSWORD) -> str:
    """Sign in at the provider; return where it sends the browser."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(url) as page:
            text, where = await page.text(), str(page.url)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
        assert token is not None, text
        form = {"csrfmiddlewaretoken": token[1], "username": login, "password": password}
        headers = {"Referer": where}
        async with browser.post(where, data=form, headers=headers, allow_redirects=False) as said:
            location = said.headers["Location"]
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        async with browser.get(origin + location, allow_redirects=False) as said:
            return said.headers["Location"]


def settings_of(provider: Provider, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the body by which a tenant sets it."""
    body = {"issuer": provider.issuer, "client_id": "public", "redirect_uris": [REDIRECT]}
    return body | changes


async def put(admin: Person, body: dict[str, Any], version: int = 0) -> Reply:
    """Set the tenant's provider."""
    return await admin.ask("PUT", "/v1/identity-provider", body, {"If-Match": f'"{version}"'})


async def begin(center: Center, tenant: str = "main", redirect: str = REDIRECT) -> Reply:
    """Begin to sign in."""
    return await center.ask("POST", "/v1/oidc/begin", {"tenant": tenant, "redirect_uri": redirect})


async def complete(center: Center, begun: dict[str, Any], back: dict[str, str]) -> Reply:
    """End it."""
    said = {"state": back["state"], "code": back["code"], "holder": begun["holder"]}
    return await center.ask("POST", "/v1/oidc/complete", said)


async def sign_in(center: Center, login: str) -> Reply:
    """Do all of it."""
    begun = (await begin(center)).json
    return await complete(center, begun, await browse(begun["authorization_url"], login))
