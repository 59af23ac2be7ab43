"""Copies of recordings at another site: sent by this one, taken in there, counted when checked.

A recorder takes objects in over HTTP on mTLS from whoever is of our trust domain. It takes nothing
that no recorder would send, keeps it in its own store, reads it back, and says what it has. Only if
that is what was sent, and the manifest has arrived last, does the sender count the recording as
replicated. A recording that it has no keys of it does not take yet. Both may die at any point:
everything is made once under its name, and sent again for nothing.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import structlog
from aiohttp import web
from obstore.exceptions import BaseError

from custody import manifest
from custody.errors import ConflictError, CustodyError
from custody.keyring import Keyring
from custody.manifest import Manifest
from custody.store import RecordingStore, audio_name, key_name, manifest_name
from state.discreet import fault
from state.wake import Wake

PERIOD_S: Final = 5.0
RETRY_S: Final = 3.0
ANSWER_S: Final = 30.0
CONNECT_S: Final = 2.0
FORGIVEN_S: Final = 30.0
"""So long a peer that has failed comes after the others."""
MOST_IN_A_ROW: Final = 3
"""So many recordings that the store does not give, and it is the store that is away."""
MOST_BYTES: Final = 64 * 1024 * 1024
_ID: Final = r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}"
_AUDIO: Final = re.compile(rf"{_ID}/audio/{_ID}/[0-9]{{4}}-([0-9a-f]{{64}})")
_KEY: Final = re.compile(rf"{_ID}/keys/{_ID}/[0-9]{{4}}")
_MANIFEST: Final = re.compile(rf"({_ID})/manifests/({_ID})\.json")
_SEALED_KEY_BYTES: Final = 200
NOT_YET: Final = 425
"""HTTP's Too Early (RFC 8470 §5.2): the same will be taken once the keys are there."""
_REFUSALS: Final = frozenset({409, 413, 422})
"""Of what nobody mends by sending it again."""

log = structlog.get_logger()


# ---- taking in -----------------------------------------------------------------------------------


