"""The first tenant and its administrator, in a database that has nobody yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from sqlalchemy import insert, select

from control_plane.audit import store as audit
from control_plane.audit.entry import Entry
from control_plane.db.database import Database
from control_plane.db.inserting import inserting
from control_plane.errors import SettingsError
from control_plane.ids import fresh
from control_plane.passwords import hash_password
from control_plane.permissions import Role
from control_plane.subjects import ANY_TENANT
from control_plane.tenants.tables import TenantRow
from control_plane.users import store
from control_plane.users.tables import GrantRow, UserRow

TENANT: Final = "main"
LOGIN: Final = "admin"
SHORTEST: Final = 12


async def ensure(database: Database, password_file: Path, *, now_ms: int, site: str) -> bool:
    """Make tenant `main` and user `admin` if there is no user; return whether that was so.

    The administrator may run the machinery of all tenants (`role:sre`) and manage the people of
    this one; other tenants' data stays closed.
    """
    async with database.read() as connection:
        if (await connection.execute(select(UserRow.id).limit(1))).first():
            return False
    hashed = await asyncio.to_thread(hash_password, _password(password_file))
    async with database.write() as connection:
        # Of several that start at once the others wait here until the first has made both.
        await connection.execute(
            inserting(connection, TenantRow)
            .values(id=TENANT, name="Main", created_ms=now_ms, updated_ms=now_ms, version=1)
            .on_conflict_do_nothing()
        )
        if (await connection.execute(select(UserRow.id).limit(1))).first():
            return False
        user = store.User(
            id=fresh("usr", now_ms),
            tenant=TENANT,
            login=LOGIN,
            name="Administrator",
            agent="",
            employer="",
            team="",
            site="",
            is_active=True,
            created_ms=now_ms,
            updated_ms=now_ms,
            version=1,
            roles=(Role.TENANT_ADMIN,),
        )
        await store.create(connection, user, hashed)
        await connection.execute(
            insert(GrantRow).values(
                user_id=user.id, role=Role.SRE.value, tenant=ANY_TENANT, by_hand=True
            )
        )
        await audit.add(
            connection,
            Entry(
                tenant=TENANT,
                at_ms=now_ms,
                actor="",
                action="center:begin",
                kind="user",
                thing=user.id,
                policy_version="",
                request_id="",
                site=site,
            ),
        )
    return True


def _password(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    if len(password) < SHORTEST:
        raise SettingsError(f"{file}: the password should have {SHORTEST} characters or more")
    return password
