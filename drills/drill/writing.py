"""Writes through the control planes' API all the time, and keeps which were acknowledged.

What was acknowledged has to be there at the end, whatever became of the database's primary. Beside
the writes it asks how the database's members stand: who takes writes, where each is in the log of
what was written (its LSN), how far replicas are behind.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from drills.demo.run import Stage
from drills.lab.control_plane import api_url
from drills.lab.database import Cluster, LabDatabase
from drills.lab.errors import LabError
from drills.seen import Note, Written
from state.model import SiteId

TENANT: Final = "main"
EVERY_S: Final = 0.3
"""Between two writes at one site."""
ANSWER_S: Final = 8.0
LOOK_EVERY_S: Final = 0.5
WHOLE_WITHIN_S: Final = 60.0
GONE: Final = 404


class Writer:
    """One manager who writes articles at all sites at once."""

    def __init__(self, stage: Stage, database: LabDatabase) -> None:
        self._stage = stage
        self._database = database
        self._token = ""
        self._acknowledged: list[tuple[int, str]] = []
        self._unanswered = 0
        self._notes: list[Note] = []
        self._standing = ""
        self._most_lag = 0
        self._whole_ms: int | None = None
        self._until_ms: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._client: aiohttp.ClientSession | None = None

    async def begin(self) -> None:
        """Sign in, and write from now on. LabError when there is no way in."""
        connector = aiohttp.TCPConnector(
            ssl=ssl.create_default_context(cafile=self._stage.lab.ca), force_close=True
        )
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        self._client = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        try:
            await self._sign_in(self._stage.lab.plan.sites[0])
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LabError(f"nobody can sign in to write: {error}") from error
        self._tasks = [
            asyncio.create_task(self._write(site)) for site in self._stage.lab.plan.sites
        ]
        self._tasks.append(asyncio.create_task(self._watch()))

    async def stop(self) -> None:
        """Write no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def close(self) -> None:
        """Let go of the connections."""
        await self.stop()
        if self._client is not None:
            await self._client.close()

    async def written(self) -> Written:
        """Wait until the members are one again, then look for every acknowledged write."""
        await self.stop()
        self._until_ms = self._now_ms()
        try:
            cluster = await self._database.until_whole(WHOLE_WITHIN_S)
            if self._whole_ms is None:
                self._whole_ms = self._now_ms()
            await self._tell(cluster)
        except LabError as error:
            self._note(str(error))
        missing = [each for _, each in self._acknowledged if not await self._is_there(each)]
        return Written(
            acknowledged_ms=tuple(at_ms for at_ms, _ in self._acknowledged),
            unanswered=self._unanswered,
            missing=tuple(missing),
            whole_ms=self._whole_ms,
            most_lag_bytes=self._most_lag,
            until_ms=self._until_ms,
            notes=tuple(self._notes),
        )

    # -- writing

    async def _sign_in(self, site: SiteId) -> None:
        first = self._stage.lab.paths.secrets.first_password.read_text().strip()
        admin = {"tenant": TENANT, "login": "admin", "password": first}
        self._token = (await self._ask(site, "POST", "/v1/sessions", admin))["access_token"]
        name, password = f"writer-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
        person = {"login": name, "name": "Writer", "roles": ["role:manager"], "password": password}
        await self._ask(site, "POST", "/v1/users", person)
        said = {"tenant": TENANT, "login": name, "password": password}
        self._token = (await self._ask(site, "POST", "/v1/sessions", said))["access_token"]

    async def _write(self, site: SiteId) -> None:
        number = 0
        while True:
            number += 1
            body = {"language": "en", "title": f"{site} {number}", "body": "Written by a drill."}
            try:
                made = await self._ask(site, "POST", "/v1/articles", body)
                self._acknowledged.append((self._now_ms(), str(made["id"])))
            except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
                self._unanswered += 1
            await asyncio.sleep(EVERY_S)

    async def _is_there(self, article: str) -> bool:
        for site in self._stage.lab.plan.sites:
            try:
                await self._ask(site, "GET", f"/v1/articles/{article}")
            except aiohttp.ClientResponseError as error:
                if error.status == GONE:
                    return False
            except (aiohttp.ClientError, TimeoutError):
                continue
            else:
                return True
        return False

    async def _ask(
        self, site: SiteId, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        if self._client is None:
            raise LabError("nobody has begun to write")
        sent = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if method == "POST":
            sent["Idempotency-Key"] = secrets.token_hex(8)
        url = f"{api_url(self._stage.lab.plan, site)}{path}"
        async with self._client.request(
            method, url, json=body, headers=sent, raise_for_status=True
        ) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
            return said

    # -- watching

    async def _watch(self) -> None:
        while True:
            cluster = await self._database.cluster()
            if cluster is not None:
                await self._take(cluster)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _take(self, cluster: Cluster) -> None:
        lags = [each.lag_bytes or 0 for each in cluster.members if each.role != "leader"]
        self._most_lag = max(self._most_lag, *lags, 0)
        standing = cluster.told()
        if standing == self._standing:
            return
        self._standing = standing
        is_whole = cluster.is_whole and len(cluster.members) == len(self._stage.lab.plan.sites)
        self._whole_ms = self._now_ms() if is_whole else None
        await self._tell(cluster)

    async def _tell(self, cluster: Cluster) -> None:
        where = await self._database.positions()
        at = ", ".join(f"{site} at {lsn}" for site, lsn in where.items())
        self._note(f"{cluster.told()}; {at or 'nobody says where'}")

    def _note(self, what: str) -> None:
        self._notes.append(Note(at_ms=self._now_ms(), what=what))

    def _now_ms(self) -> int:
        return self._stage.clock.now().wall_ms
