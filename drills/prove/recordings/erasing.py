"""Erases some of the callers through the API, and looks for what of their recordings still opens.

Before the first call they become customers, so that what they say is sealed to keys of their own.
At the end every site's store is backed up, two people erase them, and their recordings are tried at
every site: as the site has them now, and as the backup of its store has them.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
from msgspec import Struct

from custody.errors import CustodyError
from custody.keyring import Keyring
from custody.library import Library
from custody.providers import LocalFile
from custody.store import RecordingStore
from drills.lab import recorders
from drills.lab.control_plane import api_url
from drills.lab.lab import Lab
from state.model import MAIN, SiteId

ANSWER_S: Final = 10.0
WITHIN_S: Final = 60.0
LOOK_S: Final = 0.5
ETAG: Final = "ETag"
"""Under this name an answer holds its header, too: the version that an approval is bound to."""
WHY: Final = {"Everline-Purpose": "the proof: they want to be erased"}


class ErasingError(Exception):
    """The API did not do what was asked; the text says what it was."""


class Erased(Struct, frozen=True, kw_only=True):
    """What came of it."""

    customers: int = 0
    recordings: int = 0
    """Theirs, that opened before."""
    sealed_to_tenant: int = 0
    """Of these, such as have a segment that was sealed before anybody had told who calls."""
    readable_after: int = 0
    """That opened at any site afterwards."""
    readable_in_backup: int = 0
    """Sealed to their own keys alone, and opened from a backup with a site's keys of now."""
    stated: int = 0
    """Recordings that all sites have signed to have deleted."""

    @property
    def sealed_to_own_keys(self) -> int:
        """How many could be tried in a backup."""
        return self.recordings - self.sealed_to_tenant

    @property
    def held(self) -> bool:
        """Whether nothing of them can be heard any more."""
        return (
            self.sealed_to_own_keys > 0
            and self.readable_after == 0
            and self.readable_in_backup == 0
            and self.stated == self.recordings
        )


