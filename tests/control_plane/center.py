"""A control plane under test, over its Unix socket, and people who use it."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from control_plane import app
from control_plane.audit.note import public_of
from control_plane.configuration.desk import SHARED
from control_plane.permissions import Role
from control_plane.services import SERVICES, Services
from control_plane.serving import Listener
from control_plane.settings import Limits, Settings
from control_plane.sign_in import store as sign_in
from control_plane.tenants.tables import TenantRow
from control_plane.tokens import Claims, make_key
from control_plane.users import store
from custody import keyfile
from state.clock import ManualClock
from state.store import Store

PASSWORD = "correct horse battery"  # noqa: S105 - of the tests' administrator
GENEROUS = Limits(subject_rate=1e6, subject_burst=1e6, stranger_rate=1e6, stranger_burst=1e6)


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it says
        """Return the body."""
        return json.loads(self.body)

    @property
    def error_id(self) -> str:
        """Return which problem it is."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        return str(self.json["error_id"])


@dataclass
class Person:
    """Somebody with a token."""

    center: Center
    id: str
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request with the token."""
        sent = {"Authorization": f"Bearer {self.token}", **self.headers, **(headers or {})}
        return await self.center.ask(method, path, body, sent)

    async def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ANN401
        """POST."""
        return await self.ask("POST", path, body, headers)


@dataclass
class Center:
    """One control plane that serves."""

    app: web.Application
    socket: Path
    client: aiohttp.ClientSession
    clock: ManualClock
    host: str = "center"
    """A name for the socket's sake, or a real address."""
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def services(self) -> Services:
        """Return what its features share."""
        return self.app[SERVICES]

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request; `body` bytes as they are, all else as JSON."""
        sent = dict(headers or {})
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        if isinstance(data, bytes) and len(data) > 100_000:
            data = io.BytesIO(data)
        async with self.client.request(
            method, f"http://{self.host}{path}", data=data, headers=sent
        ) as r:
            return Reply(r.status, r.headers, await r.read())

    async def tenant(self, tenant: str) -> None:
        """Make a tenant."""
        now = self.clock.now().wall_ms
        async with self.services.database.write() as connection:
            await connection.execute(
                insert(TenantRow).values(
                    id=tenant, name=tenant, created_ms=now, updated_ms=now, version=1
                )
            )

    async def person(self, *roles: Role, tenant: str = "main", **values: Any) -> Person:  # noqa: ANN401
        """Make a user with a token."""
        now = self.clock.now().wall_ms
        number = next(self.numbers)
        words = {"agent": "", "employer": "", "team": "", "site": "", "name": f"Person {number}"}
        user = store.User(
            id=f"usr_test{number}",
            tenant=tenant,
            login=values.pop("login", f"person{number}"),
            is_active=True,
            created_ms=now,
            updated_ms=now,
            version=1,
            roles=tuple(sorted(roles)),
            **(words | values),
        )
        async with self.services.database.write() as connection:
            await store.create(connection, user, None)
            opened = await sign_in.begin(connection, user.id, tenant, now)
        return Person(self, user.id, self.token(user.id, tenant, session=opened.session))

    def token(
        self, user: str, tenant: str = "main", *, session: str = "none", lives_s: int = 3600
    ) -> str:
        """Sign a token, as a sign-in would."""
        now_s = self.clock.now().wall_ms // 1000
        claims = Claims(subject=user, tenant=tenant, session=session, until_s=now_s + lives_s)
        return self.services.tokens.sign(claims, now_s=now_s)

    async def administrator(self) -> Person:
        """Sign the first administrator in, with the password."""
        said = {"tenant": "main", "login": "admin", "password": PASSWORD}
        reply = await self.ask("POST", "/v1/sessions", said)
        assert reply.status == 201, reply.body
        return Person(self, reply.json["user"], reply.json["access_token"])


def settings(folder: Path, database: str, **changes: Any) -> Settings:  # noqa: ANN401
    """Write the files that a control plane needs, and return its settings."""
    key, password = folder / "key.pem", folder / "password"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(make_key())
        password.write_text(PASSWORD)
    if not (audit := folder / "audit.key").exists():
        keyfile.make(audit)
    private = Ed25519PrivateKey.from_private_bytes(keyfile.load(audit))
    given: dict[str, Any] = {
        "site": "a",
        "audit": {
            "key": audit,
            "sites": (public_of("a", private).text,),
            "memory": folder / "audit.seen",
        },
        "listen_unix": folder / "api.sock",
        "database": database,
        "signing_key": key,
        "first_password": password,
        "limits": GENEROUS,
    }
    return Settings(**(given | changes))


@asynccontextmanager
async def running(
    made: Settings, clock: ManualClock | None = None, shared: Store | None = None
) -> AsyncIterator[Center]:
    """Serve while entered; with `shared` for the shared state instead of an etcd."""
    ticking = clock or ManualClock()
    application = app.build(made, ticking)
    if shared is not None:
        application[SHARED] = shared
    assert made.listen_unix is not None
    connector = aiohttp.UnixConnector(path=str(made.listen_unix))
    async with (
        Listener(application, made),
        aiohttp.ClientSession(connector=connector) as client,
    ):
        yield Center(application, made.listen_unix, client, ticking)
