"""Signing in by a real OpenID provider."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from control_plane.audit.tables import AuditRow
from control_plane.oidc.store import FLOW_MS
from control_plane.oidc.tables import FlowRow, ProviderRow
from control_plane.permissions import Role
from state.clock import ManualClock, SystemClock
from tests.control_plane.center import Center, Person, settings
from tests.control_plane.center import running as serving
from tests.control_plane.customers.stage import key_settings
from tests.control_plane.oidc import stage
from tests.control_plane.oidc.provider import CLIENT_SECRET, REDIRECT
from tests.control_plane.oidc.stage import (
    Provider,
    begin,
    browse,
    complete,
    put,
    settings_of,
    sign_in,
)

pytestmark = pytest.mark.parts


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Run a provider for the whole file."""
    with stage.running(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.fixture
async def center(database_url: str, provider: Provider) -> AsyncIterator[Center]:
    """Serve, by the clock that the provider has too."""
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        keys = key_settings(folder)
        made = settings(folder, database_url, oidc_issuers=(provider.issuer,), **keys)
        clock = ManualClock(wall_ms=SystemClock().now().wall_ms)
        async with serving(made, clock) as center:
            yield center


@pytest.fixture
async def admin(center: Center) -> Person:
    """Bring the tenant's administrator."""
    return await center.administrator()


def person(center: Center, session: dict[str, str]) -> Person:
    return Person(center, session["user"], session["access_token"])


@pytest.mark.parametrize("client", ["public", "sealed"])
async def test_somebody_signs_in_and_has_the_roles_of_their_groups(
    center: Center, admin: Person, provider: Provider, client: str
) -> None:
    secret = {"client_secret": CLIENT_SECRET} if client == "sealed" else {}
    body = settings_of(
        provider, client_id=client, creates_users=True,
        roles={"leads": [Role.MANAGER], "others": [Role.AUDITOR]}, **secret,
    )  # fmt: skip
    assert (await put(admin, body)).status == 200
    reply = await sign_in(center, "ada")
    assert reply.status == 201, reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    ada = person(center, reply.json)
    assert (await ada.get("/v1/me")).json["roles"] == ["role:manager"]
    user = (await admin.get(f"/v1/users/{ada.id}")).json
    assert (user["login"], user["name"]) == ("ada", "Ada L.")
    again = await sign_in(center, "ada")
    assert again.json["user"] == ada.id, "the same, not another"
    renew = {"refresh_token": again.json["refresh_token"]}
    assert (await center.ask("POST", "/v1/sessions/refresh", renew)).status == 201
    async with center.services.database.read() as connection:
        told = await connection.execute(select(AuditRow.action, AuditRow.detail))
        actions = sorted(row.action for row in told if "oidc" in str(row.detail))
    assert actions == ["session:begin", "session:begin", "user:create"]


async def test_roles_go_when_the_mapping_no_longer_gives_them(
    center: Center, admin: Person, provider: Provider
) -> None:
    mapped = settings_of(provider, creates_users=True, roles={"leads": [Role.MANAGER]})
    await put(admin, mapped)
    ada = person(center, (await sign_in(center, "ada")).json)
    await put(admin, mapped | {"roles": {"nobody": [Role.MANAGER]}}, 1)
    await sign_in(center, "ada")
    assert (await ada.get("/v1/me")).json["roles"] == []


async def test_who_is_not_known_here_is_refused_unless_users_are_made(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider))
    reply = await sign_in(center, "bob")
    assert (reply.status, reply.error_id) == (401, "oidc-refused")
    made = {"login": "bob", "name": "Bob", "roles": [Role.MANAGER]}
    user = (await admin.post("/v1/users", made)).json
    reply = await sign_in(center, "bob")
    assert reply.json["user"] == user["id"]
    assert (await person(center, reply.json).get("/v1/me")).json["roles"] == ["role:manager"]


async def test_a_name_at_the_provider_opens_no_account_that_has_a_password(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider, creates_users=True))
    made = {"login": "ada", "name": "Another Ada", "password": "a long password of hers"}
    assert (await admin.post("/v1/users", made)).status == 201
    assert (await sign_in(center, "ada")).error_id == "oidc-refused"


async def test_a_disabled_user_is_refused_at_once(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider, creates_users=True))
    ada = person(center, (await sign_in(center, "ada")).json)
    await admin.ask("PATCH", f"/v1/users/{ada.id}", {"is_active": False}, {"If-Match": '"1"'})
    assert (await ada.get("/v1/me")).status == 401
    assert (await sign_in(center, "ada")).error_id == "oidc-refused"


