"""What recordings are kept for, and how they go: at every site, for ever, and never under hold."""

from __future__ import annotations

import base64
import errno
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from control_plane.calls.tables import CallRow
from control_plane.customers import secrets
from control_plane.errors import DatabaseUnavailableError
from control_plane.permissions import Role
from control_plane.recording_keys import keeping
from control_plane.recordings import caretaker
from control_plane.recordings.shelf import RECORDING_KEYS
from control_plane.recordings.tables import TagRow
from custody import statement
from custody.errors import CustodyError, NoKeyError
from custody.store import RecordingStore
from state.model import Outcome
from tests.control_plane.customers.stage import approval
from tests.control_plane.live.stage import eventually
from tests.control_plane.recordings.sites import KEEPERS, NUMBER, WHY, Sites, make

HERS, OLD_HERS, OTHERS = "1" * 24, "2" * 24, "3" * 24
DAY_S = 86_400


@pytest.fixture
async def sites(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sites]:
    for module in (caretaker, keeping):
        monkeypatch.setattr(module, "PERIOD_S", 0.05)
    monkeypatch.setattr(caretaker, "SWEEP_S", 0.05)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        yield await make(Path(name))


async def test_whoever_is_erased_is_unreadable_at_every_site_and_after_an_older_backup(
    sites: Sites,
) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        # Recorded before anybody knew who called, until its edge died: sealed to the tenant's key.
        await sites.recorded(OLD_HERS, caller=NUMBER, outcome=Outcome.LOST)
        await sites.recorded(OTHERS, caller="+4930111")
        for site in "ab":
            assert all([await sites.opens(site, each) for each in (HERS, OLD_HERS, OTHERS)])
            sites.back_up(site)
        reply = await sites.erase(customer)
        assert reply.status == 204, reply.body
        told = await sites.until_stated(
            f"key:{key.id}", f"recording:{HERS}", f"recording:{OLD_HERS}"
        )
        assert set(told) == {f"key:{key.id}", f"recording:{HERS}", f"recording:{OLD_HERS}"}
        for site in "ab":
            gone = [await sites.opens(site, each) for each in (HERS, OLD_HERS)]
            assert gone == [False, False]
            assert sites.objects(site, HERS) == sites.objects(site, OLD_HERS) == []
            assert await sites.opens(site, OTHERS)

        for site in "ab":
            # An older backup of the store has it whole, and it does not open: its key is gone.
            assert await sites.opens_of_backup(site, OTHERS)
            with pytest.raises(NoKeyError):
                await sites.opens_of_backup(site, HERS)

    # Everything that the sites had is restored from before the erasure, the folder of keys too.
    for site in "ab":
        sites.restore(site)
    async with sites.serving():
        await sites.until_key(key, is_there=False)

        async def is_empty() -> bool:
            return not any(sites.objects(s, each) for s in "ab" for each in (HERS, OLD_HERS))

        await eventually(is_empty, "what came back is deleted again")
        for site in "ab":
            assert not await sites.opens(site, HERS)
            assert await sites.opens(site, OTHERS)


async def test_a_call_whose_row_never_learnt_who_called_goes_and_is_held_with_its_customer(
    sites: Sites,
) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller="", key=key)
        await sites.centers["a"].app[RECORDING_KEYS].note(key, HERS)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        path, body = f"/v1/recordings/{HERS}/hold", {"has_legal_hold": True, "because": "order"}
        held = await officer.ask("PUT", path, body, WHY | {"If-Match": '"0"'})
        assert (await sites.erase(customer)).error_id == "legal-hold"
        again = WHY | {"If-Match": held.headers["ETag"]}
        over = body | {"has_legal_hold": False}
        assert (await officer.ask("PUT", path, over, again)).status == 200
        assert (await sites.erase(customer)).status == 204
        await sites.until_stated(f"key:{key.id}", f"recording:{HERS}")
        assert [sites.objects(site, HERS) for site in "ab"] == [[], []]


