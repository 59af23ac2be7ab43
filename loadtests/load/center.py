"""The load's own queue, numbers, agents and users, made over the API and taken away again.

Whoever looks at the sites meanwhile sees them beside what was there. Everything that is made is
noted at once, so that it is taken away also when the making itself breaks off.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterable
from typing import Any, Final

import aiohttp

from loadtests.load.plan import Agent, SiteRef

TENANT: Final = "main"
QUEUE, DID = "load", "15550180"
VOLUME_QUEUE, VOLUME_DID = "load-volume", "15550181"
SKILL: Final = "load"
NOBODY: Final = "load-nobody"
MANAGER: Final = "load-manager"
GREETING: Final = "greeting"
WRAP_UP_S, RING_TIMEOUT_S = 1.0, 4.0
_ANSWER_S: Final = 10.0


class CenterError(Exception):
    """The API does not do what the load needs. The text names the request and its answer."""


class Center:
    """What of the center is the load's."""

    def __init__(self, sites: tuple[SiteRef, ...], password: str) -> None:
        """`password` is the first administrator's."""
        self._sites = sites
        self._admin_password = password
        self._token = ""
        self._made: list[str] = []
        """Paths, in the order in which they were made."""
        self._users: list[str] = []
        self.password = secrets.token_urlsafe(18)
        self.agents: tuple[Agent, ...] = ()

    async def make(self, agents: int, run: str) -> None:
        """Make everything. `run` makes logins of this load its own: users are never deleted."""
        async with _client(self._sites) as client:
            await self._sign_in(client)
            for queue, did, skill in (
                (QUEUE, DID, SKILL),
                (VOLUME_QUEUE, VOLUME_DID, NOBODY),
            ):
                body = {
                    "id": queue,
                    "needs": {skill: 1},
                    "greeting": GREETING,
                    "ring_timeout_s": RING_TIMEOUT_S,
                    "wrap_up_s": WRAP_UP_S,
                    "no_answer_pause_s": WRAP_UP_S,
                }
                await self._add(client, "queues", body)
                await self._add(client, "dids", {"id": did, "queue": queue})
            self.agents = tuple(self._agent(number, run) for number in range(agents))
            for agent in self.agents:
                table = {
                    "id": agent.id,
                    "site": agent.site,
                    "skills": {SKILL: 5},
                    "password": agent.password,
                }
                await self._add(client, "agents", table)
                await self._user(client, agent.id, "role:agent", agent.password, agent.id)
            await self._user(client, self.manager(run), "role:manager", self.password, "")

    @staticmethod
    def manager(run: str) -> str:
        """Return the manager's login."""
        return f"{MANAGER}-{run}"

    async def take_away(self) -> tuple[str, ...]:
        """Delete what was made and disable its users; return what could not be."""
        left = []
        async with _client(self._sites) as client:
            try:
                await self._sign_in(client)
            except (CenterError, aiohttp.ClientError, TimeoutError) as error:
                return (f"{len(self._made)} objects and {len(self._users)} users: {error}",)
            for path in reversed(self._made):
                try:
                    await self._delete(client, path)
                except (CenterError, aiohttp.ClientError, TimeoutError) as error:
                    left.append(f"{path}: {error}")
            for user in self._users:
                try:
                    await self._change(client, f"/v1/users/{user}", {"is_active": False})
                except (CenterError, aiohttp.ClientError, TimeoutError) as error:
                    left.append(f"user {user}: {error}")
        self._made.clear()
        self._users.clear()
        return tuple(left)

    def _agent(self, number: int, run: str) -> Agent:
        site = self._sites[number % len(self._sites)].id
        name = f"load-{run}-{number + 1:02d}"
        return Agent(id=name, site=site, password=secrets.token_urlsafe(18))

    async def _sign_in(self, client: aiohttp.ClientSession) -> None:
        said = {"tenant": TENANT, "login": "admin", "password": self._admin_password}
        self._token = ""
        session, _ = await self._ask(client, "POST", "/v1/sessions", said)
        self._token = session["access_token"]

    async def _add(self, client: aiohttp.ClientSession, section: str, body: object) -> None:
        identifier = body["id"]  # type: ignore[index]
        self._made.append(f"/v1/{section}/{identifier}")
        await self._ask(client, "POST", f"/v1/{section}", body)

    async def _user(
        self, client: aiohttp.ClientSession, login: str, role: str, password: str, agent: str
    ) -> None:
        body = {
            "login": login,
            "name": "Load",
            "roles": [role],
            "password": password,
            "agent": agent,
        }
        user, _ = await self._ask(client, "POST", "/v1/users", body)
        self._users.append(user["id"])

    async def _delete(self, client: aiohttp.ClientSession, path: str) -> None:
        _, tag = await self._ask(client, "GET", path)
        await self._ask(client, "DELETE", path, headers={"If-Match": tag})

    async def _change(self, client: aiohttp.ClientSession, path: str, body: object) -> None:
        _, tag = await self._ask(client, "GET", path)
        await self._ask(client, "PATCH", path, body, headers={"If-Match": tag})

    async def _ask(
        self,
        client: aiohttp.ClientSession,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[dict[str, Any], str]:
        """Ask a site that answers; return the answer and its entity tag."""
        sent = dict(headers or {})
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        fault: Exception | None = None
        for site in self._sites:
            try:
                async with client.request(
                    method, f"{site.api}{path}", json=body, headers=sent
                ) as answer:
                    said = await answer.json(content_type=None) or {}
                    if answer.ok:
                        return said, answer.headers.get("ETag", "")
                    raise CenterError(
                        f"{method} {path} at {site.id}: {answer.status}"
                        f" {said.get('error_id', '')} {said.get('details', '')}".strip()
                    )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                fault = error
        raise CenterError(f"no site answers {method} {path} ({type(fault).__name__})")


def _client(sites: Iterable[SiteRef]) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    trusted = ssl.create_default_context()
    for ca in {each.ca for each in sites if each.ca}:
        trusted.load_verify_locations(ca)
    connector = aiohttp.TCPConnector(ssl=trusted)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
