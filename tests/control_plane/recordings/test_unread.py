"""A recording whose manifest the store does not give any more: it has to go as others have."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.permissions import Role
from control_plane.recording_keys import keeping
from control_plane.recordings import caretaker
from custody.store import RecordingStore
from tests.control_plane.center import Person
from tests.control_plane.customers.stage import approval
from tests.control_plane.recordings.sites import WHY, Sites, make

HERS, OTHERS = "1" * 24, "3" * 24
PATH = f"/v1/recordings/{HERS}"
DELETE = "recording:delete"


@pytest.fixture
async def sites(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sites]:
    for module in (caretaker, keeping):
        monkeypatch.setattr(module, "PERIOD_S", 0.05)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        yield await make(Path(name))


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the recordings whose manifests no store's disk gives; add to it."""
    recordings: set[str] = set()
    reading = RecordingStore.get

    async def get(self: RecordingStore, name: str) -> bytes:
        if "/manifests/" in name and name.rpartition("/")[2].removesuffix(".json") in recordings:
            raise OSError(errno.EIO, "the disk does not give it")
        return await reading(self, name)

    monkeypatch.setattr(RecordingStore, "get", get)
    return recordings


async def _asked(officer: Person, manager: Person) -> dict[str, str]:
    """Ask a second person to have it deleted, who says yes; return what to send."""
    asked = {"act": DELETE, "things": [HERS], "why": "a request"}
    made = await officer.post("/v1/approval-requests", asked, WHY)
    assert made.status == 201, made.body
    where = f"/v1/approval-requests/{made.json['id']}/approve"
    assert (await manager.post(where, None)).status == 200
    return {"Everline-Approval": made.json["id"]}


@pytest.mark.parametrize("is_asked", [False, True], ids=["a_yes_beforehand", "a_request"])
async def test_two_people_have_a_recording_deleted_whose_manifest_cannot_be_read(
    sites: Sites, unread: set[str], *, is_asked: bool
) -> None:
    async with sites.serving():
        for call in (HERS, OTHERS):
            await sites.recorded(call)
        center = sites.centers["a"]
        officer = await center.person(Role.PRIVACY_OFFICER)
        unread.add(HERS)
        items = (await officer.get("/v1/recordings", **WHY)).json["items"]
        (digest,) = [each["digest"] for each in items if each["id"] == HERS]
        assert digest == "unknown"
        if is_asked:
            yes = await _asked(officer, await center.person(Role.MANAGER, team="other"))
        else:
            yes = await approval(center, DELETE, HERS, digest)
        done = await officer.ask("DELETE", PATH, headers=yes | WHY)
        assert done.status == 204, done.body
        await sites.until_stated(f"recording:{HERS}")
        assert [sites.objects(site, HERS) for site in "ab"] == [[], []]
        assert await sites.opens("a", OTHERS)


async def test_a_hold_keeps_a_recording_whose_manifest_cannot_be_read(
    sites: Sites, unread: set[str]
) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        unread.add(HERS)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        body = {"has_legal_hold": True, "because": "court order 7"}
        held = await officer.ask("PUT", f"{PATH}/hold", body, WHY | {"If-Match": '"0"'})
        assert held.status == 200, held.body
        yes = await approval(sites.centers["a"], DELETE, HERS, "unknown")
        refused = await officer.ask("DELETE", PATH, headers=yes)
        assert (refused.status, "legal hold" in refused.json["detail"]) == (403, True)


async def test_a_yes_to_delete_holds_for_what_could_be_read_as_it_was_given_and_no_other(
    sites: Sites, unread: set[str]
) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        center = sites.centers["a"]
        officer = await center.person(Role.PRIVACY_OFFICER)
        digest = (await officer.get(PATH, **WHY)).json["digest"]
        read = await approval(center, DELETE, HERS, digest)
        blind = await approval(center, DELETE, HERS, "unknown")
        assert (await officer.ask("DELETE", PATH, headers=blind)).status == 403
        unread.add(HERS)
        away = await officer.ask("DELETE", PATH, headers=read)
        assert away.error_id == "recording-store-away"
        unread.clear()
        assert (await officer.ask("DELETE", PATH, headers=read)).status == 204


async def test_nobody_has_a_recording_exported_on_a_yes_to_what_could_not_be_read(
    sites: Sites, unread: set[str]
) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        unread.add(HERS)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        asked = {"act": "recording:export", "things": [HERS], "why": "a request"}
        made = await officer.post("/v1/approval-requests", asked, WHY)
        assert made.error_id == "recording-store-away"