@pytest.mark.parametrize(
    ("caller", "was_ordered"),
    [(NUMBER, False), ("", False), (NUMBER, True)],
    ids=["by number", "by key alone", "deleted before"],
)
async def test_an_erasure_finished_at_a_start_takes_the_tags_of_their_calls_too(
    sites: Sites, monkeypatch: pytest.MonkeyPatch, caller: str, *, was_ordered: bool
) -> None:
    async def cut_off(*_: object) -> bool:
        raise DatabaseUnavailableError

    async with sites.serving():
        center = sites.centers["a"]
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=caller, key=key)
        await center.app[RECORDING_KEYS].note(key, HERS)
        await sites.recorded(OTHERS)
        manager = await center.person(Role.MANAGER)
        for call in (HERS, OTHERS):
            path = f"/v1/recordings/{call}/tags/complaint"
            assert (await manager.ask("PUT", path)).status == 204
        if was_ordered:
            officer = await center.person(Role.PRIVACY_OFFICER)
            digest = (await officer.get(f"/v1/recordings/{HERS}", **WHY)).json["digest"]
            yes = await approval(center, "recording:delete", HERS, digest)
            done = await officer.ask("DELETE", f"/v1/recordings/{HERS}", headers=yes | WHY)
            assert done.status == 204, done.body
        with monkeypatch.context() as patched:
            patched.setattr(secrets, "wipe", cut_off)
            assert (await sites.erase(customer)).status == 503
        assert await _tagged(sites) == [HERS, OTHERS]
    async with sites.serving():

        async def is_gone() -> bool:
            return await _tagged(sites) == [OTHERS]

        await eventually(is_gone, "the tags of the erased customer's call are gone")


async def _tagged(sites: Sites) -> list[str]:
    statement = select(TagRow.call).order_by(TagRow.call)
    async with sites.centers["a"].services.database.read() as connection:
        return list((await connection.execute(statement)).scalars())


async def test_each_site_signs_what_it_has_deleted_by_which_rule(sites: Sites) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        names = [path.removeprefix(f"{sites.store('a')}/") for path in sites.objects("a", HERS)]
        await sites.erase(customer)
        told = await sites.until_stated(f"recording:{HERS}", f"key:{key.id}")
    for site in told[f"recording:{HERS}"]["sites"]:
        signed = base64.b64decode(site["statement"])
        found = statement.read(signed, KEEPERS)
        assert (found.rule, found.site) == ("erasure", site["site"])
        assert sorted(each.name for each in found.objects) == names
        assert site["is_signed"] is True
        with pytest.raises(CustodyError):
            statement.read(signed.replace(b"erasure", b"request"), KEEPERS)
        with pytest.raises(CustodyError):
            statement.read(signed, {site["site"]: bytes(32)})
    assert [each["is_key_gone"] for each in told[f"key:{key.id}"]["sites"]] == [True, True]


async def test_under_legal_hold_nothing_is_erased_or_deleted_however_old(sites: Sites) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        await sites.recorded(OTHERS, caller="+4930111")
        officer = await sites.centers["b"].person(Role.PRIVACY_OFFICER)
        path = f"/v1/recordings/{HERS}"
        body = {"has_legal_hold": True, "because": "court order 7"}
        held = await officer.ask("PUT", f"{path}/hold", body, WHY | {"If-Match": '"0"'})
        assert (held.status, held.json["because"]) == (200, "court order 7")
        late = await officer.ask("PUT", f"{path}/hold", body, WHY | {"If-Match": '"0"'})
        assert late.error_id == "version-mismatch"
        assert (await officer.get(path, **WHY)).json["has_legal_hold"] is True

        reply = await sites.erase(customer)
        assert (reply.status, reply.error_id) == (409, "legal-hold")
        digest = (await officer.get(path, **WHY)).json["digest"]
        yes = await approval(sites.centers["b"], "recording:delete", HERS, digest)
        assert (await officer.ask("DELETE", path, headers=yes | WHY)).status == 403

        admin = await sites.centers["a"].administrator()
        version = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
        kept = {"recording_retention_days": 30}
        assert (await admin.ask("PATCH", "/v1/tenant", kept, version)).status == 200
        sites.clock.advance(29 * DAY_S)
        assert await sites.swept("a") == 0
        # A clock that is ten minutes fast deletes nothing early.
        sites.clock.advance(DAY_S + 600)
        assert await sites.swept("a") == 0
        sites.clock.advance(3600)
        told = await sites.until_stated(f"recording:{OTHERS}")
        assert told[f"recording:{OTHERS}"]["rule"] == "retention"
        assert told[f"recording:{OTHERS}"]["detail"] == "30 days"
        assert [await sites.opens(site, HERS) for site in "ab"] == [True, True]
        assert [sites.objects(site, OTHERS) for site in "ab"] == [[], []]

        over = {"has_legal_hold": False, "because": "order lifted"}
        officer = await sites.centers["b"].person(Role.PRIVACY_OFFICER)
        again = WHY | {"If-Match": held.headers["ETag"]}
        assert (await officer.ask("PUT", f"{path}/hold", over, again)).status == 200
        await sites.until_stated(f"recording:{HERS}")
        assert [sites.objects(site, HERS) for site in "ab"] == [[], []]


