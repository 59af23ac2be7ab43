"""Recording keys in the key store: one row a key, one a wrapping. A destroyed key's row stays.

Every control plane reads and writes here; the folders of keys that recorders and listeners use are
copies of it (`ring.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.database import Database
from control_plane.db.inserting import inserting
from control_plane.keys.store import KeyDestroyedError
from control_plane.recording_keys.tables import CALLS, KEYS, META, PROVIDERS, WRAPS
from custody import keyring
from custody.keyring import RecordingKey
from custody.wrapping import Wrapped, recipient_of


class Changes(Struct, frozen=True, kw_only=True):
    """What has become of keys since a moment."""

    living: tuple[RecordingKey, ...]
    destroyed: tuple[tuple[str, str], ...]
    """Tenant and id."""
    reached_ms: int
    """Of the last of them, or what was asked for: since then there may be others."""


class RecordingKeys:
    """The keys of all tenants."""

    def __init__(self, database: Database, fixed: Mapping[str, str] | None = None) -> None:
        """Wrap for `fixed` (name -> recipient), too: providers that publish nothing themselves."""
        self.database = database
        self._fixed = dict(fixed or {})

    async def start(self) -> None:
        """Make the tables that are missing."""
        async with self.database.write() as connection:
            await connection.run_sync(META.create_all)

    # ---- making ----------------------------------------------------------------------------------

    async def publish(self, provider: str, recipient: str) -> None:
        """Let keys be wrapped for this generation of a provider from now on.

        Whoever makes a key holds the row meanwhile: when this returns, every key that was wrapped
        for an older generation can be seen.
        """
        recipient_of(recipient)
        values = {"name": provider, "recipient": recipient}
        async with self.database.write() as connection:
            await connection.execute(
                inserting(connection, PROVIDERS)
                .values(values)
                .on_conflict_do_update(index_elements=["name"], set_={"recipient": recipient})
            )

    async def make(self, tenant: str, now_ms: int, *, customer: str = "") -> RecordingKey:
        """Return the newest key of a tenant or a customer; made if there is none.

        Raise `NoKeyError`: fewer than two providers are known; `KeyDestroyedError`: the customer
        was erased, and gets no other key.
        """
        async with self.database.write() as connection:
            # Of two control planes that want the same one, the second waits here for the first.
            found = await connection.execute(select(PROVIDERS).with_for_update())
            published = {row.name: row.recipient for row in found}
            known = await _of(connection, tenant, customer)
            if known is not None:
                return known
            texts = {**self._fixed, **published}
            recipients = {name: recipient_of(each) for name, each in texts.items()}
            made = keyring.make(tenant, recipients, now_ms, customer=customer)
            await _insert(connection, [made], now_ms)
            return made

    async def adopt(self, keys: Sequence[RecordingKey], now_ms: int) -> None:
        """Take in keys that stand in a folder alone; what is known stays as it is."""
        async with self.database.write() as connection:
            unknown = [each for each in keys if not await _is_known(connection, each)]
            await _insert(connection, unknown, now_ms)

    # ---- reading ---------------------------------------------------------------------------------

    async def tenants(self) -> frozenset[str]:
        """Return who has a key of their own."""
        statement = select(KEYS.c.tenant).where(
            KEYS.c.customer == "", KEYS.c.destroyed_ms.is_(None)
        )
        async with self.database.read() as connection:
            return frozenset((await connection.execute(statement.distinct())).scalars())

    async def note(self, key: RecordingKey, call: str) -> None:
        """Note that a call is going to be sealed to this key."""
        async with self.database.write() as connection:
            await connection.execute(
                inserting(connection, CALLS)
                .values(tenant=key.tenant, call=call, id=key.id)
                .on_conflict_do_nothing()
            )

    async def calls_of(self, tenant: str, customer: str) -> tuple[str, ...]:
        """Return the calls that were to be sealed to a customer's keys."""
        statement = (
            select(CALLS.c.call)
            .join(KEYS, (KEYS.c.tenant == CALLS.c.tenant) & (KEYS.c.id == CALLS.c.id))
            .where(KEYS.c.tenant == tenant, KEYS.c.customer == customer)
            .order_by(CALLS.c.call)
        )
        async with self.database.read() as connection:
            return tuple((await connection.execute(statement)).scalars())

    async def changes(self, since_ms: int) -> Changes:
        """Return the keys that were made, rewrapped or destroyed since then."""
        statement = select(KEYS).where(KEYS.c.changed_ms >= since_ms)
        async with self.database.read() as connection:
            rows = list(await connection.execute(statement))
            wraps = await _wraps(connection, since_ms)
        return Changes(
            living=tuple(_key(row, wraps) for row in rows if row.destroyed_ms is None),
            destroyed=tuple((r.tenant, r.id) for r in rows if r.destroyed_ms is not None),
            reached_ms=max((row.changed_ms for row in rows), default=since_ms),
        )

    async def stale(
        self, provider: str, under: str, after: tuple[str, str], most: int
    ) -> tuple[tuple[str, str, Wrapped], ...]:
        """Return keys behind `after` (tenant, id) that an older generation has wrapped."""
        order = (WRAPS.c.tenant, WRAPS.c.id)
        statement = (
            select(WRAPS)
            .where(WRAPS.c.provider == provider, WRAPS.c.under != under)
            .where(tuple_(*order) > after)
            .order_by(*order)
            .limit(most)
        )
        async with self.database.read() as connection:
            rows = list(await connection.execute(statement))
        return tuple(
            (row.tenant, row.id, Wrapped(under=row.under, sealed=bytes(row.sealed))) for row in rows
        )

    # ---- changing --------------------------------------------------------------------------------

    async def rewrap(
        self, provider: str, some: Iterable[tuple[str, str, Wrapped]], now_ms: int
    ) -> None:
        """Put other wrappings of the same keys in the place of theirs; a destroyed key has none."""
        async with self.database.write() as connection:
            changed_ms = await _next_ms(connection, now_ms)
            for tenant, key_id, wrapped in some:
                await connection.execute(
                    update(WRAPS)
                    .where(
                        WRAPS.c.tenant == tenant,
                        WRAPS.c.id == key_id,
                        WRAPS.c.provider == provider,
                    )
                    .values(under=wrapped.under, sealed=wrapped.sealed)
                )
                await connection.execute(
                    update(KEYS)
                    .where(KEYS.c.tenant == tenant, KEYS.c.id == key_id)
                    .values(changed_ms=changed_ms)
                )

    async def destroy(
        self, connection: AsyncConnection, tenant: str, customer: str, now_ms: int
    ) -> tuple[str, ...]:
        """Destroy all keys of a customer, in a transaction; return their ids."""
        mine = (KEYS.c.tenant == tenant, KEYS.c.customer == customer)
        ids = tuple((await connection.execute(select(KEYS.c.id).where(*mine))).scalars())
        if self.database.is_sqlite:
            # What is freed in the file is overwritten, not only unlinked.
            await connection.execute(text("PRAGMA secure_delete=ON"))
        gone = (WRAPS.c.tenant == tenant, WRAPS.c.id.in_(ids))
        # Emptied first: a row that shrinks in place is not always overwritten as a whole.
        await connection.execute(update(WRAPS).where(*gone).values(sealed=b""))
        await connection.execute(delete(WRAPS).where(*gone))
        await connection.execute(delete(CALLS).where(CALLS.c.tenant == tenant, CALLS.c.id.in_(ids)))
        changed_ms = await _next_ms(connection, now_ms)
        await connection.execute(
            update(KEYS).where(*mine).values(destroyed_ms=now_ms, changed_ms=changed_ms)
        )
        if not ids:
            # A tombstone, so that none is made for a call that goes on at this moment.
            stone = {"id": f"none-{customer}"[:64], "public": b"", "made_ms": now_ms}
            await connection.execute(
                inserting(connection, KEYS)
                .values(
                    tenant=tenant,
                    customer=customer,
                    changed_ms=changed_ms,
                    destroyed_ms=now_ms,
                    **stone,
                )
                .on_conflict_do_nothing()
            )
        return ids


