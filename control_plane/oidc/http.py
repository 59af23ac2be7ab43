"""The endpoints of a tenant's provider, and of signing in by it."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from typing import TypeAlias
from urllib.parse import urlencode

import structlog
from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Answer, Feature, Method, Public, Route, Tx
from control_plane.errors import VERSION_MISMATCH, ApiError, not_found
from control_plane.keys.envelope import SealError
from control_plane.keys.provider import LocalFile
from control_plane.oidc import claims, people, store
from control_plane.oidc.errors import AWAY, ISSUER_CLOSED, NO_PROVIDER, NO_SECRETS, REFUSED
from control_plane.oidc.peer import Discovery, Peer, PeerError, client
from control_plane.oidc.redirects import is_registered
from control_plane.oidc.schemas import (
    Begin,
    Begun,
    Complete,
    ProviderBody,
    ProviderDraft,
    ProviderView,
)
from control_plane.permissions import Permission
from control_plane.services import SERVICES
from control_plane.sign_in import store as sessions
from control_plane.sign_in.guard import origin
from control_plane.sign_in.http import session_of
from control_plane.sign_in.schemas import Session
from control_plane.subjects import Thing
from control_plane.tokens import digest_of
from control_plane.users.errors import GRANT_TOO_HIGH, LOGIN_TAKEN
from control_plane.users.service import check_grant

log = structlog.get_logger()
Plain: TypeAlias = Ask[Nothing, Nothing, Nothing]
Put: TypeAlias = Ask[Nothing, Nothing, ProviderDraft]
BeginAsk: TypeAlias = Ask[Nothing, Nothing, Begin]
CompleteAsk: TypeAlias = Ask[Nothing, Nothing, Complete]
PEER = web.AppKey("oidc_peer", Peer)
SEALER = web.AppKey("oidc_sealer", LocalFile)
_SECRET = "oidc client secret"  # noqa: S105 - what it is bound to


# ---- the provider --------------------------------------------------------------------------------


async def show(ask: Plain) -> Answer[ProviderView]:
    """Return the tenant's provider."""
    found = await store.find(ask.db, ask.tenant)
    if found is None:
        raise not_found()
    return Answer(body=_view(found), version=found.version)


async def put(ask: Put) -> Answer[ProviderView]:
    """Set the tenant's provider; the first time, If-Match is "0"."""
    held = await store.find(ask.db, ask.tenant)
    version = 0 if held is None else held.version
    if ask.version != version:
        raise ApiError(VERSION_MISMATCH)
    if not _is_open(ask, ask.body.issuer):
        raise ApiError(ISSUER_CLOSED)
    for roles in ask.body.roles.values():
        check_grant(ask.subject, roles)
    body = ProviderBody.model_validate(ask.body.model_dump(exclude={"client_secret"}))
    made = store.Provider(
        tenant=ask.tenant,
        body=body,
        wrapped_secret=await _wrapped(ask, held),
        updated_ms=ask.now_ms,
        version=version + 1,
    )
    if not await store.put(ask.db, made):
        raise ApiError(VERSION_MISMATCH)
    await ask.audit(ask.tenant, detail=_told(body))
    return Answer(body=_view(made), version=made.version)


def _told(body: ProviderBody) -> dict[str, object]:
    """Return what the audit log keeps of a provider: who lets people in, and what as."""
    return {
        "issuer": body.issuer,
        "is_enabled": body.is_enabled,
        "client_id": body.client_id,
        "creates_users": body.creates_users,
        "roles": {group: sorted(roles) for group, roles in body.roles.items()},
    }


async def _wrapped(ask: Put, held: store.Provider | None) -> bytes | None:
    secret = ask.body.client_secret
    if secret is None:
        # Another issuer must not come by the secret of the one before.
        is_same = held is not None and held.body.issuer == ask.body.issuer
        return held.wrapped_secret if held is not None and is_same else None
    sealer = ask.request.app.get(SEALER)
    if sealer is None:
        raise ApiError(NO_SECRETS)
    return await sealer.wrap(ask.tenant, _SECRET, secret.encode())