class Receiver:
    """Takes objects in from other sites' recorders."""

    def __init__(
        self, store: RecordingStore, recorders: Mapping[str, bytes], ring: Keyring
    ) -> None:
        """Take in what `recorders` have signed and `ring` has the keys of."""
        self._store = store
        self._recorders = recorders
        self._ring = ring
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Listen; `tls` lets in who bears a certificate of ours. Return the port."""
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_put("/objects/{name:.+}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        name, content = request.match_info["name"], await request.read()
        if (because := self._wrong(name, content)) is not None:
            log.warning("replica_refused", because=because)
            return web.Response(status=422, text=because)
        if _MANIFEST.fullmatch(name) is not None and (key := self._missing(content)) is not None:
            # A copy that nobody here can open is none; the site's keys come by another way.
            return web.Response(status=NOT_YET, text=f"key {key} is not here yet")
        try:
            await self._store.put(name, content)
            if _MANIFEST.fullmatch(name) is not None:
                await self._store.settle()  # it comes last: now all of the recording is on the disk
            # What counts is what the store gives back, not what it has been given.
            kept = await self._store.get(name)
        except ConflictError:
            return web.Response(status=409, text="another object of that name is here")
        except (OSError, BaseError) as error:
            log.warning("replica_not_kept", **fault(error))
            return web.Response(status=503, text="the store did not take it")
        return web.Response(text=hashlib.sha256(kept).hexdigest())

    def _missing(self, signed: bytes) -> str | None:
        """Return a key to which the recording is sealed and which is not here; None: all are."""
        account = manifest.read(signed, self._recorders)
        for key_id in {segment.key_id for segment in account.segments}:
            try:
                self._ring.get(account.tenant, key_id)
            except CustodyError:
                return key_id
        return None

    def _wrong(self, name: str, content: bytes) -> str | None:
        """Return why this is nothing that a recorder would send; None: it may be."""
        if (audio := _AUDIO.fullmatch(name)) is not None:
            is_it = hashlib.sha256(content).hexdigest() == audio[1]
            return None if is_it else "not the audio that its name says"
        if _KEY.fullmatch(name) is not None:
            return None if len(content) <= _SEALED_KEY_BYTES else "no sealed key is so long"
        if (found := _MANIFEST.fullmatch(name)) is not None:
            try:
                account = manifest.read(content, self._recorders)
            except CustodyError as error:
                return str(error)
            is_it = (account.tenant, account.recording) == found.groups()
            return None if is_it else "the manifest of another recording"
        return "no name of ours"


# ---- sending -------------------------------------------------------------------------------------


class _NotTakenError(Exception):
    """The other site is well, and does not take this recording: not yet, or not as it is."""


class Replicator:
    """Sends each recording of this site to the first of `peers` that takes it."""

    def __init__(  # noqa: PLR0913 - two ends, and how they know each other
        self,
        *,
        store: RecordingStore,
        recorder: str,
        recorders: Mapping[str, bytes],
        peers: Sequence[str],
        tls: ssl.SSLContext,
        counted: Path,
    ) -> None:
        """Note in the file `counted` what has been counted as replicated."""
        self._store = store
        self._recorder = recorder
        self._recorders = recorders
        self._peers = tuple(peers)
        self._tls = tls
        self._path = counted
        self._counted = set(_lines(counted))
        self._passed_over: set[str] = set()
        """What the store has and this recorder does not send: others' copies, and what it cannot
        read."""
        self._due: dict[tuple[str, str], int] = {}
        """Tenant and recording of what the store has and nobody else yet: how long, in samples."""
        self._stuck: dict[str, str] = {}
        """Why a recording has not been copied although a site is there, as it was said last."""
        self._not_given: set[tuple[str, str]] = set()
        """Tenant and recording of what the store has, and did not give when it was last asked."""
        self._failed_s: dict[str, float] = {}
        self._wake = Wake()
        self.is_failing = False

    @property
    def count(self) -> int:
        """How many of this recorder's recordings another site has."""
        return len(self._counted)

    @property
    def uncounted(self) -> Mapping[str, int]:
        """The recordings that the store has and no other site: for how many samples."""
        return {recording: samples for (_, recording), samples in self._due.items()}

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        connector = aiohttp.TCPConnector(ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                pause_s = PERIOD_S
                try:
                    await self._send_new(session)
                    self.is_failing = False
                except (OSError, BaseError, aiohttp.ClientError, TimeoutError) as error:
                    if not self.is_failing:
                        log.warning("not_replicated", **fault(error))
                    self.is_failing, pause_s = True, RETRY_S
                await self._wake.wait(pause_s)

    async def _send_new(self, session: aiohttp.ClientSession) -> None:
        # All that is due is known before the first is sent, which may be the one that nobody takes.
        self._due = await self._look()
        due = {recording for _, recording in self._due}
        self._stuck = {each: told for each, told in self._stuck.items() if each in due}
        failed: BaseError | None = None
        in_a_row = 0
        # What was not given the last time comes behind all others: it may never be.
        for tenant, recording in sorted(self._due, key=self._not_given.__contains__):
            try:
                await self._send(session, tenant, recording)
            except BaseError as error:
                self._not_given.add((tenant, recording))
                failed, in_a_row = error, in_a_row + 1
                if in_a_row == MOST_IN_A_ROW:
                    break
            else:
                self._not_given.discard((tenant, recording))
                in_a_row = 0
        self._not_given &= self._due.keys()
        if failed is not None:
            raise failed

    async def _look(self) -> dict[tuple[str, str], int]:
        """Return what the store has and has not been counted; what is gone from it is not due."""
        due: dict[tuple[str, str], int] = {}
        in_a_row = 0
        for tenant in await self._store.tenants():
            async for recording in self._store.manifests(tenant):
                name, each = f"{tenant}/{recording}", (tenant, recording)
                if name in self._counted or name in self._passed_over:
                    continue
                if each in self._due:
                    due[each] = self._due[each]
                elif in_a_row < MOST_IN_A_ROW:  # else the store is away
                    try:
                        await self._take_up(due, tenant, recording)
                        in_a_row = 0
                    except BaseError:
                        # Nobody knows how long it is, or whose: it is to be sent, behind others.
                        due[each] = 0
                        self._not_given.add(each)
                        in_a_row += 1
        return due

    async def _take_up(self, due: dict[tuple[str, str], int], tenant: str, recording: str) -> None:
        """Note a recording that is new here, if it is this recorder's to send."""
        try:
            account = await self._account(tenant, recording)
        except FileNotFoundError:
            return  # it was deleted at this moment
        if account is None:
            self._passed_over.add(f"{tenant}/{recording}")
        else:
            due[tenant, recording] = account.samples

    async def _account(self, tenant: str, recording: str) -> Manifest | None:
        """Return the account of a recording that is this recorder's to send."""
        signed = await self._store.get(manifest_name(tenant, recording))
        try:
            account = manifest.read(signed, self._recorders)
        except CustodyError as error:
            log.error("manifest_not_sent", call=recording, because=str(error))  # noqa: TRY400 - one line
            return None
        return account if account.recorder == self._recorder else None

    async def _send(self, session: aiohttp.ClientSession, tenant: str, recording: str) -> None:
        account = await self._account(tenant, recording)
        if account is None:
            self._passed_over.add(f"{tenant}/{recording}")
            self._due.pop((tenant, recording), None)
            return
        names = [
            name
            for segment in account.segments
            for name in (
                key_name(tenant, recording, segment.number),
                audio_name(tenant, recording, segment),
            )
        ]
        last: Exception = ConnectionError("no peer")
        is_away = True
        for peer in self._in_order():
            try:
                for name in (*names, manifest_name(tenant, recording)):
                    await self._put(session, peer, name, await self._store.get(name))
            except (_NotTakenError, FileNotFoundError) as error:
                is_away = False  # the next turn tries again; others do not wait for it
                self._say_stuck(recording, str(error))
                continue
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                last = error
                self._failed_s[peer] = time.monotonic()
                continue
            self._note(tenant, recording)
            log.info("recording_replicated", call=recording, peer=peer)
            return
        if is_away:
            raise last

    def _say_stuck(self, recording: str, because: str) -> None:
        if because and self._stuck.get(recording) != because:
            self._stuck[recording] = because
            log.error("recording_not_copied", call=recording, because=because)

    def _in_order(self) -> list[str]:
        """Return the peers, those behind that have failed lately."""
        now_s = time.monotonic()
        return sorted(
            self._peers, key=lambda peer: now_s - self._failed_s.get(peer, -FORGIVEN_S) < FORGIVEN_S
        )

    async def _put(
        self, session: aiohttp.ClientSession, peer: str, name: str, content: bytes
    ) -> None:
        async with session.put(f"https://{peer}/objects/{name}", data=content) as answer:
            said = await answer.text()
            if answer.status == NOT_YET:
                raise _NotTakenError
            if answer.status in _REFUSALS:
                raise _NotTakenError(f"{peer} refuses it: {said[:200]}")
            if answer.status != 200 or said != hashlib.sha256(content).hexdigest():  # noqa: PLR2004 - HTTP
                raise ConnectionError(f"{peer} did not keep it: {answer.status}")

    def _note(self, tenant: str, recording: str) -> None:
        self._counted.add(f"{tenant}/{recording}")
        self._due.pop((tenant, recording), None)
        with self._path.open("a") as file:
            file.write(f"{tenant}/{recording}\n")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def server_tls(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """Return what lets in who bears a certificate of `ca`, and nobody else."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(cert, key)
    return tls


def client_tls(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """Return what shows our certificate, and checks the other's and its address."""
    tls = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(cert, key)
    return tls
