"""Puts entries into the tree, in one order, under a signed checkpoint.

Any control plane may do it. PostgreSQL: under an advisory lock that is held to the end of the
transaction; SQLite has one writer anyway. What is sealed in a transaction of one's own stands if
and only if that transaction does: so a sensitive act and the signed word of it are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit import note as notes
from control_plane.audit import store, tiles, tree
from control_plane.audit.errors import NoteError, SealError, TamperedError
from control_plane.audit.memory import Memory
from control_plane.audit.note import Checkpoint, Head, SiteKey
from control_plane.audit.tiles import Tile
from control_plane.errors import SettingsError
from control_plane.settings import Audit
from custody import keyfile
from custody.errors import KeyFileError

BATCH: Final = 1_000
"""Entries sealed in one transaction by those who clear up; an act of its own seals all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """The key of this site, and the public ones of all sites."""

    site: str
    origin: str
    private: Ed25519PrivateKey
    keys: tuple[SiteKey, ...]
    memory: Memory

    @classmethod
    def load(cls, site: str, settings: Audit) -> Self:
        """Read the key. Raise `SettingsError`."""
        try:
            private = Ed25519PrivateKey.from_private_bytes(keyfile.load(settings.key))
            keys = tuple(notes.read_key(each) for each in settings.sites)
        except (KeyFileError, NoteError) as error:
            raise SettingsError(f"audit: {error}") from error
        if notes.public_of(site, private) not in keys:
            raise SettingsError(f"audit.sites: does not name this site's own key, {settings.key}")
        return cls(
            site=site,
            origin=settings.origin,
            private=private,
            keys=keys,
            memory=Memory(settings.memory),
        )

    def read(self, note: str) -> Checkpoint:
        """Return a checkpoint of this log that a known site has signed. Raise `TamperedError`."""
        try:
            checkpoint = notes.read(note, self.keys)
        except NoteError as error:
            raise TamperedError("the newest checkpoint is none") from error
        if checkpoint.head.origin != self.origin or not checkpoint.by:
            raise TamperedError(
                f"the checkpoint of {checkpoint.head.size} entries is signed by no site of ours"
            )
        return checkpoint


class Ledger:
    """Seals, where a key is configured."""

    def __init__(self, signer: Signer | None) -> None:
        self._signer = signer
        self._checked: Head | None = None

    @property
    def signer(self) -> Signer | None:
        """Return who signs here; None: entries are kept, and sealed by another site."""
        return self._signer

    async def seal(self, connection: AsyncConnection, most: int | None = None) -> Head:
        """Seal what waits, the transaction's own entries too. It is the transaction's last act.

        Raise `SealError` or `TamperedError`: then the transaction must not stand.
        """
        signer = self._signer
        if signer is None:
            raise SealError("no key of the audit log is configured here")
        await store.lock(connection)
        head = await self._last(connection, signer)
        while found := await store.waiting(connection, most or BATCH):
            head = await self._append(connection, signer, head, found)
            if most:
                break
        return head

    async def _last(self, connection: AsyncConnection, signer: Signer) -> Head:
        """Return the head to go on from, which has to go on from what this site remembers."""
        note = await store.last_note(connection)
        if note is None:
            head = Head(origin=signer.origin, size=0, root=tree.EMPTY)
        else:
            head = signer.read(note).head
        if head != self._checked:
            try:
                remembered = await asyncio.to_thread(signer.memory.head)
            except (OSError, NoteError) as error:
                raise SealError(f"what this site remembers cannot be read: {error}") from error
            await check(connection, head, remembered)
        return head

    async def _append(
        self, connection: AsyncConnection, signer: Signer, head: Head, found: list[store.Waiting]
    ) -> Head:
        there = await store.tiles(connection, tiles.edge(head.size))
        try:
            if tree.head(tiles.nodes(there), head.size) != head.root:
                raise TamperedError("the newest tiles are not those of the newest checkpoint")
            leaves = [tree.leaf_hash(each.leaf) for each in found]
            grown = tiles.grow(there, head.size, leaves)
        except LookupError as error:
            raise TamperedError(f"the newest tiles are not all there: {error}") from error
        size = head.size + len(leaves)
        made = Head(
            origin=signer.origin, size=size, root=tree.head(tiles.nodes({**there, **grown}), size)
        )
        await store.place(connection, [each.number for each in found], head.size)
        await store.put_tiles(connection, grown)
        await store.put_note(connection, size, notes.sign(made, signer.site, signer.private))
        return made

    def has_checked(self, head: Head) -> None:
        """Take `head` for one that goes on from what this site remembers."""
        self._checked = head


async def check(connection: AsyncConnection, head: Head, remembered: Head | None) -> None:
    """Raise `TamperedError` unless `head` goes on from what was remembered."""
    if remembered is None or remembered.size == 0:
        return
    if head.size < remembered.size:
        raise TamperedError(
            f"the log has been cut: {head.size} entries, and this site has seen {remembered.size}"
        )
    first, second = remembered.size, head.size
    read = tiles.read_by(lambda node: tree.consistency(node, first, second))
    there: Mapping[Tile, bytes] = await store.tiles(connection, read)
    try:
        proof = tree.consistency(tiles.nodes(there), first, second)
    except LookupError as error:
        raise TamperedError(f"the log's tree is not all there: {error}") from error
    if not tree.is_consistent(first, remembered.root, second, head.root, proof):
        raise TamperedError(
            f"one of the first {first} entries was changed, moved or taken away since this site "
            "has seen them"
        )


FAILURES: Final = (SealError, TamperedError, SQLAlchemyError, OSError)
"""What sealing may raise where the database itself answers."""