class Erasing:
    """The people who do it, and the customers."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._tokens: dict[str, str] = {}
        self._passwords = secrets.token_urlsafe(18)
        self.gone: tuple[str, ...] = ()
        """Recordings that were erased."""
        self._customers: dict[str, str] = {}
        """By calling number: the customer's id."""

    async def prepare(self, numbers: Sequence[str]) -> None:
        """Let these callers be customers. Raise `ErasingError`."""
        first = self._lab.paths.secrets.first_password.read_text().strip()
        async with _client(self._lab) as client:
            await self._sign_in(client, "admin", first)
            for login, role in (("officer", "privacy_officer"), ("second", "manager")):
                person = {"login": login, "name": login, "roles": [f"role:{role}"]}
                await self._ask(
                    client, "admin", "POST", "/v1/users", person | {"password": self._passwords}
                )
            await self._sign_in(client, "second", self._passwords)
            for number in numbers:
                draft = {"name": f"Caller {number[-4:]}", "numbers": [f"+{number}"]}
                made = await self._ask(client, "second", "POST", "/v1/customers", draft)
                self._customers[number] = made["id"]

    async def erase(self, calls: Mapping[str, Sequence[str]]) -> Erased:
        """Erase them, and try what was recorded (calls by number). Raise `ErasingError`."""
        mine = [call for number in self._customers for call in calls.get(number, ())]
        theirs = [call for call in mine if await self._opens_anywhere(call)]
        own_keys = frozenset(self._own_keys())
        mixed = [call for call in theirs if not await self._is_sealed_to(call, own_keys)]
        backups = {site: self._back_up(site) for site in self._lab.plan.sites}
        async with _client(self._lab) as client:
            await self._sign_in(client, "officer", self._passwords)
            await self._sign_in(client, "second", self._passwords)
            for customer in self._customers.values():
                await self._erase(client, customer)
            stated = await self._until_stated(client, theirs)
        self.gone = tuple(theirs)
        after = [call for call in theirs if await self._opens_anywhere(call)]
        restored = [
            call
            for call in theirs
            if call not in mixed
            and any([await _opens(self._of_backup(site, at), call) for site, at in backups.items()])
        ]
        for backup in backups.values():
            shutil.rmtree(backup, ignore_errors=True)
        return Erased(
            customers=len(self._customers),
            recordings=len(theirs),
            sealed_to_tenant=len(mixed),
            readable_after=len(after),
            readable_in_backup=len(restored),
            stated=stated,
        )

    # ---- keys and stores -------------------------------------------------------------------------

    def _own_keys(self) -> list[str]:
        ring = Keyring(recorders.keyring_of(self._lab.paths.of(self._lab.plan.sites[0])))
        everybody = set(self._customers.values())
        return [key for tenant, key in ring.names() if ring.get(tenant, key).customer in everybody]

    async def _is_sealed_to(self, call: str, keys: frozenset[str]) -> bool:
        for site in self._lab.plan.sites:
            try:
                account = await self._lab.library(site, keys_of=site).manifest(MAIN, call)
            except (FileNotFoundError, CustodyError):
                continue
            return all(segment.key_id in keys for segment in account.segments)
        return False

    async def _opens_anywhere(self, call: str) -> bool:
        sites = self._lab.plan.sites
        return any([await _opens(self._lab.library(s, keys_of=s), call) for s in sites])

    def _back_up(self, site: SiteId) -> Path:
        backup = self._lab.paths.run / "backup" / site
        shutil.copytree(recorders.store_of(self._lab.paths.of(site)), backup)
        return backup

    def _of_backup(self, site: SiteId, backup: Path) -> Library:
        run = self._lab.paths.of(site)
        return Library(
            RecordingStore.open(str(backup)),
            Keyring(recorders.keyring_of(run)),
            providers={site: LocalFile.load(run / recorders.PROVIDER)},
            recorders=self._lab.trusted.recorders,
        )

    # ---- the API ---------------------------------------------------------------------------------

    async def _erase(self, client: aiohttp.ClientSession, customer: str) -> None:
        path = f"/v1/customers/{customer}"
        shown = await self._ask(client, "officer", "GET", path, headers=WHY)
        approval = {"act": "customer:shred", "thing": customer, "digest": shown[ETAG]}
        given = await self._ask(client, "second", "POST", "/v1/approvals", approval)
        sent = WHY | {"Everline-Approval": given["id"]}
        await self._ask(client, "officer", "DELETE", path, headers=sent)

    async def _until_stated(self, client: aiohttp.ClientSession, calls: Sequence[str]) -> int:
        """Wait until all sites have signed that these are deleted; return of how many they have."""
        loop, count = asyncio.get_running_loop(), 0
        ends_s = loop.time() + WITHIN_S
        while count < len(calls) and loop.time() < ends_s:
            await asyncio.sleep(LOOK_S)
            told = await self._ask(client, "officer", "GET", "/v1/recording-deletions?limit=200")
            done = {
                each["id"]
                for each in told["items"]
                if sum(site["is_signed"] for site in each["sites"]) == len(self._lab.plan.sites)
            }
            count = len(done & set(calls))
        return count

    async def _sign_in(self, client: aiohttp.ClientSession, login: str, password: str) -> None:
        said = {"tenant": MAIN, "login": login, "password": password}
        answer = await self._ask(client, "", "POST", "/v1/sessions", said)
        self._tokens[login] = answer["access_token"]

    async def _ask(  # noqa: PLR0913, PLR0917 - a request has these parts
        self,
        client: aiohttp.ClientSession,
        who: str,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        sent = dict(headers or {})
        if who:
            sent["Authorization"] = f"Bearer {self._tokens[who]}"
        url = f"{api_url(self._lab.plan, self._lab.plan.sites[0])}{path}"
        ends_s = asyncio.get_running_loop().time() + WITHIN_S
        while True:
            try:
                return await _answer(client, method, url, body, sent)
            except (aiohttp.ClientConnectionError, OSError) as error:
                # It was killed a moment ago, and is being started anew.
                if asyncio.get_running_loop().time() > ends_s:
                    raise ErasingError(f"{method} {path}: {type(error).__name__}") from error
                await asyncio.sleep(LOOK_S)


async def _answer(
    client: aiohttp.ClientSession,
    method: str,
    url: str,
    body: Mapping[str, object] | None,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    async with client.request(method, url, json=body, headers=headers) as answer:
        said: dict[str, Any] = await answer.json(content_type=None) or {}
        if not answer.ok:
            what = f"{method} {answer.url.path}: {answer.status} {said.get('error_id', '')}"
            raise ErasingError(what)
        return said | {ETAG: answer.headers.get("ETag", "").strip('"')}


async def _opens(library: Library, call: str) -> bool:
    try:
        account = await library.manifest(MAIN, call)
        return len([frame async for frame in library.frames(account)]) > 0
    except (FileNotFoundError, CustodyError):
        return False


def _client(lab: Lab) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=lab.ca))
    return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