@pytest.mark.parametrize("is_call_known", [True, False])
async def test_what_a_lost_recorder_has_left_without_an_account_goes_in_time_too(
    sites: Sites, *, is_call_known: bool
) -> None:
    async with sites.serving():
        await sites.customer()
        await sites.recorded(OTHERS)
        now_s = sites.clock.now().wall_ms / 1000
        for site in "ab":
            (sites.store(site) / "main" / "manifests" / f"{OTHERS}.json").unlink()
            for path in sites.objects(site, OTHERS):
                os.utime(path, (now_s, now_s))
        if not is_call_known:
            async with sites.centers["a"].services.database.write() as connection:
                await connection.execute(delete(CallRow).where(CallRow.id == OTHERS))
        admin = await sites.centers["a"].administrator()
        version = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
        kept = {"recording_retention_days": 30}
        assert (await admin.ask("PATCH", "/v1/tenant", kept, version)).status == 200
        sites.clock.advance(29 * DAY_S)
        assert await sites.swept("a") == 0
        sites.clock.advance(DAY_S + 3600)
        await sites.until_stated(f"recording:{OTHERS}")
        assert [sites.objects(site, OTHERS) for site in "ab"] == [[], []]


async def test_a_customer_s_hold_keeps_their_recordings_from_retention(sites: Sites) -> None:
    async with sites.serving():
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        await sites.recorded(OTHERS)
        officer = await sites.centers["a"].person(Role.PRIVACY_OFFICER)
        path, first = f"/v1/customers/{customer}/hold", WHY | {"If-Match": '"1"'}
        held = await officer.ask("PUT", path, {"has_legal_hold": True}, first)
        assert held.status == 200, held.body
        admin = await sites.centers["a"].administrator()
        version = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
        # Calls go after a day, and with them what was recorded of them.
        await admin.ask("PATCH", "/v1/tenant", {"call_retention_days": 1}, version)
        sites.clock.advance(2 * DAY_S)
        await sites.until_stated(f"recording:{OTHERS}")
        assert [await sites.opens(site, HERS) for site in "ab"] == [True, True]


async def test_a_customer_s_hold_keeps_what_was_sealed_to_their_key_whoever_called(
    sites: Sites,
) -> None:
    async with sites.serving():
        center = sites.centers["a"]
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller="", key=key)  # its row never learnt who called
        await center.app[RECORDING_KEYS].note(key, HERS)
        await sites.recorded(OTHERS)
        officer = await center.person(Role.PRIVACY_OFFICER)
        path, first = f"/v1/customers/{customer}/hold", WHY | {"If-Match": '"1"'}
        held = await officer.ask("PUT", path, {"has_legal_hold": True}, first)
        assert held.status == 200, held.body
        shown = (await officer.get(f"/v1/recordings/{HERS}", **WHY)).json
        assert shown["has_legal_hold"] is True
        sent = await approval(center, "recording:delete", HERS, shown["digest"])
        refused = await officer.ask("DELETE", f"/v1/recordings/{HERS}", headers=sent)
        assert (refused.status, "legal hold" in refused.json["detail"]) == (403, True)
        admin = await center.administrator()
        version = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
        await admin.ask("PATCH", "/v1/tenant", {"recording_retention_days": 1}, version)
        sites.clock.advance(2 * DAY_S)
        await sites.until_stated(f"recording:{OTHERS}")
        assert [await sites.opens(site, HERS) for site in "ab"] == [True, True]


