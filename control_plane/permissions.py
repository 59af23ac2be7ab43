"""PURE. The permissions: what can be done to which kind of thing. In order of the alphabet.

A permission is `kind:act`. A kind with a dot is a group of fields (`customer.contact`). Policy
lines may name these and no others, and every endpoint names one or says that it is public.
"""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """`kind:act`."""

    AGENT_READ = "agent:read"
    AGENT_SET_STATE = "agent:set_state"
    AGENT_UPDATE = "agent:update"
    APPROVAL_GIVE = "approval:give"
    APPROVAL_READ = "approval:read"
    APPROVAL_REQUEST = "approval:request"
    ARTICLE_READ = "article:read"
    ARTICLE_WRITE = "article:write"
    AUDIT_EDIT = "audit:edit"
    """Nobody has it: it exists so that its denial can be proved."""
    AUDIT_READ = "audit:read"
    AUDIT_ORIGIN_READ_FULL = "audit.origin:read_full"
    """From which address something was asked: where people work and when."""
    CALENDAR_READ = "calendar:read"
    CALENDAR_UPDATE = "calendar:update"
    CALL_CODE = "call:code"
    CALL_EXPLAIN = "call:explain"
    CALL_MONITOR = "call:monitor"
    CALL_READ = "call:read"
    CALL_TRANSFER = "call:transfer"
    CONFIGURATION_READ = "configuration:read"
    CONFIGURATION_UPDATE = "configuration:update"
    CASE_CREATE = "case:create"
    CASE_READ = "case:read"
    CASE_UPDATE = "case:update"
    CUSTOMER_BASIC_READ_FULL = "customer.basic:read_full"
    CUSTOMER_BASIC_READ_MASKED = "customer.basic:read_masked"
    CUSTOMER_CONTACT_READ_FULL = "customer.contact:read_full"
    CUSTOMER_CONTACT_READ_MASKED = "customer.contact:read_masked"
    CUSTOMER_NOTES_READ_FULL = "customer.notes:read_full"
    CUSTOMER_NOTES_READ_MASKED = "customer.notes:read_masked"
    CUSTOMER_PAYMENT_READ_FULL = "customer.payment:read_full"
    CUSTOMER_PAYMENT_READ_MASKED = "customer.payment:read_masked"
    CUSTOMER_PAYMENT_WRITE = "customer.payment:write"
    CUSTOMER_CREATE = "customer:create"
    CUSTOMER_DELETE = "customer:delete"
    CUSTOMER_EXPORT = "customer:export"
    CUSTOMER_FIELDS = "customer:fields"
    CUSTOMER_HOLD = "customer:hold"
    CUSTOMER_IMPORT = "customer:import"
    CUSTOMER_MERGE = "customer:merge"
    CUSTOMER_SEARCH = "customer:search"
    CUSTOMER_SHRED = "customer:shred"
    CUSTOMER_UPDATE = "customer:update"
    DECISION_READ = "decision:read"
    DID_READ = "did:read"
    DID_UPDATE = "did:update"
    DRILL_READ = "drill:read"
    """That there are drills at all: whoever has it is told why one may not be run."""
    DRILL_RUN = "drill:run"
    GLASS_BREAK = "glass:break"
    HEALTH_READ = "health:read"
    IDENTITY_PROVIDER_READ = "identity_provider:read"
    IDENTITY_PROVIDER_UPDATE = "identity_provider:update"
    LEDGER_READ = "ledger:read"
    """How many calls came to what: sums, without callers, numbers, agents or calls."""
    MOVE_FORCE = "move:force"
    """Traffic, although it does not fit."""
    PHONE_SIGN_IN = "phone:sign_in"
    PLAN_ACTIVATE = "plan:activate"
    PLAN_READ = "plan:read"
    PLAN_UPDATE = "plan:update"
    POLICY_APPLY = "policy:apply"
    POLICY_PROPOSE = "policy:propose"
    POLICY_READ = "policy:read"
    QUEUE_READ = "queue:read"
    QUEUE_UPDATE = "queue:update"
    READINESS_READ = "readiness:read"
    """What would happen if a site died."""
    RECORDING_DELETE = "recording:delete"
    RECORDING_EDIT = "recording:edit"
    RECORDING_EXPORT = "recording:export"
    RECORDING_HOLD = "recording:hold"
    RECORDING_PAUSE = "recording:pause"
    RECORDING_PLAY = "recording:play"
    RECORDING_READ_METADATA = "recording:read_metadata"
    RECORDING_READ_PROOF = "recording:read_proof"
    RECORDING_TAG = "recording:tag"
    RECORDING_UNWRAP_KEY = "recording:unwrap_key"
    SERVICE_TOKEN_CREATE = "service_token:create"  # noqa: S105 - a permission
    SERVICE_TOKEN_READ = "service_token:read"  # noqa: S105 - likewise
    SERVICE_TOKEN_REVOKE = "service_token:revoke"  # noqa: S105 - likewise
    SESSION_CHANGE_PASSWORD = "session:change_password"  # noqa: S105 - a permission
    SESSION_END = "session:end"
    SESSION_READ = "session:read"
    SITE_DRAIN = "site:drain"
    SITE_READ = "site:read"
    SITE_SHARE = "site:share"
    SITE_UPDATE = "site:update"
    TEAM_READ = "team:read"
    TEAM_UPDATE = "team:update"
    TENANT_CREATE = "tenant:create"
    TENANT_LIST = "tenant:list"
    """All of them, by whoever runs the center."""
    TENANT_READ = "tenant:read"
    TENANT_UPDATE = "tenant:update"
    TRUNK_READ = "trunk:read"
    TRUNK_UPDATE = "trunk:update"
    USER_CREATE = "user:create"
    USER_GRANT = "user:grant"
    USER_READ = "user:read"
    USER_SESSIONS = "user:sessions"
    USER_UPDATE = "user:update"
    VOCABULARY_READ = "vocabulary:read"
    VOCABULARY_UPDATE = "vocabulary:update"

    @property
    def kind(self) -> str:
        """What it is done to."""
        return self.value.partition(":")[0]

    @property
    def act(self) -> str:
        """What is done."""
        return self.value.partition(":")[2]


