"""What a handler gets: the checked request, who asks, the transaction, and the policy to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.deciding import decided
from control_plane.api.route import AnyRoute, BodyT, PathT, QueryT
from control_plane.audit import store as audit
from control_plane.audit.entry import ALLOWED, Entry
from control_plane.audit.errors import AUDIT_UNAVAILABLE
from control_plane.audit.ledger import FAILURES
from control_plane.authz import Decision
from control_plane.errors import SIGN_IN_NEEDED, ApiError
from control_plane.permissions import LIVE_CALL, Permission
from control_plane.services import SERVICES, Services
from control_plane.subjects import Circumstances, Question, Subject, Thing
from state.discreet import fault

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Ask(Generic[PathT, QueryT, BodyT]):
    """One request, checked against its route."""

    request: web.Request
    route: AnyRoute
    at: PathT
    query: QueryT
    body: BodyT
    request_id: str
    now_ms: int
    who: Subject | None = None
    """None only where the route is public."""
    is_fresh: bool = True
    """False: the database is away, and this is who they last were."""
    tenant: str = ""
    """Where the request acts."""
    version: int | None = None
    """What If-Match said, where the route needs it."""
    around: Circumstances
    connection: AsyncConnection | None = None
    decision: Decision | None = None
    thing: Thing | None = None
    """What was decided on."""
    shown: set[Permission] = field(default_factory=set)
    """Groups of fields that the policy has allowed in this request."""
    is_audited: bool = False
    is_sealed: bool = False

    @property
    def services(self) -> Services:
        """Return what all features share."""
        return self.request.app[SERVICES]

    @property
    def db(self) -> AsyncConnection:
        """Return the request's transaction."""
        if self.connection is None:
            raise RuntimeError(f"{self.route.name} declared that it needs no transaction")
        return self.connection

    @property
    def subject(self) -> Subject:
        """Return who asks."""
        if self.who is None:
            raise ApiError(SIGN_IN_NEEDED)
        return self.who

    def question(self, permission: Permission, thing: Thing) -> Question:
        """Return what there is to decide."""
        return Question(
            subject=self.subject,
            tenant=self.tenant,
            permission=permission,
            thing=thing,
            around=self.around,
        )

    def sees(self, thing: Thing, permission: Permission | None = None) -> bool:
        """Return whether the policy allows this (the route's own permission) for `thing`.

        A group of fields of which that is asked is told as shown in the audit log.
        """
        asked = permission or self.route.access
        is_allowed = self.may_see(thing, permission)
        if is_allowed and isinstance(asked, Permission) and "." in asked.kind:
            self.shown.add(asked)
        return is_allowed

    def may_see(self, thing: Thing, permission: Permission | None = None) -> bool:
        """Return what `sees` does, of what is not shown yet."""
        asked = permission or self.route.access
        if not isinstance(asked, Permission):
            raise TypeError(f"{self.route.name} is public: name the permission")
        if not self.is_fresh and asked not in LIVE_CALL:
            return False
        return decided(self.services.authz, self.question(asked, thing)).allowed

    async def audit(  # noqa: PLR0913 - each is a word of the entry
        self,
        thing: str,
        *,
        action: str | None = None,
        kind: str | None = None,
        detail: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        actor: str | None = None,
    ) -> None:
        """Write down what is being done to `thing`; every route that writes has to."""
        entry = self.entry(
            thing, action=action, kind=kind, detail=detail, tenant=tenant, actor=actor
        )
        await audit.add(self.db, entry)
        self.is_audited = True

    def note(self, thing: str, *, detail: Mapping[str, Any] | None = None) -> None:
        """Write it down a moment later: nobody waits for it."""
        self.services.journal.note(self.entry(thing, detail=detail))
        self.is_audited = True

    async def seal(self) -> None:
        """Put what this transaction has written down under a signed checkpoint.

        Raise `audit-unavailable`: then nothing of the transaction stands. Call it before what
        cannot be undone.
        """
        try:
            await self.services.ledger.seal(self.db)
        except FAILURES as error:
            log.error("audit_not_sealed", **fault(error))  # noqa: TRY400 - its text stays out
            raise ApiError(AUDIT_UNAVAILABLE) from error
        self.is_sealed = True

    def entry(  # noqa: PLR0913 - each is a word of the entry
        self,
        thing: str,
        *,
        action: str | None = None,
        kind: str | None = None,
        detail: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        actor: str | None = None,
        decision: str = ALLOWED,
    ) -> Entry:
        """Return the audit log's entry of what is being done to `thing`."""
        access = self.route.access
        permission = access if isinstance(access, Permission) else None
        version = self.services.authz.policy_of(self.tenant).version
        return Entry(
            tenant=tenant or self.tenant,
            at_ms=self.now_ms,
            actor=actor or (self.who.id if self.who else ""),
            action=action or (permission.value if permission else self.route.name),
            kind=kind or (permission.kind if permission else ""),
            thing=thing,
            policy_version=self.decision.policy_version if self.decision else version,
            request_id=self.request_id,
            site=self.services.settings.site,
            purpose=self.around.purpose,
            origin=self.request.remote or "",
            session=self.who.session if self.who else "",
            decision=decision,
            detail=detail or {},
        )
