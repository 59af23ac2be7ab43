"""Credentials for the subject's own phone, and the life of what bars agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, TypeAlias

import structlog
from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Answer, Feature, Method, Route, Tx
from control_plane.background import running
from control_plane.configuration.desk import DESK
from control_plane.errors import UNAVAILABLE, ApiError, DatabaseUnavailableError, not_found
from control_plane.permissions import Permission
from control_plane.phones import secrets
from control_plane.phones.barrer import Barrer
from control_plane.phones.errors import NOT_ISSUED
from control_plane.phones.schemas import PhoneCredentialsView
from control_plane.services import SERVICES
from control_plane.subjects import Thing
from state.configuration_tables import REALM
from state.model import Agent, AgentId, Site
from state.phone_credentials import LIFETIME_S, PhoneSecret, issue
from state.snapshot import Snapshot, configured_site

log = structlog.get_logger()
Mine: TypeAlias = Ask[Nothing, Nothing, Nothing]
SECRET = web.AppKey("phone_secret", PhoneSecret)
_OWN: Final = "own"
_FAR_MS: Final = 1_000_000
"""Of a site whose distance nobody has said."""


async def sign_in(ask: Mine) -> Answer[PhoneCredentialsView]:
    """Issue credentials. It also goes on without the database: a phone has to renew them."""
    secret = ask.request.app.get(SECRET)
    if secret is None:
        raise ApiError(NOT_ISSUED)
    agent, home = _home(ask)
    given = issue(secret, agent.id, ask.now_ms // 1000 + LIFETIME_S)
    await _note(ask, agent)
    view = PhoneCredentialsView(
        aor=f"sip:{agent.id}@{REALM}",
        user=given.user,
        password=given.password,
        realm=REALM,
        expires=instant(given.until_s * 1000),
        registrar=home.sip,
        backups=backups(_snapshot(ask), home),
        site=home.id,
    )
    return Answer(body=view, headers={"Cache-Control": "no-store"})


async def _thing(ask: Mine) -> Thing:
    """Return the subject's own phone: of the agent whom the configuration has, in this tenant."""
    agent, _ = _home(ask)
    return Thing(kind="phone", tenant=agent.tenant, id=_OWN, agent=agent.id, site=agent.site)


def _home(ask: Mine) -> tuple[Agent, Site]:
    """Return the subject's agent and home site. Raise `not-found` where they take no calls.

    The home is the configured one, though it may be dead: the phone goes back to it by itself.
    """
    snapshot = _snapshot(ask)
    entry = snapshot.agents.get(AgentId(ask.subject.agent))
    if entry is None or entry.value.tenant != ask.tenant or ask.subject.tenant != ask.tenant:
        raise not_found()
    site = snapshot.sites.get(configured_site(snapshot, entry.value.id))
    if site is None:
        raise not_found()
    return entry.value, site.value


def backups(snapshot: Snapshot, home: Site) -> tuple[str, ...]:
    """Return the proxies of the other sites, the nearest to the home site first."""
    others = (entry.value for entry in snapshot.sites.values() if entry.value.id != home.id)
    near = sorted(others, key=lambda site: (home.distance_ms.get(site.id, _FAR_MS), site.id))
    return tuple(site.sip for site in near)


def _snapshot(ask: Mine) -> Snapshot:
    mirror = ask.request.app[DESK].mirror
    if mirror is None or mirror.snapshot.revision == 0:
        raise ApiError(UNAVAILABLE, "The shared state cannot be seen from here.")
    return mirror.snapshot


async def _note(ask: Mine, agent: Agent) -> None:
    try:
        async with ask.services.database.write() as connection:
            ask.connection = connection
            await ask.audit(agent.id, detail={"site": agent.site})
    except DatabaseUnavailableError:
        log.warning("phone_sign_in_not_audited", subject=ask.subject.id, agent=agent.id)
    finally:
        ask.connection = None


async def context(app: web.Application) -> AsyncIterator[None]:
    """Read the secret, and bar agents while the application runs."""
    services, desk = app[SERVICES], app[DESK]
    if services.settings.phone_secrets is not None:
        app[SECRET] = secrets.load(services.settings.phone_secrets)
    if desk.mirror is None or desk.store is None:
        yield
        return
    barrer = Barrer(
        store=desk.store, mirror=desk.mirror, database=services.database, clock=services.clock
    )
    async with running("phones", barrer.run):
        yield


FEATURE = Feature(
    name="phones",
    context=context,
    routes=(
        Route(
            method=Method.POST,
            path="/v1/me/phone",
            summary="Get credentials for my phone, good for five minutes",
            access=Permission.PHONE_SIGN_IN,
            handler=sign_in,
            thing=_thing,
            answer=PhoneCredentialsView,
            status=201,
            tx=Tx.NONE,
            problems=(NOT_ISSUED,),
        ),
    ),
)
