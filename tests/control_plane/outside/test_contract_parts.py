"""schemathesis finds nothing unexplained. EVERLINE_CONTRACT_S=600 looks longer, by another seed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
import structlog

from control_plane.app import ROUTES
from control_plane.permissions import Role
from tests.control_plane.outside.contract import (
    REASONS,
    Effort,
    Objection,
    Reason,
    ask,
    asked,
)
from tests.control_plane.outside.served import served

pytestmark = pytest.mark.parts
LONG_S = int(os.environ.get("EVERLINE_CONTRACT_S", "0"))
SHORT_S = 20
EVERYTHING = (
    Role.MANAGER, Role.SRE, Role.TENANT_ADMIN, Role.PRIVACY_OFFICER, Role.AUDITOR,
    Role.SUPERVISOR, Role.QUALITY, Role.AGENT,
)  # fmt: skip


def test_a_reason_explains_its_own_and_nothing_else() -> None:
    reason = Reason("zones have names", "a_check", "invalid", "is no time zone")
    said = {"error_id": "invalid", "faults": [{"where": "body", "fault": "'x' is no time zone"}]}
    found = Objection("a_check", "POST /v1/calendars", 422, "", said, "")
    assert reason.explains(found)
    assert not reason.explains(Objection("another", "", 422, "", said, ""))
    other = {"error_id": "invalid", "faults": [{"where": "body.name", "fault": "too long"}]}
    assert not reason.explains(Objection("a_check", "", 422, "", other, ""))
    assert not reason.explains(Objection("a_check", "", 500, "", {"error_id": "fault"}, ""))


@pytest.mark.longer(LONG_S)
async def test_schemathesis_finds_nothing_unexplained(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with served() as serving:
            center = serving.center
            person = await center.person(*EVERYTHING, agent="anna", team="north", site="a")
            await person.post("/v1/sites", {"id": "a", "sip": "198.18.1.10:5060"})
            await person.post("/v1/queues", {"id": "sales", "needs": {"sales": 3}})
            report = tmp_path / "report.ndjson"
            effort = Effort(lasts_s=SHORT_S, seed=1, examples=5)
            if LONG_S:
                effort = Effort(lasts_s=LONG_S, seed=secrets.randbelow(10**6), examples=200)
            found = await ask(serving.url, person.token, report, effort)
    faults = [each for each in logs if each["event"] == "request_failed"]
    assert not faults, faults[:3]
    unexplained = [each for each in found if not any(reason.explains(each) for reason in REASONS)]
    told = "\n".join(sorted({str(each) for each in unexplained}))
    assert not unexplained, f"seed {effort.seed}\n{told}"
    share = len(asked(report)) / (len(ROUTES) - 1)
    assert share > 0.5, f"of all endpoints only {share:.0%} were asked"