def _view(provider: store.Provider) -> ProviderView:
    return ProviderView(
        **provider.body.model_dump(),
        has_client_secret=provider.wrapped_secret is not None,
        updated=instant(provider.updated_ms),
    )


def _is_open(ask: Put | BeginAsk | CompleteAsk, issuer: str) -> bool:
    return issuer in ask.services.settings.oidc_issuers


async def _thing(ask: Plain | Put) -> Thing:
    return Thing(kind="identity_provider", tenant=ask.tenant, id=ask.tenant)


# ---- signing in ----------------------------------------------------------------------------------


async def begin(ask: BeginAsk) -> Answer[Begun]:
    """Say where the browser has to go."""
    async with ask.services.database.read() as connection:
        provider = await store.find(connection, ask.body.tenant)
    if provider is None or not provider.body.is_enabled or not _is_open(ask, provider.body.issuer):
        raise ApiError(NO_PROVIDER)
    if not is_registered(ask.body.redirect_uri, provider.body.redirect_uris):
        raise ApiError(NO_PROVIDER)
    discovery = await _discovered(ask, provider.body.issuer)
    async with ask.services.database.write() as connection:
        uri = ask.body.redirect_uri
        flow, state, holder = await store.begin(connection, provider, uri, ask.now_ms)
    asked = {
        "response_type": "code",
        "client_id": provider.body.client_id,
        "redirect_uri": flow.redirect_uri,
        "scope": " ".join(provider.body.scopes),
        "state": state,
        "nonce": flow.nonce,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
    }
    joined = "&" if "?" in discovery.authorization_endpoint else "?"
    body = Begun(
        authorization_url=f"{discovery.authorization_endpoint}{joined}{urlencode(asked)}",
        state=state,
        holder=holder,
        expires=instant(flow.until_ms),
    )
    return Answer(body=body, headers={"Cache-Control": "no-store"})


async def complete(ask: CompleteAsk) -> Answer[Session]:
    """Open a session for whom the provider vouches for. The state is good once, whatever comes."""
    said = ask.body
    async with ask.services.database.write() as connection:
        flow = await store.take(connection, said.state, ask.now_ms)
        provider = None if flow is None else await store.find(connection, flow.tenant)
    if flow is None or provider is None:
        raise _refused("", "no such sign-in")
    if not hmac.compare_digest(flow.holder_digest, digest_of(said.holder)):
        raise _refused(flow.tenant, "not its holder")
    if provider.version != flow.provider_version or not _is_open(ask, provider.body.issuer):
        raise _refused(flow.tenant, "the provider was changed meanwhile")
    try:
        person = await _vouched(ask, provider, flow)
    except claims.ClaimsError as error:
        raise _refused(flow.tenant, str(error)) from error
    async with ask.services.database.write() as connection:
        arrival = await people.user_of(connection, flow.tenant, provider.body, person, ask.now_ms)
        user = arrival.user
        opened = await sessions.begin(connection, user, flow.tenant, ask.now_ms, origin(ask))
        ask.connection = connection
        by: dict[str, object] = {"by": "oidc", "issuer": provider.body.issuer}
        if arrival.detail:
            await ask.audit(
                user,
                action=Permission.USER_CREATE if arrival.is_made else Permission.USER_UPDATE,
                kind="user",
                tenant=flow.tenant,
                actor=user,
                detail={**by, **arrival.detail},
            )
        await ask.audit(
            opened.session,
            action="session:begin",
            kind="session",
            tenant=flow.tenant,
            actor=user,
            detail=by,
        )
        ask.connection = None
    ask.services.subjects.forget(user)
    return Answer(body=session_of(ask, opened), headers={"Cache-Control": "no-store"})