async def test_a_state_is_good_once_and_a_code_with_another_state_is_no_good(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider, creates_users=True))
    begun = (await begin(center)).json
    back = await browse(begun["authorization_url"], "ada")
    assert (await complete(center, begun, back)).status == 201
    assert (await complete(center, begun, back)).error_id == "oidc-refused"
    other = (await begin(center)).json
    spent = await browse(other["authorization_url"], "ada")
    mixed = spent | {"state": (await begin(center)).json["state"]}
    assert (await complete(center, other, mixed)).error_id == "oidc-refused"
    # The code of one sign-in with the state of another: PKCE and nonce are the other's.
    third = (await begin(center)).json
    crossed = {"state": third["state"], "code": spent["code"]}
    assert (await complete(center, third, crossed)).error_id == "oidc-refused"


async def test_a_sign_in_that_takes_longer_than_ten_minutes_is_over(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider, creates_users=True))
    begun = (await begin(center)).json
    back = await browse(begun["authorization_url"], "ada")
    center.clock.advance(FLOW_MS / 1000)
    assert (await complete(center, begun, back)).error_id == "oidc-refused"


async def test_an_answer_that_somebody_else_began_is_refused(
    center: Center, admin: Person, provider: Provider
) -> None:
    """Else a stranger could have a victim's browser sign in as the stranger."""
    await put(admin, settings_of(provider, creates_users=True))
    theirs, mine = (await begin(center)).json, (await begin(center)).json
    back = await browse(theirs["authorization_url"], "ada")
    assert (await complete(center, mine, back)).error_id == "oidc-refused"
    assert (await complete(center, theirs, back)).error_id == "oidc-refused", "and it is spent"


async def test_an_answer_in_the_name_of_another_issuer_is_refused(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider, creates_users=True))
    begun = (await begin(center)).json
    back = await browse(begun["authorization_url"], "ada")
    said = {**back, "holder": begun["holder"], "iss": "https://evil.example"}
    reply = await center.ask("POST", "/v1/oidc/complete", said)
    assert reply.error_id == "oidc-refused"


async def test_the_browser_is_sent_with_pkce_nonce_and_nothing_secret(
    center: Center, admin: Person, provider: Provider
) -> None:
    await put(admin, settings_of(provider))
    begun = (await begin(center)).json
    asked = {k: v[0] for k, v in parse_qs(urlsplit(begun["authorization_url"]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == REDIRECT
    assert len(asked["nonce"]) == len(asked["state"]) == 43
    assert begun["holder"] not in begun["authorization_url"]
    async with center.services.database.read() as connection:
        (flow,) = (await connection.execute(select(*FlowRow.__table__.columns))).all()
    assert flow.verifier not in begun["authorization_url"]
    assert begun["state"] not in str(flow)
    assert begun["holder"] not in str(flow)
    assert flow.until_ms - center.services.clock.now().wall_ms <= FLOW_MS


async def test_only_what_the_tenant_has_set_and_operators_have_opened_is_asked(
    center: Center, admin: Person, provider: Provider
) -> None:
    assert (await begin(center)).error_id == "oidc-no-provider"
    closed = settings_of(provider) | {"issuer": "https://idp.example"}
    assert (await put(admin, closed)).error_id == "oidc-issuer-closed"
    await put(admin, settings_of(provider))
    assert (await begin(center, redirect=REDIRECT + "/x")).error_id == "oidc-no-provider"
    assert (await begin(center, tenant="nobody")).error_id == "oidc-no-provider"
    await put(admin, settings_of(provider, is_enabled=False), 1)
    assert (await begin(center)).error_id == "oidc-no-provider"


async def test_a_clients_secret_is_told_to_nobody_and_goes_with_no_other_issuer(
    center: Center, admin: Person, provider: Provider
) -> None:
    reply = await put(admin, settings_of(provider, client_secret=CLIENT_SECRET))
    assert reply.json["has_client_secret"]
    assert CLIENT_SECRET.encode() not in reply.body
    async with center.services.database.read() as connection:
        rows = (await connection.execute(select(*ProviderRow.__table__.columns))).all()
    assert CLIENT_SECRET not in str(rows)
    assert (await put(admin, settings_of(provider), 1)).json["has_client_secret"]
    assert (await put(admin, settings_of(provider), 1)).status == 412


async def test_nobody_maps_groups_to_roles_that_they_may_not_give(
    center: Center, admin: Person, provider: Provider
) -> None:
    await center.tenant("t2")
    theirs = await center.person(Role.TENANT_ADMIN, tenant="t2")
    reply = await put(theirs, settings_of(provider, roles={"leads": [Role.SRE]}))
    assert reply.error_id == "grant-too-high"
    await put(admin, settings_of(provider))
    assert (await theirs.get("/v1/identity-provider")).status == 404


async def test_a_provider_that_is_away_is_told_so(database_url: str) -> None:
    issuer = "http://127.0.0.1:1/o"
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        made = settings(Path(name), database_url, oidc_issuers=(issuer,))
        async with serving(made) as center:
            body = {"issuer": issuer, "client_id": "x", "redirect_uris": [REDIRECT]}
            await put(await center.administrator(), body)
            assert (await begin(center)).error_id == "oidc-provider-away"
