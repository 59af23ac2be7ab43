"""What a sign-in by a provider changes of a user is in the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from joserfc.jwk import KeySet

from control_plane.oidc import http
from control_plane.oidc.peer import Discovery, Peer
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person, running, settings
from tests.control_plane.oidc.stage import put
from tests.control_plane.oidc.test_claims import keys, signed

ISSUER = "https://idp.example"
BACK = "https://desk.example/back"
BODY = {
    "issuer": ISSUER, "client_id": "us", "redirect_uris": [BACK], "creates_users": True,
    "roles": {"staff": ["role:agent"], "leads": ["role:manager", "role:agent"]},
}  # fmt: skip


class Vouching(Peer):
    """A provider whose answers are made here: signed as a real one's, and fetched from nowhere."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        super().__init__(client)
        self.claims: dict[str, Any] = {}

    async def discover(self, issuer: str) -> Discovery:
        """Return the document."""
        return Discovery(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/a",
            token_endpoint=f"{issuer}/t",
            jwks_uri=f"{issuer}/k",
        )

    async def keys(self, _discovery: Discovery, *, anew: bool = False) -> KeySet:  # noqa: ARG002
        """Return the keys."""
        return keys()

    async def exchange(self, *_parts: object, **_form: object) -> str:
        """Return the ID token."""
        return signed(self.claims)


@pytest.fixture
async def center(
    tmp_path: Path, begun_file: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Center]:
    """Serve, with a provider that vouches for whoever comes."""
    monkeypatch.setattr(http, "Peer", Vouching)
    async with running(settings(tmp_path, begun_file, oidc_issuers=(ISSUER,))) as made:
        assert (await put(await made.administrator(), BODY)).status == 200
        yield made


async def _comes(center: Center, subject: str, login: str, *groups: str) -> str:
    asked = {"tenant": "main", "redirect_uri": BACK}
    begun = (await center.ask("POST", "/v1/oidc/begin", asked)).json
    (nonce,) = parse_qs(urlsplit(begun["authorization_url"]).query)["nonce"]
    now_s = center.clock.now().wall_ms // 1000
    peer = center.app[http.PEER]
    assert isinstance(peer, Vouching)
    peer.claims = {
        "iss": ISSUER, "aud": "us", "sub": subject, "nonce": nonce, "iat": now_s,
        "exp": now_s + 300, "preferred_username": login, "groups": list(groups),
    }  # fmt: skip
    said = {"state": begun["state"], "code": "c", "holder": begun["holder"]}
    reply = await center.ask("POST", "/v1/oidc/complete", said)
    assert reply.status == 201, reply.body
    user: str = reply.json["user"]
    return user


async def _told(center: Center, user: str) -> list[tuple[str, str, dict[str, Any]]]:
    auditor: Person = await center.person(Role.AUDITOR)
    found = (await auditor.get(f"/v1/audit?thing={user}&kind=user")).json["items"]
    return [(each["action"], each["actor"], each["detail"]) for each in reversed(found)]


async def test_roles_given_and_taken_at_a_sign_in_are_in_the_log(center: Center) -> None:
    by = {"by": "oidc", "issuer": ISSUER}
    ada = await _comes(center, "248", "ada", "staff")
    await _comes(center, "248", "ada", "leads")
    await _comes(center, "248", "ada", "leads")
    await _comes(center, "248", "ada")
    agent, lead = ["role:agent"], ["role:agent", "role:manager"]
    changed = {**by, "changed": ["roles"]}
    assert await _told(center, ada) == [
        ("user:create", ada, {**by, "roles": agent}),
        ("user:update", ada, {**changed, "roles": lead, "roles_before": agent}),
        ("user:update", ada, {**changed, "roles": [], "roles_before": lead}),
    ]


async def test_who_is_linked_to_somebody_at_the_provider_is_in_the_log(center: Center) -> None:
    by = {"by": "oidc", "issuer": ISSUER}
    ada = (await center.person(Role.AGENT, login="ada")).id
    assert await _comes(center, "248", "ada", "staff") == ada
    assert await _told(center, ada) == [("user:update", ada, {**by, "changed": ["identity"]})]
    bea = (await center.person(Role.AGENT, login="bea")).id
    assert await _comes(center, "249", "bea", "leads") == bea
    told = {"roles": ["role:agent", "role:manager"], "roles_before": ["role:agent"]}
    assert await _told(center, bea) == [
        ("user:update", bea, {**by, "changed": ["identity", "roles"], **told})
    ]


async def test_roles_that_a_sign_in_changes_make_the_user_another_version(center: Center) -> None:
    """Else whoever has read them before gives back, by what they save, what was taken away."""
    ada = await _comes(center, "248", "ada", "leads")
    admin = await center.administrator()
    path = f"/v1/users/{ada}"
    read = await admin.get(path)
    assert await _comes(center, "248", "ada", "leads") == ada
    assert (await admin.get(path)).headers["ETag"] == read.headers["ETag"]
    assert await _comes(center, "248", "ada", "staff") == ada
    etag = {"If-Match": read.headers["ETag"]}
    said = await admin.ask("PATCH", path, {"roles": read.json["roles"], "team": "north"}, etag)
    assert said.error_id == "version-mismatch"
    now = await admin.get(path)
    assert now.json["roles"] == ["role:agent"]
    assert now.headers["ETag"] != read.headers["ETag"]
