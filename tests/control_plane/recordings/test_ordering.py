"""What is ordered to be deleted on request stands in the audit log, whatever dies in between."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event

from control_plane.errors import DatabaseUnavailableError
from control_plane.permissions import Role
from control_plane.recording_keys import deletions, keeping
from control_plane.recordings import caretaker
from tests.control_plane.customers.stage import approval
from tests.control_plane.recordings.sites import WHY, Sites, make

HERS = "1" * 24
PATH = f"/v1/recordings/{HERS}"


@pytest.fixture
async def sites(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sites]:
    for module in (caretaker, keeping):
        monkeypatch.setattr(module, "PERIOD_S", 0.05)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        yield await make(Path(name))


async def _told(sites: Sites) -> list[bool]:
    """Return what the audit log has of its deletion, the newest first."""
    auditor = await sites.centers["b"].person(Role.AUDITOR)
    found = (await auditor.get(f"/v1/audit?thing={HERS}")).json["items"]
    return [each["detail"]["is_done"] for each in found if each["action"] == "recording:delete"]


async def test_a_deletion_whose_commit_fails_behind_its_order_is_in_the_log_all_the_same(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = deletions.give
    async with sites.serving():
        await sites.recorded(HERS)
        center = sites.centers["a"]
        officer = await center.person(Role.PRIVACY_OFFICER)
        yes = await approval(
            center, "recording:delete", HERS, (await officer.get(PATH, **WHY)).json["digest"]
        )
        is_away: list[bool] = []

        async def give(*args: object) -> None:
            await given(*args)  # type: ignore[arg-type]
            is_away.append(True)

        def commit(_connection: object) -> None:
            if is_away:
                raise DatabaseUnavailableError

        monkeypatch.setattr(deletions, "give", give)
        event.listen(center.services.database.engine.sync_engine, "commit", commit)
        reply = await officer.ask("DELETE", PATH, headers=yes)
        is_away.clear()
        assert reply.status == 503
        assert await _told(sites) == [False]
        await sites.until_stated(f"recording:{HERS}")


async def test_a_deletion_is_in_the_log_before_its_order_and_when_it_is_given(
    sites: Sites,
) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        center = sites.centers["a"]
        officer = await center.person(Role.PRIVACY_OFFICER)
        digest = (await officer.get(PATH, **WHY)).json["digest"]
        yes = await approval(center, "recording:delete", HERS, digest)
        assert (await officer.ask("DELETE", PATH, headers=yes)).status == 204
        assert await _told(sites) == [True, False]
        again = await officer.ask("DELETE", PATH, headers=yes)
        assert again.status == 403, "used once"
