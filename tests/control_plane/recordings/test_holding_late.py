"""A legal hold on what was ordered to be deleted: it wins until the deletion has begun."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control_plane.permissions import Role
from control_plane.recording_keys import deletions, keeping
from control_plane.recordings import caretaker
from control_plane.recordings.beginning import begin
from control_plane.recordings.shelf import ARCHIVE
from tests.control_plane.center import Person, Reply
from tests.control_plane.customers.stage import approval
from tests.control_plane.recordings.sites import NUMBER, WHY, Sites, make

HERS, OTHERS = "1" * 24, "2" * 24
DAY_S = 86_400


@pytest.fixture
async def sites(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sites]:
    """Two sites that carry out what has begun, and begin nothing by themselves."""
    for module in (caretaker, keeping):
        monkeypatch.setattr(module, "PERIOD_S", 0.05)

    async def later(*_: object) -> int:
        return 0

    monkeypatch.setattr(caretaker, "begin", later)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        yield await make(Path(name))


async def begun(sites: Sites, site: str = "b") -> int:
    """Let a site do what it does every two seconds."""
    center = sites.centers[site]
    return await begin(center.services.database, center.app[ARCHIVE], sites.clock.now().wall_ms)


async def ordered(sites: Sites, officer: Person, call: str) -> None:
    """Have a recording deleted by two people."""
    path = f"/v1/recordings/{call}"
    digest = (await officer.get(path, **WHY)).json["digest"]
    yes = await approval(sites.centers["a"], "recording:delete", call, digest)
    done = await officer.ask("DELETE", path, headers=yes | WHY)
    assert done.status == 204, done.body


async def held(officer: Person, call: str, *, version: str = '"0"') -> Reply:
    """Put a recording under hold."""
    body = {"has_legal_hold": True, "because": "court order 7"}
    return await officer.ask(
        "PUT", f"/v1/recordings/{call}/hold", body, WHY | {"If-Match": version}
    )


async def in_the_log(sites: Sites, call: str, action: str) -> list[dict[str, Any]]:
    """Return the details of what the audit log has of a recording, by what was done."""
    auditor = await sites.centers["b"].person(Role.AUDITOR)
    found = (await auditor.get(f"/v1/audit?thing={call}")).json["items"]
    return [each["detail"] for each in found if each["action"] == action]


async def test_a_hold_takes_a_deletion_back_of_which_nothing_was_carried_out(sites: Sites) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        manager = await sites.centers["b"].person(Role.MANAGER)
        audio = f"/v1/recordings/{HERS}/audio"
        await ordered(sites, officer, HERS)
        assert (await manager.get(audio, **WHY)).error_id == "recording-deleted"

        assert (await held(officer, HERS)).status == 200
        assert (await manager.get(audio, **WHY)).status == 200
        assert await sites.deletions(officer) == {}
        (told,) = await in_the_log(sites, HERS, "recording:hold")
        assert told["deletion_taken_back"]["rule"] == "request"
        assert officer.id in told["deletion_taken_back"]["detail"]
        assert await begun(sites) == 0
        for site in "ab":
            assert await sites.centers[site].app[ARCHIVE].carry_out(1) == 0
            assert await sites.opens(site, HERS)


async def test_a_hold_on_what_is_being_deleted_is_refused_and_is_none(sites: Sites) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        await ordered(sites, officer, HERS)
        assert await begun(sites) == 1
        late = await held(officer, HERS)
        assert (late.status, late.error_id) == (410, "recording-deleted")
        assert "has begun" in late.json["detail"]
        shown = await officer.get(f"/v1/recordings/{HERS}/hold", **WHY)
        assert shown.json["has_legal_hold"] is False
        await sites.until_stated(f"recording:{HERS}")
        assert [sites.objects(site, HERS) for site in "ab"] == [[], []]
        assert (await held(officer, HERS)).error_id == "recording-deleted"


async def test_a_customer_s_hold_takes_back_what_retention_has_ordered(sites: Sites) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        await sites.recorded(OTHERS)
        admin = await sites.centers["a"].administrator()
        version = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
        await admin.ask("PATCH", "/v1/tenant", {"recording_retention_days": 30}, version)
        sites.clock.advance(31 * DAY_S)
        assert await sites.swept("a") == 2

        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        first = WHY | {"If-Match": '"1"'}
        path = f"/v1/customers/{customer}/hold"
        assert (await officer.ask("PUT", path, {"has_legal_hold": True}, first)).status == 200
        assert await begun(sites) == 1
        told = await sites.until_stated(f"recording:{OTHERS}")
        assert set(told) == {f"recording:{OTHERS}"}
        assert [await sites.opens(site, HERS) for site in "ab"] == [True, True]
        assert await in_the_log(sites, HERS, "recording:keep") == [
            {"deletion_taken_back": {"rule": "retention", "detail": "30 days"}}
        ]
        assert await sites.swept("a") == 0


async def test_an_erasure_waits_for_no_hold_also_of_what_was_ordered_before(sites: Sites) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        await sites.recorded(OTHERS, caller=NUMBER)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        await ordered(sites, officer, OTHERS)
        archive = sites.centers["a"].app[ARCHIVE]
        assert [each.id for each in await deletions.waiting(archive.database)] == [OTHERS]
        assert (await sites.erase(customer)).status == 204
        assert await deletions.waiting(archive.database) == ()
        for call in (HERS, OTHERS):
            assert (await held(officer, call)).error_id == "recording-deleted"
        await sites.until_stated(f"key:{key.id}", f"recording:{HERS}", f"recording:{OTHERS}")
