"""Credentials for agents' phones, and barring: over a shared state in memory, on both databases."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from control_plane.audit.tables import AuditRow
from control_plane.errors import SettingsError
from control_plane.permissions import Role
from control_plane.phones import secrets
from state.clock import ManualClock
from state.memory import MemoryStore
from state.model import AgentId
from state.phone_credentials import LIFETIME_S, issue, read_secrets
from tests.control_plane.center import Center, Person, running, settings
from tests.control_plane.live.outage import away
from tests.control_plane.live.stage import Scene

SECRET = "s" * 40
ANN = AgentId("ann")


def secret_file(folder: Path) -> Path:
    path = folder / "phone.secrets"
    path.touch(mode=0o600)
    path.write_text(f"{SECRET}\n{'t' * 40}\n")
    return path


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """Serve over a furnished center, with secrets for phones."""
    clock = ManualClock()
    store = MemoryStore(clock, heartbeat_s=0.2)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = settings(folder, database_url, phone_secrets=secret_file(folder))
        async with running(made, clock, store) as center:
            await center.tenant("t2")
            scene = Scene(store, clock, center)
            await scene.furnish()
            yield scene


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.02)


async def disable(admin: Person, user: str, *, active: bool = False) -> None:
    held = await admin.get(f"/v1/users/{user}")
    match = {"If-Match": held.headers["ETag"]}
    done = await admin.ask("PATCH", f"/v1/users/{user}", {"is_active": active}, match)
    assert done.status == 200, done.body


async def test_an_agent_gets_credentials_that_the_secret_vouches_for(scene: Scene) -> None:
    person = await scene.center.person(Role.AGENT, agent="ann")
    reply = await person.post("/v1/me/phone", None)
    assert reply.status == 201, reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    said, now_s = reply.json, scene.clock.now().wall_ms // 1000
    expected = issue(read_secrets(SECRET)[0], ANN, now_s + LIFETIME_S)
    assert (said["user"], said["password"]) == (expected.user, expected.password)
    assert (said["aor"], said["registrar"]) == ("sip:ann@everline", "a:1")
    assert said["backups"] == ["b:1"]
    async with scene.center.services.database.read() as connection:
        audit = (await connection.execute(select(*AuditRow.__table__.columns))).all()
    assert "phone:sign_in" in str(audit)
    assert said["password"] not in str(audit)


@pytest.mark.parametrize(
    ("role", "agent", "status"),
    [
        (Role.OUTSOURCED_AGENT, "out", 201),
        (Role.AGENT, "", 404),
        (Role.AGENT, "nobody", 404),
        (Role.AGENT, "t2.zoe", 404),
        (Role.MANAGER, "ann", 403),
    ],
)
async def test_nobody_gets_credentials_but_for_the_own_agent_of_the_own_tenant(
    scene: Scene, role: Role, agent: str, status: int
) -> None:
    person = await scene.center.person(role, agent=agent)
    assert (await person.post("/v1/me/phone", None)).status == status


async def test_a_phone_renews_its_credentials_while_the_database_is_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await scene.center.person(Role.AGENT, agent="ann")
    assert (await person.post("/v1/me/phone", None)).status == 201
    database = scene.center.services.database
    monkeypatch.setattr(database, "read", away)
    monkeypatch.setattr(database, "write", away)
    scene.clock.advance(60)
    assert (await person.post("/v1/me/phone", None)).status == 201


async def test_an_agent_is_barred_while_all_their_users_are_disabled(scene: Scene) -> None:
    center = scene.center
    admin = await center.administrator()
    first = await center.person(Role.AGENT, agent="ann")
    second = await center.person(Role.AGENT, agent="ann")
    await center.person(Role.AGENT, agent="ben")
    await disable(admin, first.id)
    await disable(admin, second.id)
    await until(lambda: set(scene.mirror.snapshot.barred) == {ANN})
    await disable(admin, second.id, active=True)
    await until(lambda: not scene.mirror.snapshot.barred)


async def test_a_tenants_user_bars_no_other_tenants_agent(scene: Scene) -> None:
    """Who administers a tenant writes any agent's id into its users."""
    center = scene.center
    foreign = await center.person(Role.AGENT, tenant="t2", agent="ann")
    own = await center.person(Role.AGENT, tenant="t2", agent="t2.zoe")
    admin = await center.person(Role.TENANT_ADMIN, tenant="t2")
    await disable(admin, foreign.id)
    await disable(admin, own.id)
    await until(lambda: bool(scene.mirror.snapshot.barred))
    assert set(scene.mirror.snapshot.barred) == {AgentId("t2.zoe")}


async def test_without_secrets_in_the_settings_none_are_issued(center: Center) -> None:
    person = await center.person(Role.AGENT, agent="ann")
    reply = await person.post("/v1/me/phone", None)
    assert (reply.status, reply.error_id) == (503, "unavailable")


@pytest.mark.parametrize(("mode", "content"), [(0o644, SECRET), (0o600, "short")])
def test_a_file_of_secrets_that_others_read_or_that_is_none_stops_the_start(
    tmp_path: Path, mode: int, content: str
) -> None:
    path = tmp_path / "secrets"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SettingsError, match="secrets"):
        secrets.load(path)
