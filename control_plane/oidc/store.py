"""Providers, sign-ins under way and identities in the database."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.inserting import inserting
from control_plane.oidc.schemas import ProviderBody
from control_plane.oidc.tables import FlowRow, IdentityRow, ProviderRow
from control_plane.tokens import digest_of
from control_plane.users.tables import UserRow

FLOW_MS: Final = 600_000


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    tenant: str
    body: ProviderBody
    wrapped_secret: bytes | None
    updated_ms: int
    version: int


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in under way."""

    tenant: str
    nonce: str
    verifier: str
    redirect_uri: str
    provider_version: int
    until_ms: int
    holder_digest: str

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier: S256 of RFC 7636."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def find(connection: AsyncConnection, tenant: str) -> Provider | None:
    """Return a tenant's provider, or None."""
    statement = select(*ProviderRow.__table__.columns).where(ProviderRow.tenant == tenant)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    return Provider(
        tenant=row.tenant,
        body=ProviderBody.model_validate_json(row.settings),
        wrapped_secret=row.client_secret,
        updated_ms=row.updated_ms,
        version=row.version,
    )


async def put(connection: AsyncConnection, provider: Provider) -> bool:
    """Put it in the place of the version before; False: somebody was quicker."""
    values = {
        "settings": provider.body.model_dump_json(),
        "client_secret": provider.wrapped_secret,
        "updated_ms": provider.updated_ms,
        "version": provider.version,
    }
    if provider.version == 1:
        try:
            async with connection.begin_nested():
                adding = insert(ProviderRow).values(tenant=provider.tenant, **values)
                await connection.execute(adding)
        except IntegrityError:
            return False
        return True
    done = await connection.execute(
        update(ProviderRow)
        .where(ProviderRow.tenant == provider.tenant, ProviderRow.version == provider.version - 1)
        .values(**values)
    )
    return done.rowcount == 1


async def begin(
    connection: AsyncConnection, provider: Provider, redirect_uri: str, now_ms: int
) -> tuple[Flow, str, str]:
    """Begin a sign-in: with its state, which travels, and what its holder keeps."""
    await connection.execute(delete(FlowRow).where(FlowRow.until_ms <= now_ms))
    state, holder = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    flow = Flow(
        tenant=provider.tenant,
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=redirect_uri,
        provider_version=provider.version,
        until_ms=now_ms + FLOW_MS,
        holder_digest=digest_of(holder),
    )
    values = msgspec.structs.asdict(flow) | {"state_digest": digest_of(state)}
    await connection.execute(insert(FlowRow).values(**values))
    return flow, state, holder


async def take(connection: AsyncConnection, state: str, now_ms: int) -> Flow | None:
    """Take a sign-in away, whatever comes of it; None: there is none, or it is over."""
    names = [getattr(FlowRow, name) for name in Flow.__struct_fields__]
    statement = delete(FlowRow).where(FlowRow.state_digest == digest_of(state)).returning(*names)
    row = (await connection.execute(statement)).one_or_none()
    if row is None or row.until_ms <= now_ms:
        return None
    return Flow(**row._mapping)  # noqa: SLF001 - its documented way


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A user, as far as signing in has to know."""

    id: str
    has_password: bool


_USER = (UserRow.id, UserRow.password_hash)


async def linked(
    connection: AsyncConnection, tenant: str, issuer: str, subject: str
) -> Known | None:
    """Return who that is here, or None."""
    statement = (
        select(*_USER)
        .join(IdentityRow, IdentityRow.user_id == UserRow.id)
        .where(
            IdentityRow.tenant == tenant,
            IdentityRow.issuer == issuer,
            IdentityRow.subject == subject,
            UserRow.tenant == tenant,
        )
    )
    return await _known(connection, statement)


async def unlinked(
    connection: AsyncConnection, tenant: str, issuer: str, login: str
) -> Known | None:
    """Return the user of that login whom nobody at this provider is yet, or None."""
    taken = select(IdentityRow.user_id).where(
        IdentityRow.tenant == tenant, IdentityRow.issuer == issuer
    )
    statement = select(*_USER).where(
        UserRow.tenant == tenant, UserRow.login == login, UserRow.id.not_in(taken)
    )
    return await _known(connection, statement)


async def _known(connection: AsyncConnection, statement: object) -> Known | None:
    row = (await connection.execute(statement)).one_or_none()  # type: ignore[call-overload]
    if row is None:
        return None
    return Known(id=row.id, has_password=row.password_hash is not None)


async def is_let_in(connection: AsyncConnection, user: str) -> bool:
    """Tell whether a user is not disabled, and let nobody disable them meanwhile.

    Whoever does ends all sessions, and would not see the one that is being begun: it would go on
    when they are let in again.
    """
    statement = select(UserRow.is_active).where(UserRow.id == user).with_for_update()
    return bool((await connection.execute(statement)).scalar_one())


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who somebody at a provider is here."""

    tenant: str
    issuer: str
    subject: str
    user_id: str
    created_ms: int


async def hold(connection: AsyncConnection, tenant: str, login: str) -> None:
    """Let nobody else be linked to that user until this transaction is over."""
    statement = select(UserRow.id).where(UserRow.tenant == tenant, UserRow.login == login)
    await connection.execute(statement.with_for_update())


async def link(connection: AsyncConnection, identity: Identity) -> bool:
    """Write down who somebody at a provider is here; False: that was known meanwhile."""
    done = await connection.execute(
        inserting(connection, IdentityRow)
        .values(**msgspec.structs.asdict(identity))
        .on_conflict_do_nothing()
        .returning(IdentityRow.user_id)
    )
    return done.first() is not None