async def _vouched(ask: CompleteAsk, provider: store.Provider, flow: store.Flow) -> claims.Person:
    """Exchange the code and read what comes. Raise `ClaimsError` or `oidc-provider-away`."""
    peer, body = ask.request.app[PEER], provider.body
    discovery = await _discovered(ask, body.issuer)
    is_named = bool(ask.body.iss) or discovery.authorization_response_iss_parameter_supported
    if is_named and ask.body.iss != body.issuer:
        raise claims.ClaimsError("another issuer's answer")
    try:
        token = await peer.exchange(
            discovery,
            body,
            code=ask.body.code,
            verifier=flow.verifier,
            redirect_uri=flow.redirect_uri,
            client_secret=await _secret(ask, provider),
        )
    except PeerError as error:
        raise claims.ClaimsError(f"code: {error}") from error
    now_s = ask.now_ms // 1000
    try:
        keys = await peer.keys(discovery)
        try:
            return claims.read(token, keys, body, flow.nonce, now_s)
        except claims.UnknownKeyError:
            keys = await peer.keys(discovery, anew=True)
            return claims.read(token, keys, body, flow.nonce, now_s)
    except PeerError as error:
        raise _away(body.issuer, error) from error


async def _secret(ask: CompleteAsk, provider: store.Provider) -> str | None:
    if provider.wrapped_secret is None:
        return None
    sealer = ask.request.app.get(SEALER)
    if sealer is None:
        raise ApiError(NO_SECRETS)
    try:
        return (await sealer.unwrap(provider.tenant, _SECRET, provider.wrapped_secret)).decode()
    except SealError as error:
        raise ApiError(NO_SECRETS) from error


async def _discovered(ask: BeginAsk | CompleteAsk, issuer: str) -> Discovery:
    try:
        return await ask.request.app[PEER].discover(issuer)
    except PeerError as error:
        raise _away(issuer, error) from error


def _away(issuer: str, error: PeerError) -> ApiError:
    log.warning("oidc_provider_away", issuer=issuer, because=str(error))
    return ApiError(AWAY)


def _refused(tenant: str, why: str) -> ApiError:
    log.warning("oidc_refused", tenant=tenant, because=why)
    return ApiError(REFUSED)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Have something to ask providers with."""
    if path := app[SERVICES].settings.customer_keys:
        app[SEALER] = LocalFile.load(path)
    async with client() as asking:
        app[PEER] = Peer(asking)
        yield


FEATURE = Feature(
    name="oidc",
    context=context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/identity-provider",
            summary="Show the tenant's identity provider",
            access=Permission.IDENTITY_PROVIDER_READ,
            handler=show,
            thing=_thing,
            answer=ProviderView,
            is_versioned=True,
        ),
        Route(
            method=Method.PUT,
            path="/v1/identity-provider",
            summary="Set the tenant's identity provider",
            access=Permission.IDENTITY_PROVIDER_UPDATE,
            handler=put,
            thing=_thing,
            body=ProviderDraft,
            answer=ProviderView,
            is_versioned=True,
            problems=(GRANT_TOO_HIGH, ISSUER_CLOSED, NO_SECRETS),
        ),
        Route(
            method=Method.POST,
            path="/v1/oidc/begin",
            summary="Begin to sign in by the tenant's identity provider",
            access=Public("it is how one comes to have a token"),
            handler=begin,
            body=Begin,
            answer=Begun,
            status=201,
            tx=Tx.NONE,
            problems=(NO_PROVIDER, AWAY),
        ),
        Route(
            method=Method.POST,
            path="/v1/oidc/complete",
            summary="Open a session with the identity provider's answer",
            access=Public("the provider says who it is"),
            handler=complete,
            body=Complete,
            answer=Session,
            status=201,
            tx=Tx.NONE,
            problems=(REFUSED, AWAY, NO_SECRETS, LOGIN_TAKEN),
        ),
    ),
)
