"""A legal hold that is being set while what it is on is about to go: whoever comes first counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select, update

from control_plane.calls.tables import CallRow
from control_plane.customers import turn
from control_plane.customers.tables import CustomerRow
from control_plane.db.database import Database
from control_plane.holds import store as holds
from control_plane.holds.store import Hold
from control_plane.permissions import Role
from control_plane.recording_keys import deletions
from control_plane.recording_keys.store import RecordingKeys
from control_plane.recordings.archive import Archive
from control_plane.recordings.retention import sweep as sweep_recordings
from control_plane.services import Services
from control_plane.tenancy import sweeper
from control_plane.tenancy.sweeper import sweep as sweep_calls
from control_plane.tenants.tables import TenantRow
from custody.keyring import Keyring
from custody.library import Library
from custody.store import RecordingStore
from state.clock import ManualClock
from state.model import CallId, CallRecord, DidNumber, EdgeId, Outcome, QueueId, SiteId
from tests.control_plane.center import Center, running, settings
from tests.control_plane.customers.stage import add, approval, key_settings

CALL = "1" * 24
DAY_MS = 86_400_000
NOT_YET_S = 0.3
"""So long is looked whether somebody waits who should."""
RECORD = CallRecord(
    call=CallId(CALL), did=DidNumber("1"), queue=QueueId("sales"), outcome=Outcome.ANSWERED,
    cause="caller_hung_up", edge=EdgeId("a1"), site=SiteId("a"), via=SiteId("a"),
    sip_call_id=CALL, arrived_ms=1_000, queued_ms=1_000, connected_ms=1_500, ended_ms=2_000,
)  # fmt: skip
OLD = {
    "id": CALL, "tenant": "main", "did": "1", "queue": "sales", "site": "a", "agent": "ann",
    "agent_site": "a", "team": "north", "employer": "", "caller": "", "outcome": "answered",
    "arrived_ms": 1_000, "ended_ms": 2_000, "revision": 1,
    "record": msgspec.json.encode(RECORD).decode(),
}  # fmt: skip


@pytest.fixture
async def center(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Center]:
    """Serve, with an old call that its tenant keeps no longer than a day, until a test sweeps."""

    async def leave(_services: Services) -> int:
        return 0

    monkeypatch.setattr(sweeper, "sweep", leave)
    clock = ManualClock()
    async with running(settings(tmp_path, database_url, **key_settings(tmp_path)), clock) as made:
        clock.advance(10 * DAY_MS / 1000)
        async with made.services.database.write() as connection:
            await connection.execute(insert(CallRow).values(**OLD))
            await connection.execute(
                update(TenantRow).values(call_retention_days=1, recording_retention_days=1)
            )
        yield made


async def is_waiting(task: asyncio.Task[Any]) -> bool:
    """Tell whether somebody has not come to an end yet."""
    done, _ = await asyncio.wait({task}, timeout=NOT_YET_S)
    return not done


async def put_hold(database: Database, meanwhile: Awaitable[Any]) -> Any:  # noqa: ANN401
    """Put the call under hold; `meanwhile` begins before that is committed. Return what it gave."""
    hold = Hold(has_legal_hold=True, because="a court", by="usr_1", at_ms=1, version=1)
    async with database.write() as connection:
        await turn.take(connection, "main")
        assert await holds.put(connection, "main", CALL, hold, Hold())
        task = asyncio.ensure_future(meanwhile)
        await is_waiting(task)
    return await task


async def test_a_call_s_hold_that_is_being_set_keeps_it_from_retention(center: Center) -> None:
    services = cast(
        "Services",
        SimpleNamespace(database=center.services.database, clock=center.clock),
    )
    assert await put_hold(services.database, sweep_calls(services)) == 0
    async with services.database.read() as connection:
        assert (await connection.execute(select(CallRow.id))).scalars().all() == [CALL]


async def test_a_call_s_hold_that_is_being_set_keeps_its_recording_from_retention(
    center: Center, tmp_path: Path
) -> None:
    keys = Database.open(f"sqlite+aiosqlite:///{tmp_path / 'recording_keys.db'}")
    await RecordingKeys(keys).start()
    store, ring = RecordingStore.open(str(tmp_path / "store")), Keyring(tmp_path / "keyring")
    await store.put(f"main/manifests/{CALL}.json", b"{}")
    signing = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    archive = Archive(site="a", store=store, ring=ring, database=keys, key=signing, keepers={})
    library = Library(store, ring, providers={}, recorders={})
    database, now_ms = center.services.database, center.clock.now().wall_ms
    assert await put_hold(database, sweep_recordings(database, archive, library, now_ms)) == 0
    assert await deletions.undone(keys, "a") == ()
    await keys.close()


async def test_a_customer_s_hold_that_is_being_set_keeps_them_from_erasure(center: Center) -> None:
    _, made = await add(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    sent = await approval(center, "customer:shred", made.json["id"], "1")
    async with center.services.database.write() as connection:
        await turn.take(connection, "main")
        await connection.execute(update(CustomerRow).values(has_legal_hold=True, version=2))
        erasing = asyncio.create_task(officer.ask("DELETE", made.headers["Location"], headers=sent))
        assert await is_waiting(erasing)
    assert (await erasing).error_id in ("forbidden", "legal-hold")
    assert (await officer.get(made.headers["Location"], **sent)).status == 200


@pytest.mark.parametrize("path", ["/v1/recordings/{call}/hold", "/v1/customers/{customer}/hold"])
async def test_a_hold_waits_for_whoever_is_just_destroying(center: Center, path: str) -> None:
    _, made = await add(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    is_call = "{call}" in path
    where = path.format(call=CALL, customer=made.json["id"])
    body = {"has_legal_hold": True} | ({"because": "a court"} if is_call else {})
    version = {"If-Match": '"0"' if is_call else made.headers["ETag"], "Everline-Purpose": "court"}
    async with center.services.database.write() as connection:
        await turn.take(connection, "main")
        holding = asyncio.create_task(officer.ask("PUT", where, body, version))
        assert await is_waiting(holding)
    assert (await holding).status == 200


async def test_whose_call_has_gone_meanwhile_is_not_told_that_it_is_kept(center: Center) -> None:
    officer = await center.person(Role.PRIVACY_OFFICER)
    version = {"If-Match": '"0"', "Everline-Purpose": "court"}
    body = {"has_legal_hold": True, "because": "a court"}
    async with center.services.database.write() as connection:
        await turn.take(connection, "main")
        path = f"/v1/recordings/{CALL}/hold"
        holding = asyncio.create_task(officer.ask("PUT", path, body, version))
        assert await is_waiting(holding)
        await connection.execute(CallRow.__table__.delete())  # type: ignore[attr-defined]
    assert (await holding).status == 404


async def test_numbers_are_not_taken_from_whom_a_hold_is_being_put_on(center: Center) -> None:
    manager, made = await add(center)
    async with center.services.database.write() as connection:
        await turn.take(connection, "main")
        fewer = {"numbers": ["+493098765"]}
        version = {"If-Match": made.headers["ETag"]}
        changing = asyncio.create_task(
            manager.ask("PATCH", made.headers["Location"], fewer, version)
        )
        assert await is_waiting(changing)
    assert (await changing).status == 200
