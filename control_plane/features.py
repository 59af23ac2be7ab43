"""The features: the one place that names them all. A new folder adds a line to each list."""

from __future__ import annotations

from typing import Final

import control_plane.api.tables
import control_plane.approvals.tables
import control_plane.audit.tables
import control_plane.calls.tables
import control_plane.configuration.tables
import control_plane.history.tables
import control_plane.holds.tables
import control_plane.policies.tables
import control_plane.recordings.tables
import control_plane.tenants.tables
from control_plane.api.route import Feature
from control_plane.approvals.http import FEATURE as APPROVALS
from control_plane.audit.http import FEATURE as AUDIT
from control_plane.cases.http import FEATURE as CASES
from control_plane.configuration.http import FEATURE as CONFIGURATION
from control_plane.customers.http import FEATURE as CUSTOMERS
from control_plane.drills.http import FEATURE as DRILLS
from control_plane.events.http import FEATURE as EVENTS
from control_plane.knowledge.http import FEATURE as KNOWLEDGE
from control_plane.live.http import FEATURE as LIVE
from control_plane.oidc.http import FEATURE as OIDC
from control_plane.phones.http import FEATURE as PHONES
from control_plane.policies.http import FEATURE as POLICIES
from control_plane.readiness.http import FEATURE as READINESS
from control_plane.recordings.http import FEATURE as RECORDINGS
from control_plane.service_tokens.http import FEATURE as SERVICE_TOKENS
from control_plane.sign_in.http import FEATURE as SIGN_IN
from control_plane.tenancy.http import FEATURE as TENANCY
from control_plane.users.http import FEATURE as USERS

FEATURES: Final[tuple[Feature, ...]] = (
    APPROVALS,
    AUDIT,
    DRILLS,
    CUSTOMERS,
    CASES,  # after customers: it tells them what it holds
    SIGN_IN,
    OIDC,
    USERS,
    POLICIES,
    TENANCY,
    SERVICE_TOKENS,
    CONFIGURATION,
    LIVE,  # after configuration and customers: it follows the one's mirror for the other
    PHONES,  # after configuration: it uses the one's mirror and store
    READINESS,  # after configuration: it looks at its mirror
    KNOWLEDGE,
    EVENTS,  # after what it tells of
    RECORDINGS,
)

TABLES: Final = (
    # Imported so that the one registry knows them: a migration compares with it.
    control_plane.api.tables,
    control_plane.approvals.tables,
    control_plane.audit.tables,
    control_plane.calls.tables,
    control_plane.configuration.tables,
    control_plane.history.tables,
    control_plane.holds.tables,
    control_plane.policies.tables,
    control_plane.recordings.tables,
    control_plane.tenants.tables,
)