async def customers_of(database: Database, tenant: str, calls: Sequence[str]) -> dict[str, str]:
    """Return to whose keys these calls are sealed, as far as it is a customer's, by call."""
    statement = (
        select(CALLS.c.call, KEYS.c.customer)
        .join(KEYS, (KEYS.c.tenant == CALLS.c.tenant) & (KEYS.c.id == CALLS.c.id))
        .where(CALLS.c.tenant == tenant, CALLS.c.call.in_(tuple(calls)), KEYS.c.customer != "")
    )
    async with database.read() as connection:
        return {row.call: row.customer for row in await connection.execute(statement)}


async def _of(connection: AsyncConnection, tenant: str, customer: str) -> RecordingKey | None:
    """Return the newest living key. Raise `KeyDestroyedError`: the customer was erased."""
    statement = (
        select(KEYS)
        .where(KEYS.c.tenant == tenant, KEYS.c.customer == customer)
        .order_by(KEYS.c.made_ms.desc(), KEYS.c.id.desc())
    )
    rows = list(await connection.execute(statement))
    if customer and any(row.destroyed_ms is not None for row in rows):
        raise KeyDestroyedError
    living = [row for row in rows if row.destroyed_ms is None]
    if not living:
        return None
    found = await connection.execute(
        select(WRAPS).where(WRAPS.c.tenant == tenant, WRAPS.c.id == living[0].id)
    )
    return _key(living[0], {(tenant, living[0].id): _read_wraps(found)})


