"""Two sites that share a database and a key store, each with a control plane, a store and keys."""

from __future__ import annotations

import base64
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from control_plane.audit.note import public_of
from control_plane.calls.tables import CallRow
from control_plane.permissions import Role
from control_plane.recordings.retention import sweep
from control_plane.recordings.shelf import ARCHIVE, LIBRARY, RECORDING_KEYS
from custody import keyfile
from custody.errors import CustodyError
from custody.keyring import Keyring, RecordingKey
from custody.library import Library
from custody.store import RecordingStore
from state.clock import ManualClock
from state.model import CallId, CallRecord, DidNumber, EdgeId, Outcome, QueueId, SiteId
from tests.control_plane.center import Center, Person, Reply, running, settings
from tests.control_plane.customers.stage import approval, key_settings
from tests.control_plane.live.stage import eventually
from tests.recorder.made import PUBLIC, SECRETS, Archive

NUMBER = "+493098765"
WHY = {"Everline-Purpose": "a request"}
KEEPING = {"a": b"A" * 32, "b": b"B" * 32}
AUDIT = {"a": b"C" * 32, "b": b"D" * 32}
KEEPERS = {
    site: Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    for site, secret in KEEPING.items()
}


@dataclass
class Sites:
    """Both, and what they are made of."""

    home: Path
    archive: Archive
    clock: ManualClock = field(default_factory=ManualClock)
    centers: dict[str, Center] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def folder(self, site: str) -> Path:
        """Return where a site has all that it has."""
        return self.home / site

    def store(self, site: str) -> Path:
        """Return a site's store."""
        return self.folder(site) / "store"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Let both serve while entered."""
        async with AsyncExitStack() as stack:
            for site in "ab":
                made = settings(
                    self.folder(site),
                    f"sqlite:///{self.home / 'everline.db'}",
                    site=site,
                    audit=self._audit(site),
                    recordings=self._recordings(site),
                    **key_settings(self.home),
                )
                center = await stack.enter_async_context(running(made, self.clock))
                # People's names are the database's, which both share over all their lives.
                center.numbers = self._numbers
                self.centers[site] = center
            yield

    def _audit(self, site: str) -> dict[str, Any]:
        """Return what stands in no backup of the site's."""
        publics = tuple(
            public_of(name, Ed25519PrivateKey.from_private_bytes(secret)).text
            for name, secret in AUDIT.items()
        )
        memory = self.home / f"audit-{site}.seen"
        return {"key": self.home / f"audit-{site}.key", "sites": publics, "memory": memory}

    def _recordings(self, site: str) -> dict[str, Any]:
        encoded = {name: base64.b64encode(public).decode() for name, public in KEEPERS.items()}
        return {
            "store": str(self.store(site)),
            "keyring": self.folder(site) / "keyring",
            "provider": site,
            "provider_file": self.folder(site) / "provider.key",
            "recorders": {"a": base64.b64encode(PUBLIC).decode()},
            "signing_key": self.folder(site) / "keeping.key",
            "keepers": encoded,
            "sample_s": 0.05,
        }

    def lose_secret(self, site: str) -> None:
        """Give a site another secret than its keys are wrapped under."""
        keyfile.make(self.folder(site) / "provider.key", b"x" * 32)

    # ---- what there is ---------------------------------------------------------------------------

    async def customer(self) -> tuple[str, RecordingKey]:
        """Let there be a customer, and a key of theirs at both sites."""
        manager = await self.centers["a"].person(Role.MANAGER)
        made = await manager.post("/v1/customers", {"name": "Anna", "numbers": [NUMBER]})
        assert made.status == 201, made.body
        keys = self.centers["a"].app[RECORDING_KEYS]
        customer = str(made.json["id"])
        # Both sites have to have said what to wrap for.
        await eventually(self._have_keys, "both sites have a key of the tenant")
        key = await keys.make("main", self.clock.now().wall_ms, customer=customer)
        await self.until_key(key, is_there=True)
        return customer, key

    async def _have_keys(self) -> bool:
        return all(list(Keyring(self.folder(site) / "keyring").names()) for site in "ab")

    async def until_key(self, key: RecordingKey, *, is_there: bool) -> None:
        """Wait until a key is, or is no longer, in the folders of both sites."""

        async def is_so() -> bool:
            paths = [self.home.glob(f"{site}/keyring/**/{key.id}.json") for site in "ab"]
            return all(bool(list(found)) is is_there for found in paths)

        await eventually(is_so, "the key is as it should be at both sites")

    async def recorded(
        self,
        call: str,
        *,
        caller: str = "",
        key: RecordingKey | None = None,
        outcome: Outcome = Outcome.ANSWERED,
    ) -> None:
        """Let a call have been answered and recorded at a, and be copied to b."""
        self.archive.record(call, 2.5, key=key)
        self.archive.end()
        await self.archive.ship()
        shutil.copytree(self.store("a"), self.store("b"), dirs_exist_ok=True)
        await self.until_key(key or self.archive.ring.newest("main"), is_there=True)
        now_ms = self.clock.now().wall_ms
        record = CallRecord(
            call=CallId(call), did=DidNumber("1"), queue=QueueId("sales"),
            outcome=outcome, cause="caller_hung_up", edge=EdgeId("a1"), site=SiteId("a"),
            via=SiteId("a"), sip_call_id=call, arrived_ms=1_000, queued_ms=1_000,
            connected_ms=2_000, ended_ms=now_ms,
        )  # fmt: skip
        values = {
            "id": call, "tenant": "main", "did": "1", "queue": "sales", "site": "a",
            "agent": "ann", "agent_site": "a", "team": "north", "employer": "", "caller": caller,
            "outcome": outcome.value, "arrived_ms": 1_000, "ended_ms": now_ms, "revision": 1,
            "record": msgspec.json.encode(record).decode(),
        }  # fmt: skip
        async with self.centers["a"].services.database.write() as connection:
            await connection.execute(insert(CallRow).values(**values))

    # ---- what can be asked -----------------------------------------------------------------------

    async def opens(self, site: str, call: str) -> bool:
        """Tell whether a site opens a recording, with all that it has, the API left aside."""
        library = self.centers[site].app[LIBRARY]
        try:
            account = await library.manifest("main", call)
            return len([frame async for frame in library.frames(account)]) > 0
        except (CustodyError, FileNotFoundError):
            return False

    async def swept(self, site: str) -> int:
        """Let a site look once for what is too old; return how many recordings that were."""
        center = self.centers[site]
        archive, library = center.app[ARCHIVE], center.app[LIBRARY]
        now_ms = self.clock.now().wall_ms
        return await sweep(center.services.database, archive, library, now_ms)

    def back_up(self, site: str) -> None:
        """Copy all that a site has, but for its socket."""
        ignored = shutil.ignore_patterns("*.sock")
        shutil.copytree(self.folder(site), self.home / f"backup-{site}", ignore=ignored)

    def restore(self, site: str) -> None:
        """Put the backup in the place of what the site has."""
        shutil.rmtree(self.folder(site))
        shutil.copytree(self.home / f"backup-{site}", self.folder(site))

    async def opens_of_backup(self, site: str, call: str) -> bool:
        """Open a recording of a backup of the store with the site's keys of now.

        Raise `NoKeyError`.
        """
        library = Library(
            RecordingStore.open(str(self.home / f"backup-{site}" / "store")),
            Keyring(self.folder(site) / "keyring"),
            providers={site: self.archive.providers[site]},
            recorders={"a": PUBLIC},
        )
        account = await library.manifest("main", call)
        return len([frame async for frame in library.frames(account)]) > 0

    def objects(self, site: str, call: str) -> list[str]:
        """Return what stands in a site's store of a recording."""
        found = self.store(site).rglob("*")
        return sorted(str(path) for path in found if path.is_file() and call in str(path))

    async def deletions(self, person: Person) -> dict[str, Mapping[str, Any]]:
        """Return what was deleted, by kind and id."""
        reply = await person.get("/v1/recording-deletions")
        assert reply.status == 200, reply.body
        return {f"{each['kind']}:{each['id']}": each for each in reply.json["items"]}

    async def until_stated(self, *subjects: str) -> dict[str, Mapping[str, Any]]:
        """Wait until both sites have stated that these are gone; return all that is stated."""
        auditor = await self.centers["b"].person(Role.AUDITOR)

        async def are() -> dict[str, Mapping[str, Any]]:
            found = await self.deletions(auditor)
            have = [len(found[each]["sites"]) == len("ab") for each in subjects if each in found]
            return found if have == [True] * len(subjects) else {}

        found: dict[str, Mapping[str, Any]] = await eventually(are, f"{subjects} are gone")
        return found

    async def erase(self, customer: str) -> Reply:
        """Have a privacy officer erase a customer, with a second person's yes."""
        officer = await self.centers["a"].person(Role.PRIVACY_OFFICER)
        path = f"/v1/customers/{customer}"
        version = (await officer.get(path, **WHY)).headers["ETag"].strip('"')
        sent = await approval(self.centers["a"], "customer:shred", customer, version)
        return await officer.ask("DELETE", path, headers=sent)


async def make(home: Path) -> Sites:
    """Lay out both sites' folders."""
    archive = Archive(home / "a")
    (home / "b" / "store").mkdir(parents=True)
    for site in "ab":
        keyfile.make(home / site / "provider.key", SECRETS[site])
        keyfile.make(home / site / "keeping.key", KEEPING[site])
        keyfile.make(home / f"audit-{site}.key", AUDIT[site])
    await archive.make_key()
    return Sites(home, archive)