KINDS = frozenset(each.kind for each in Permission)

LIVE_CALL = frozenset(
    {
        Permission.AGENT_READ,
        Permission.AGENT_SET_STATE,
        Permission.CALL_READ,
        Permission.CALL_TRANSFER,
        Permission.CUSTOMER_BASIC_READ_MASKED,
        Permission.CUSTOMER_CONTACT_READ_MASKED,
        Permission.QUEUE_READ,
        Permission.PHONE_SIGN_IN,
        Permission.RECORDING_PAUSE,
        Permission.SESSION_READ,
        Permission.SITE_READ,
    }
)
"""What whoever talks to a caller needs: decided from the last known policy and subject for a stated
time when the database is away. All else is refused then."""


def reading(kind: str) -> tuple[Permission, ...]:
    """Return the permissions by which something of `kind` may be seen at all.

    One group of its fields is enough.
    """
    return tuple(
        each
        for each in Permission
        if (each.kind == kind or each.kind.startswith(f"{kind}.")) and each.act.startswith("read")
    )


class Role(StrEnum):
    """Who somebody is. Policy lines name these; users are granted them in a tenant."""

    OUTSOURCED_AGENT = "role:outsourced_agent"
    AGENT = "role:agent"
    SUPERVISOR = "role:supervisor"
    MANAGER = "role:manager"
    QUALITY = "role:quality"
    AUDITOR = "role:auditor"
    SRE = "role:sre"
    PRIVACY_OFFICER = "role:privacy_officer"
    TENANT_ADMIN = "role:tenant_admin"
    BREAK_GLASS = "role:break_glass"
