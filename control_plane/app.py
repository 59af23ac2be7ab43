"""Builds the aiohttp application from settings: services, routes, and what has to run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Final

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane import first, tracing
from control_plane.api import binding, docstrings, health, middleware, openapi
from control_plane.api.limits import Buckets
from control_plane.api.metrics import Metrics
from control_plane.api.route import Routes
from control_plane.audit import keeping
from control_plane.audit.journal import Journal
from control_plane.audit.ledger import Ledger, Signer
from control_plane.authz import Authz
from control_plane.db.database import Database
from control_plane.db.migrate import migrate
from control_plane.docs_page import serve as docs_page
from control_plane.features import FEATURES
from control_plane.service_tokens import store as service_tokens
from control_plane.services import SERVICES, Services
from control_plane.settings import Settings
from control_plane.sign_in import store as sign_in
from control_plane.subjects import Subject
from control_plane.tokens import SERVICE, TokenKeys
from control_plane.users import store as users
from control_plane.web import serve as web_pages
from control_plane.who import SubjectBook
from state.clock import Clock

API_VERSION: Final = "1.0"
ROUTES: Final[Routes] = tuple(route for feature in FEATURES for route in feature.routes)


def build(settings: Settings, clock: Clock) -> web.Application:
    """Return the application. Raise `SettingsError` or `PolicyError`; nothing is connected yet."""
    limits = settings.limits
    tokens = TokenKeys.load(settings.signing_key, settings.older_keys)
    database = Database.open(settings.database)
    app = web.Application(middlewares=[middleware.around], client_max_size=limits.body_bytes)
    app[SERVICES] = Services(
        settings=settings,
        clock=clock,
        database=database,
        authz=Authz.load(settings.policies),
        subjects=SubjectBook(database, _load_subject, users.load_subjects),
        tokens=tokens,
        cursor_key=tokens.derived(b"everline cursors"),
        metrics=Metrics(),
        journal=Journal(database),
        ledger=Ledger(Signer.load(settings.site, settings.audit) if settings.audit else None),
        buckets=Buckets(limits.subject_rate, limits.subject_burst),
        strangers=Buckets(limits.stranger_rate, limits.stranger_burst),
    )
    app.on_response_prepare.append(middleware.sign)
    tracing.add(app, settings, database)
    app.cleanup_ctx.append(tracing.context)
    app[health.OPENAPI] = health.Document(_openapi)
    app.cleanup_ctx.append(_database)
    app.cleanup_ctx.append(keeping.context)
    for feature in FEATURES:
        if feature.context is not None:
            app.cleanup_ctx.append(feature.context)
        if feature.shutdown is not None:
            app.on_shutdown.append(feature.shutdown)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, binding.bind(route))
    health.add(app)
    docs_page.add(app)
    web_pages.add(app)
    return app


@cache
def _openapi() -> bytes:
    """Return the document; the same for every application of this process."""
    return msgspec.json.encode(openapi.document(ROUTES, API_VERSION, docstrings.of_fields))


async def _load_subject(connection: AsyncConnection, who: str, session: str) -> Subject | None:
    if session == SERVICE:
        return await service_tokens.load_subject(connection, who)
    return await sign_in.load_subject(connection, who, session)


async def _database(app: web.Application) -> AsyncIterator[None]:
    services = app[SERVICES]
    try:
        await migrate(services.database)
        if file := services.settings.first_password:
            now_ms, site = services.clock.now().wall_ms, services.settings.site
            await first.ensure(services.database, file, now_ms=now_ms, site=site)
        yield
    finally:
        await services.database.close()
