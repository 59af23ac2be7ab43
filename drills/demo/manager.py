"""A central manager at work during the demo: real requests to the sites' APIs.

The manager signs in at one site, edits a queue at another, and does so again after a site has died,
by the same session. What went wrong is written down, never raised: it breaks a claim.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Collection, Mapping
from typing import Any, Final

import aiohttp
from msgspec.structs import replace

from drills.demo.management import Edit, Managed
from drills.lab.control_plane import api_url
from drills.lab.lab import Lab
from state.model import CallId, EdgeId, QueueId, SiteId

TENANT: Final = "main"
ANSWER_S: Final = 5.0
LOOK_EVERY_S: Final = 0.05
EVERYWHERE_S: Final = 5.0
"""How long an edit is watched on its way to the edges."""
WRAP_UPS_S: Final = (1.25, 1.5)
"""What the queue's wrap-up is made, first and then: near what it was, so that figures compare."""


class Manager:
    """One manager, and the administrator who makes them."""

    def __init__(self, lab: Lab, queue: QueueId) -> None:
        self._lab = lab
        self._queue = queue
        self._password = secrets.token_urlsafe(18)
        self._session: dict[str, Any] = {}
        self.managed = Managed()

    async def before_the_kill(self) -> None:
        """Sign in at the first site, edit at the second."""
        first, second, *_ = self._lab.plan.sites
        await self._carefully(self._begin(first, second), "before the kill")

    async def after_the_kill(self, dead: SiteId) -> None:
        """Go on at every survivor."""
        alive = [site for site in self._lab.plan.sites if site != dead]
        await self._carefully(self._go_on(alive), "after the kill")

    async def listen(self, site: SiteId, call: CallId, due: bytes) -> None:
        """Play a recording at its site; `due` is how its WAV begins."""
        await self._carefully(self._listen(site, call, due), "listening")

    async def _listen(self, site: SiteId, call: CallId, due: bytes) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + EVERYWHERE_S
        path = f"/v1/recordings/{call}"
        async with _client(self._lab) as client:
            # A call comes to the API some moments after its end.
            while True:
                try:
                    await self._ask(client, site, "GET", path)
                    break
                except _RefusedError:
                    if loop.time() > ends_s:
                        raise
                    await asyncio.sleep(LOOK_EVERY_S)
            url = f"{api_url(self._lab.plan, site)}{path}/audio"
            sent = {
                "Authorization": f"Bearer {self._session['access_token']}",
                "Everline-Purpose": "the demo listens",
                "Range": f"bytes=0-{len(due) - 1}",
            }
            began_s = loop.time()
            async with client.get(url, headers=sent) as answer:
                first = await answer.content.readany()
                took_s = loop.time() - began_s
                heard = first + await answer.content.read()
                self.managed = replace(
                    self.managed,
                    heard_at=site,
                    is_heard_right=answer.status == 206 and heard == due,  # noqa: PLR2004 - a part
                    first_sound_ms=round(took_s * 1000, 1),
                )

    async def _carefully(self, work: Any, when: str) -> None:  # noqa: ANN401 - a coroutine
        try:
            await work
        except (aiohttp.ClientError, TimeoutError, OSError, _RefusedError, KeyError) as error:
            fault = f"{when}: {type(error).__name__}: {error}"
            self.managed = replace(self.managed, faults=(*self.managed.faults, fault))

    async def _begin(self, first: SiteId, second: SiteId) -> None:
        async with _client(self._lab) as client:
            await self._make_manager(client, second)
            said = {"tenant": TENANT, "login": "manager", "password": self._password}
            self._session = await self._ask(client, first, "POST", "/v1/sessions", said)
            self.managed = replace(self.managed, signed_in_at=first)
            edit = await self._edit(client, second, WRAP_UPS_S[0], [*self._lab.plan.sites])
            self.managed = replace(self.managed, edit=edit)

    async def _make_manager(self, client: aiohttp.ClientSession, site: SiteId) -> None:
        first = self._lab.paths.secrets.first_password.read_text().strip()
        said = {"tenant": TENANT, "login": "admin", "password": first}
        self._session = await self._ask(client, site, "POST", "/v1/sessions", said)
        person = {
            "login": "manager",
            "name": "Central manager",
            "roles": ["role:manager"],
            "password": self._password,
        }
        await self._ask(client, site, "POST", "/v1/users", person)

    async def _go_on(self, alive: list[SiteId]) -> None:
        async with _client(self._lab) as client:
            for site in alive:
                await self._ask(client, site, "GET", "/v1/me")
                self.managed = replace(self.managed, went_on_at=(*self.managed.went_on_at, site))
            renew = {"refresh_token": self._session["refresh_token"]}
            path = "/v1/sessions/refresh"
            self._session = await self._ask(client, alive[0], "POST", path, renew)
            self.managed = replace(self.managed, renewed_at=alive[0])
            edit = await self._edit(client, alive[-1], WRAP_UPS_S[1], alive)
            self.managed = replace(self.managed, later_edit=edit)

    async def _edit(
        self, client: aiohttp.ClientSession, site: SiteId, wrap_up_s: float, among: list[SiteId]
    ) -> Edit:
        """Change the queue at one site, and watch from there until the edges `among` go by it."""
        edges = [edge for each in among for edge in self._lab.plan.edges(each)]
        loop, path = asyncio.get_running_loop(), f"/v1/queues/{self._queue}"
        held = await self._ask(client, site, "GET", path)
        unsent = {"id", "tenant", "version"}
        body = {name: value for name, value in held.items() if name not in unsent}
        body["wrap_up_s"] = wrap_up_s
        began_s = loop.time()
        match = {"If-Match": f'"{held["version"]}"'}
        made = await self._ask(client, site, "PUT", path, body, match)
        told = await self._publication(client, site, int(made["version"]), edges)
        missing = tuple(EdgeId(each) for each in told["missing"])
        known = tuple(EdgeId(each["edge"]) for each in told["edges"])
        return Edit(
            site=site,
            version=int(made["version"]) if made["is_written"] else 0,
            edges=tuple(each for each in known if each not in missing),
            missing=missing,
            took_s=loop.time() - began_s,
        )

    async def _publication(
        self, client: aiohttp.ClientSession, site: SiteId, version: int, edges: Collection[EdgeId]
    ) -> dict[str, Any]:
        """Ask how far a version has come until these edges go by it, or it takes too long.

        The API itself would wait for the edges of a dead site until their leases have run out.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + EVERYWHERE_S
        while True:
            ask = f"/v1/configuration/publication?version={version}"
            told = await self._ask(client, site, "GET", ask)
            there = {each["edge"] for each in told["edges"]} - set(told["missing"])
            if there >= set(edges) or loop.time() > until_s:
                return told
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(  # noqa: PLR0913, PLR0917 - a request has these parts
        self,
        client: aiohttp.ClientSession,
        site: SiteId,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        sent = dict(headers or {})
        if token := self._session.get("access_token"):
            sent["Authorization"] = f"Bearer {token}"
        url = f"{api_url(self._lab.plan, site)}{path}"
        async with client.request(method, url, json=body, headers=sent) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
            if not answer.ok:
                raise _RefusedError(
                    f"{method} {path.partition('?')[0]} at {site}: {answer.status}"
                    f" {said.get('error_id', '')}"
                )
            return said


class _RefusedError(Exception):
    """The API says no."""


def _client(lab: Lab) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=ANSWER_S + EVERYWHERE_S)
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=lab.ca))
    return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
