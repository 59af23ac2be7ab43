"""What all features share, under one typed key of the application."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from control_plane.api.limits import Buckets
from control_plane.api.metrics import Metrics
from control_plane.audit.journal import Journal
from control_plane.audit.ledger import Ledger
from control_plane.authz import Authz
from control_plane.db.database import Database
from control_plane.settings import Settings
from control_plane.tokens import TokenKeys
from control_plane.who import SubjectBook
from state.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """A feature's own services get their own key in the feature's `context`."""

    settings: Settings
    clock: Clock
    database: Database
    authz: Authz
    subjects: SubjectBook
    tokens: TokenKeys
    cursor_key: bytes = field(repr=False)
    """Seals cursors, at every site alike; see `control_plane.api.paging`."""
    metrics: Metrics
    journal: Journal
    ledger: Ledger
    buckets: Buckets
    strangers: Buckets


SERVICES = web.AppKey("services", Services)
