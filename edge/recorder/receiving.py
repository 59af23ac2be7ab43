"""Takes copies of other sites' recordings in, over HTTP on mTLS from our trust domain alone.

It takes nothing that no recorder would send, keeps it in its own store, reads it back, and says
what it has. A recording that it has no keys of it does not take yet. It also says which store it
keeps them in, so that senders learn if that is another than before.

    GET /store             {"site": "b", "store": "0f..."}
    GET /objects/NAME      of audio: the SHA-256 of what is here; 404
    PUT /objects/NAME      keeps it; the SHA-256 of what is here then
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from msgspec import Struct
from obstore.exceptions import BaseError

from custody import manifest
from custody.errors import ConflictError, CustodyError
from custody.keyring import Keyring
from custody.manifest import Manifest
from custody.store import RecordingStore
from edge.recorder.ledger import Copy, Ledger
from state.discreet import fault
from state.keys import is_id

MOST_BYTES: Final = 64 * 1024 * 1024
_ID: Final = r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}"
_AUDIO: Final = re.compile(rf"{_ID}/audio/{_ID}/[0-9]{{4}}-([0-9a-f]{{64}})")
_KEY: Final = re.compile(rf"{_ID}/keys/{_ID}/[0-9]{{4}}")
_MANIFEST: Final = re.compile(rf"({_ID})/manifests/({_ID})\.json")
_STORE: Final = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{32})?")
_SEALED_KEY_BYTES: Final = 200
NOT_YET: Final = 425
"""HTTP's Too Early (RFC 8470 §5.2): the same will be taken once the keys are there."""
SITE: Final = "Everline-Site"
STORE: Final = "Everline-Store"
"""Headers of what is brought: where else it is."""

log = structlog.get_logger()


class Kept(Struct, frozen=True, kw_only=True):
    """Where a site keeps what it has."""

    site: str
    store: str

    @property
    def is_sound(self) -> bool:
        """Tell whether this can be."""
        return is_id(self.site) and _STORE.fullmatch(self.store) is not None


class Receiver:
    """One site's."""

    def __init__(
        self,
        *,
        site: str,
        store: RecordingStore,
        recorders: Mapping[str, bytes],
        ring: Keyring,
        ledger: Ledger,
    ) -> None:
        """Take in what `recorders` have signed and `ring` has the keys of."""
        self._site = site
        self._store = store
        self._recorders = recorders
        self._ring = ring
        self._ledger = ledger
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Listen; `tls` lets in who bears a certificate of ours. Return the port."""
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_get("/store", self._tell)
        app.router.add_get("/objects/{name:.+}", self._show)
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

    async def _tell(self, _: web.Request) -> web.Response:
        try:
            return web.json_response({"site": self._site, "store": await self._store.identity()})
        except (OSError, BaseError) as error:
            log.warning("store_not_told", **fault(error))
            return web.Response(status=503, text="the store does not say which it is")

    async def _show(self, request: web.Request) -> web.Response:
        """Say what is here of audio that is not to be brought twice; all else is small."""
        name = request.match_info["name"]
        if _AUDIO.fullmatch(name) is None:
            return web.Response(status=422, text="no name of ours")
        try:
            return web.Response(text=_hash(await self._store.get(name)))
        except FileNotFoundError:
            return web.Response(status=404)
        except (OSError, BaseError) as error:
            log.warning("replica_not_read", **fault(error))
            return web.Response(status=503, text="the store did not give it")

    async def _take(self, request: web.Request) -> web.Response:
        name, content = request.match_info["name"], await request.read()
        if (because := self._wrong(name, content)) is not None:
            log.warning("replica_refused", because=because)
            return web.Response(status=422, text=because)
        account = self._account(name, content)
        if account is not None:
            if (key := self._missing(account)) is not None:
                # A copy that nobody here can open is none; the site's keys come by another way.
                return web.Response(status=NOT_YET, text=f"key {key} is not here yet")
            said = Kept(site=request.headers.get(SITE, ""), store=request.headers.get(STORE, ""))
            self._note(account, said)
        try:
            await self._store.put(name, content)
            if account is not None:
                await self._store.settle()  # it comes last: now all of it is on the disk
            # What counts is what the store gives back, not what it has been given.
            return web.Response(text=_hash(await self._store.get(name)))
        except ConflictError:
            return web.Response(status=409, text="another object of that name is here")
        except (OSError, BaseError) as error:
            log.warning("replica_not_kept", **fault(error))
            return web.Response(status=503, text="the store did not take it")

    def _note(self, account: Manifest, said: Kept) -> None:
        """Note where else this recording is, before it is here: it is never alone here, then."""
        if said.is_sound:
            self._ledger.learn(said.site, said.store)
            copy = Copy(
                recorder=account.recorder,
                site=said.site,
                store=said.store,
                samples=account.samples,
            )
            self._ledger.note(f"{account.tenant}/{account.recording}", copy)

    def _account(self, name: str, content: bytes) -> Manifest | None:
        """Return what a manifest says that has been looked at; None: it is none."""
        if _MANIFEST.fullmatch(name) is None:
            return None
        return manifest.read(content, self._recorders)

    def _missing(self, account: Manifest) -> str | None:
        """Return a key to which the recording is sealed and which is not here; None: all are."""
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


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def server_tls(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """Return what lets in who bears a certificate of `ca`, and nobody else."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(cert, key)
    return tls