async def _is_known(connection: AsyncConnection, key: RecordingKey) -> bool:
    statement = select(KEYS.c.id).where(KEYS.c.tenant == key.tenant, KEYS.c.id == key.id)
    return (await connection.execute(statement)).first() is not None


async def _next_ms(connection: AsyncConnection, now_ms: int) -> int:
    """Return when a change counts as made: now, and after all that the store has.

    The clocks of control planes may be wrong; who looks for what is new must not miss it for that.
    """
    latest = (await connection.execute(select(func.max(KEYS.c.changed_ms)))).scalar()
    return now_ms if latest is None else max(now_ms, latest + 1)


async def _insert(connection: AsyncConnection, keys: Sequence[RecordingKey], now_ms: int) -> None:
    changed_ms = await _next_ms(connection, now_ms)
    for key in keys:
        await connection.execute(
            insert(KEYS).values(
                tenant=key.tenant,
                id=key.id,
                customer=key.customer,
                public=key.public,
                made_ms=key.made_ms,
                changed_ms=changed_ms,
                destroyed_ms=None,
            )
        )
        for provider, wrapped in key.wrapped.items():
            await connection.execute(
                insert(WRAPS).values(
                    tenant=key.tenant,
                    id=key.id,
                    provider=provider,
                    under=wrapped.under,
                    sealed=wrapped.sealed,
                )
            )


async def _wraps(
    connection: AsyncConnection, since_ms: int
) -> dict[tuple[str, str], dict[str, Wrapped]]:
    statement = (
        select(WRAPS)
        .join(KEYS, (KEYS.c.tenant == WRAPS.c.tenant) & (KEYS.c.id == WRAPS.c.id))
        .where(KEYS.c.changed_ms >= since_ms)
    )
    found: dict[tuple[str, str], dict[str, Wrapped]] = {}
    for row in await connection.execute(statement):
        found.setdefault((row.tenant, row.id), {}).update(_read_wraps([row]))
    return found


def _read_wraps(rows: Iterable[object]) -> dict[str, Wrapped]:
    return {
        row.provider: Wrapped(under=row.under, sealed=bytes(row.sealed))  # type: ignore[attr-defined]
        for row in rows
    }


def _key(row: object, wraps: Mapping[tuple[str, str], Mapping[str, Wrapped]]) -> RecordingKey:
    told = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001 - its documented way
    return RecordingKey(
        tenant=told["tenant"],
        id=told["id"],
        public=bytes(told["public"]),
        wrapped=wraps.get((told["tenant"], told["id"]), {}),
        made_ms=told["made_ms"],
        customer=told["customer"],
    )