async def test_a_customer_s_hold_stands_through_merges_and_keeps_their_numbers(
    sites: Sites,
) -> None:
    async with sites.serving():
        center = sites.centers["a"]
        customer, key = await sites.customer()
        await sites.recorded(HERS, caller=NUMBER, key=key)
        officer, manager = [await center.person(r) for r in (Role.PRIVACY_OFFICER, Role.MANAGER)]

        async def is_held() -> bool:
            shown = await officer.get(f"/v1/recordings/{HERS}", **WHY)
            return bool(shown.json["has_legal_hold"])

        async def hold(who: str, *, on: bool) -> None:
            where = f"/v1/customers/{who}"
            seen = WHY | {"If-Match": (await manager.get(where)).headers["ETag"]}
            done = await officer.ask("PUT", f"{where}/hold", {"has_legal_hold": on}, seen)
            assert done.status == 200, done.body

        async def drop_numbers(who: str) -> int:
            where = f"/v1/customers/{who}"
            seen = {"If-Match": (await manager.get(where)).headers["ETag"]}
            return (await manager.ask("PATCH", where, {"numbers": ["+4930777"]}, seen)).status

        others = [
            (await manager.post("/v1/customers", {"name": n})).json["id"] for n in ("Bo", "Cy")
        ]
        await hold(customer, on=True)
        merges, gone = [], customer
        for kept in others:
            assert await is_held()
            assert await drop_numbers(gone) == 409
            made = await manager.post(f"/v1/customers/{kept}/merge", {"gone": gone})
            merges.append(made.json["id"])
            gone = kept
        assert await is_held()
        assert await drop_numbers(gone) == 409

        # What was held as one stays held when it turns out to be two.
        await hold(customer, on=False)
        assert not await is_held()
        await hold(gone, on=True)
        for each in reversed(merges):
            assert (await manager.post(f"/v1/customer-merges/{each}/undo", None)).status == 200
            assert await is_held()
        await hold(customer, on=False)
        assert not await is_held()
        assert await drop_numbers(customer) == 200


async def test_what_cannot_be_deleted_keeps_nothing_else_from_being_deleted(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleting = RecordingStore.delete

    async def delete(self: RecordingStore, name: str) -> None:
        if HERS in name:
            raise OSError(errno.EIO, "the disk does not let go of it")
        await deleting(self, name)

    monkeypatch.setattr(RecordingStore, "delete", delete)
    async with sites.serving():
        for call in (HERS, OTHERS):
            await sites.recorded(call)
        admin = await sites.centers["a"].administrator()
        version = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
        await admin.ask("PATCH", "/v1/tenant", {"recording_retention_days": 1}, version)
        sites.clock.advance(2 * DAY_S)
        told = await sites.until_stated(f"recording:{OTHERS}")
        assert told[f"recording:{HERS}"]["sites"] == [], "nobody says that it is gone"
        monkeypatch.setattr(RecordingStore, "delete", deleting)
        await sites.until_stated(f"recording:{HERS}")


async def test_two_people_have_one_recording_deleted_and_nobody_hears_it_again(
    sites: Sites,
) -> None:
    async with sites.serving():
        await sites.recorded(HERS)
        a = sites.centers["a"]
        officer, manager = await a.person(Role.PRIVACY_OFFICER), await a.person(Role.MANAGER)
        path = f"/v1/recordings/{HERS}"
        digest = (await officer.get(path, **WHY)).json["digest"]
        assert (await officer.ask("DELETE", path, headers=WHY)).status == 403
        other = await approval(a, "recording:delete", HERS, "another state")
        assert (await officer.ask("DELETE", path, headers=other | WHY)).status == 403
        yes = await approval(a, "recording:delete", HERS, digest)
        no_purpose = {"Everline-Approval": yes["Everline-Approval"]}
        assert (await officer.ask("DELETE", path, headers=no_purpose)).status == 403
        assert (await manager.ask("DELETE", path, headers=yes | WHY)).status == 403
        assert (await manager.get(f"{path}/audio", **WHY)).status == 200
        done = await officer.ask("DELETE", path, headers=yes | WHY)
        assert done.status == 204, done.body
        heard = await manager.get(f"{path}/audio", **WHY)
        assert (heard.status, heard.error_id) == (410, "recording-deleted")
        told = await sites.until_stated(f"recording:{HERS}")
        assert officer.id in told[f"recording:{HERS}"]["detail"]
        assert (await manager.get(path)).json["is_deleted"] is True
        assert (await officer.ask("DELETE", path, headers=yes | WHY)).status == 403, "used once"


async def test_who_may_read_what_was_deleted(sites: Sites) -> None:
    async with sites.serving():
        may = {}
        for role in Role:
            person = await sites.centers["a"].person(role)
            may[role] = (await person.get("/v1/recording-deletions")).status
    allowed = {Role.AUDITOR, Role.PRIVACY_OFFICER, Role.TENANT_ADMIN}
    assert {role for role, status in may.items() if status == 200} == allowed
    assert {status for role, status in may.items() if role not in allowed} == {403}
