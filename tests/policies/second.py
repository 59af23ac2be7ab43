"""A second person's yes as a case has it: given over the API, and then spoilt as the case says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from control_plane.approvals.request import GLASS_MS
from control_plane.approvals.store import REQUEST
from control_plane.approvals.tables import ApprovalRow, RequestRow
from control_plane.permissions import Permission, Role
from control_plane.proof import Case
from control_plane.users.tables import UserRow
from tests.control_plane.center import Center, Person

OTHER = "q7another"
"""A thing, a state or an act that is not the one that was approved."""


class Second:
    """Somebody of another reporting line."""

    def __init__(self, center: Center) -> None:
        self._center = center

    async def approve(self, act: str, thing: str, digest: str) -> str:
        """Say yes beforehand; return the approval's id."""
        second = await self._center.person(Role.MANAGER, team="q7second")
        said = {"act": act, "thing": thing, "digest": digest}
        given = await second.post("/v1/approvals", said)
        assert given.status == 201, given.body
        return str(given.json["id"])

    async def permit(
        self, person: Person, thing: str, act: str = "glass:break", digest: str = ""
    ) -> str:
        """Say yes to what `person` asks for, broken glass by default; return the request's id."""
        body = {"act": act, "things": [thing], "digest": digest, "why": "x", "ticket": "INC-1"}
        made = await person.post("/v1/approval-requests", body)
        second = await self._center.person(Role.MANAGER, team="q7second")
        path = f"/v1/approval-requests/{made.json['id']}/approve"
        assert (await second.post(path, None)).status == 200
        return str(made.json["id"])

    async def glass(self, person: Person, case: Case, thing: str) -> str:
        """Have `person` break the glass, as the case has it; return what is sent in the header."""
        told = case.around["glass"]
        named = thing if case.thing.get("id", "r1") == "r1" else "0" * 24
        request = await self.permit(person, named)
        broken = await person.post("/v1/break-glass", None, {"Everline-Approval": request})
        assert broken.status == 201, broken.body
        values: dict[str, Any] = {}
        if "until_ms" in told:
            values["used_ms"] = self._now_ms - GLASS_MS
        if "ticket" in told:
            values["ticket"] = told["ticket"]
        await self._change(request, values)
        return request

    async def spoil(self, approval: str, case: Case, person: Person, team: str) -> None:
        """Make of a good approval the one that the case speaks of."""
        told = case.around["approval"]
        is_request = approval.startswith(f"{REQUEST}_")
        by, by_team = ("decided_by", "decided_by_team") if is_request else ("by", "by_team")
        values: dict[str, Any] = {}
        if "by" in told:
            values[by] = person.id
        if told.get("same_line"):
            values |= {by_team: team, **({"by_team": team} if is_request else {})}
        if told.get("is_used"):
            values["used_ms"] = self._now_ms
        if "until_ms" in told:
            values["until_ms"] = self._now_ms
        if told.get("act", Permission.RECORDING_EXPORT) != case.may:
            values["act"] = told.get("act", Permission.RECORDING_EXPORT.value)
        if not is_request and told.get("thing", "r1") != case.thing.get("id"):
            values["thing"] = OTHER
        if case.thing.get("digest") != "d":
            values["digest"] = OTHER
        await self._change(approval, values)
        if told.get("still_may") is False:
            async with self._center.services.database.write() as connection:
                await connection.execute(
                    update(UserRow).where(UserRow.team == "q7second").values(is_active=False)
                )

    @property
    def _now_ms(self) -> int:
        return self._center.clock.now().wall_ms

    async def _change(self, approval: str, values: dict[str, Any]) -> None:
        if not values:
            return
        table: Any = RequestRow if approval.startswith(f"{REQUEST}_") else ApprovalRow
        async with self._center.services.database.write() as connection:
            await connection.execute(update(table).where(table.id == approval).values(**values))
