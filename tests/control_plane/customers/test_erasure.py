"""Erasure: the key is gone, also when an older backup of the customers comes back."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.customers import secrets
from control_plane.errors import DatabaseUnavailableError
from control_plane.keys.store import KeyStore
from control_plane.permissions import Role
from control_plane.settings import Settings
from tests.control_plane.center import Center, running, settings
from tests.control_plane.customers.stage import ANNA, WHY, add, approval, chain, key_settings

TABLES = (
    "customers", "customer_sealed", "customer_numbers", "customer_words", "customer_tags",
    "interactions", "answers",
)  # fmt: skip


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Settings]:
    """Return settings on two SQLite files, so that a test can copy them."""
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        database = f"sqlite:///{tmp_path / 'everline.db'}"
        yield settings(Path(name), database, **key_settings(tmp_path))


async def _erase(center: Center, where: str) -> None:
    officer = await center.person(Role.PRIVACY_OFFICER)
    version = (await officer.get(where, **WHY)).headers["ETag"].strip('"')
    customer = where.rpartition("/")[2]
    sent = await approval(center, "customer:shred", customer, version)
    reply = await officer.ask("DELETE", where, headers=sent)
    assert reply.status == 204, reply.body


async def test_an_erased_customer_is_gone_and_stays_unreadable(center: Center) -> None:
    manager, made = await add(center)
    where = made.headers["Location"]
    await _erase(center, where)
    assert (await manager.get(where)).status == 404
    assert (await manager.get("/v1/customers/by-number/+493098765")).json["customers"] == []
    async with center.services.database.read() as connection:
        for table in ("customers", "customer_sealed", "customer_numbers", "customer_words"):
            rows = await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")  # noqa: S608
            assert rows.scalar_one() == 0, table


async def _is_kept(center: Center, word: bytes) -> bool:
    async with center.services.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT body FROM answers")
        return any(word in bytes(row[0]) for row in rows)


async def test_no_kept_answer_tells_of_an_erased_customer(center: Center) -> None:
    manager = await center.person(Role.MANAGER)
    once = {"Idempotency-Key": "k1"}
    made = await manager.post("/v1/customers", ANNA, once)
    assert await _is_kept(center, b"anna@example.net")
    await _erase(center, made.headers["Location"])
    assert not await _is_kept(center, b"anna@example.net")


async def test_no_kept_answer_names_an_erased_customer(center: Center) -> None:
    manager, made = await add(center)
    where, customer = made.headers["Location"], made.json["id"]
    gone = (await manager.post("/v1/customers", {"name": "Anna again"})).json["id"]
    other = (await manager.post("/v1/customers", {"name": "Bo"}, {"Idempotency-Key": "k"})).json
    merged = await manager.post(f"{where}/merge", {"gone": gone}, {"Idempotency-Key": "k1"})
    assert merged.status == 200, merged.body
    officer = await center.person(Role.PRIVACY_OFFICER)
    wanted = {"act": "customer:export", "things": [customer], "why": "Anna asks"}
    asked = await officer.post("/v1/approval-requests", wanted, {"Idempotency-Key": "k2"})
    assert asked.status == 201, asked.body
    await _erase(center, where)
    async with center.services.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT body FROM answers")
        bodies = [bytes(row[0]).decode() for row in rows]
    assert [other["id"] in each for each in bodies] == [True], "and nobody else's is gone"


async def test_a_restored_backup_brings_no_erased_customer_back(
    files: Settings, tmp_path: Path
) -> None:
    def rows() -> str:
        with closing(sqlite3.connect(tmp_path / "everline.db")) as connection:
            return str([connection.execute(f"SELECT * FROM {each}").fetchall() for each in TABLES])  # noqa: S608

    def copy(source: str, target: str) -> None:
        with (
            closing(sqlite3.connect(tmp_path / source)) as whole,
            closing(sqlite3.connect(tmp_path / target)) as kept,
        ):
            whole.backup(kept)

    async with running(files) as center:
        _, made = await add(center)
        where, customer = made.headers["Location"], made.json["id"]
        copy("everline.db", "backup.db")
        with sqlite3.connect(tmp_path / "keys.db") as keys:
            (wrapped,) = keys.execute("SELECT wrapped FROM customer_keys").fetchone()
        keys.close()
        await _erase(center, where)
        held = b"".join(each.read_bytes() for each in tmp_path.glob("keys.db*"))  # noqa: ASYNC240
        assert bytes(wrapped) not in held, "the wrapped key is still in the key store's files"
    copy("backup.db", "everline.db")
    assert customer in rows(), "the backup did not hold the customer"
    async with running(files) as center:
        center.numbers = itertools.count(100)
        officer = await center.person(Role.PRIVACY_OFFICER)
        assert (await officer.get(where, **WHY)).status == 404
        assert customer not in rows()


async def test_a_start_goes_only_through_those_whom_a_backup_has_brought_back(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts serves nobody before: it may not take longer with everybody ever erased."""
    made = [(await add(center, name=name))[1].headers["Location"] for name in ("Bo", "Cy", "Di")]
    for where in made[:2]:
        await _erase(center, where)
    erased, back = [each.rpartition("/")[2] for each in made[:2]], made[2].rpartition("/")[2]
    keys, services = center.app[secrets.KEYS], center.services
    wiped: list[str] = []

    async def wipe(_connection: AsyncConnection, _tenant: str, customer: str) -> bool:
        wiped.append(customer)
        return True

    monkeypatch.setattr(secrets, "wipe", wipe)
    assert len(await keys.tombstones()) == len(erased)
    await secrets.erase_again(services, keys)
    assert wiped == []
    async with keys.destroying() as connection:
        # As if their row had come with an older backup.
        await keys.destroy(connection, "main", back, 1)
    assert (await secrets.erase_again(services, keys), wiped) == (1, [back])


async def _shreds(center: Center, customer: str) -> list[dict[str, Any]]:
    """Return what the audit log has of a customer's erasure, the newest first."""
    auditor = await center.person(Role.AUDITOR)
    found = (await auditor.get(f"/v1/audit?thing={customer}")).json["items"]
    return [
        each["detail"]
        for each in found
        if (each["action"], each["decision"]) == ("customer:shred", "allowed")
    ]


async def _cut_off(center: Center, where: str) -> None:
    """Have them erased, and let it end somewhere in between."""
    officer = await center.person(Role.PRIVACY_OFFICER)
    version = (await officer.get(where, **WHY)).headers["ETag"].strip('"')
    sent = await approval(center, "customer:shred", where.rpartition("/")[2], version)
    assert (await officer.ask("DELETE", where, headers=sent)).status == 503


async def test_an_erasure_that_is_cut_off_behind_the_keys_is_in_the_log_and_done_at_the_next_start(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, made = await add(center)
    where, customer = made.headers["Location"], made.json["id"]
    keys = center.app[secrets.KEYS]

    async def cut_off(*_: object) -> bool:
        raise DatabaseUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(secrets, "wipe", cut_off)
        await _cut_off(center, where)
    assert ("main", customer) in await keys.tombstones()
    assert [each["is_done"] for each in await _shreds(center, customer)] == [False]

    assert await secrets.erase_again(center.services, keys) == 1
    assert (await manager.get(where)).status == 404
    assert [each["is_done"] for each in await _shreds(center, customer)] == [True, False]


async def test_of_an_erasure_that_is_cut_off_all_keys_are_gone_or_none(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ids, _ = await chain(center)
    keys, destroy = center.app[secrets.KEYS], KeyStore.destroy
    gone: list[str] = []

    async def second_fails(
        self: KeyStore, connection: AsyncConnection, tenant: str, customer: str, now_ms: int
    ) -> None:
        if gone:
            raise DatabaseUnavailableError
        gone.append(customer)
        await destroy(self, connection, tenant, customer, now_ms)

    with monkeypatch.context() as patched:
        patched.setattr(KeyStore, "destroy", second_fails)
        await _cut_off(center, f"/v1/customers/{ids[-1]}")
    assert await keys.tombstones() == frozenset()
    await _erase(center, f"/v1/customers/{ids[-1]}")
    assert {customer for _, customer in await keys.tombstones()} == set(ids)


async def test_an_erasure_is_in_the_log_before_anything_is_destroyed_and_when_it_is_done(
    center: Center,
) -> None:
    _, made = await add(center)
    await _erase(center, made.headers["Location"])
    told = await _shreds(center, made.json["id"])
    assert [each["is_done"] for each in told] == [True, False]


async def test_a_legal_hold_beats_erasure(center: Center) -> None:
    _, made = await add(center)
    where = made.headers["Location"]
    officer = await center.person(Role.PRIVACY_OFFICER)
    seen = WHY | {"If-Match": '"1"'}
    held = await officer.ask("PUT", f"{where}/hold", {"has_legal_hold": True}, seen)
    assert held.json["has_legal_hold"] is True
    sent = await approval(center, "customer:shred", made.json["id"], "2")
    refused = await officer.ask("DELETE", where, headers=sent)
    assert (refused.status, "legal hold" in refused.json["detail"]) == (403, True)
    assert (await officer.get(f"{where}/sensitive", **WHY)).json["fields"] == ANNA["sensitive"]
    late = await officer.ask("PUT", f"{where}/hold", {"has_legal_hold": False}, seen)
    assert late.error_id == "version-mismatch"
    now = WHY | {"If-Match": held.headers["ETag"]}
    await officer.ask("PUT", f"{where}/hold", {"has_legal_hold": False}, now)
    # The yes was for the state that it had then.
    assert (await officer.ask("DELETE", where, headers=sent)).status == 403
    await _erase(center, where)


async def test_a_subject_access_export_holds_all_that_was_told(center: Center) -> None:
    _, made = await add(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    where = f"{made.headers['Location']}/access-export"
    assert (await officer.ask("POST", where, headers=WHY)).status == 403
    sent = await approval(center, "customer:export", made.json["id"], "1")
    given = (await officer.ask("POST", where, headers=sent)).json
    numbers = {"numbers": ["+49301234567", "+493098765"]}
    assert given["customer"] == ANNA | numbers


async def test_who_was_merged_into_a_merged_one_is_told_and_erased_with_the_last(
    center: Center,
) -> None:
    manager, (ada, bo, cy), _ = await chain(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    where = f"/v1/customers/{cy}"
    version = (await manager.get(where)).headers["ETag"].strip('"')
    sent = await approval(center, "customer:export", cy, version)
    given = (await officer.ask("POST", f"{where}/access-export", headers=sent)).json
    assert {each["sensitive"]["national_id"] for each in given["merged"]} == {"of Ada", "of Bo"}
    await _erase(center, where)
    for each in (ada, bo, cy):
        assert (await manager.get(f"/v1/customers/{each}")).status == 404
    async with center.services.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT count(*) FROM customer_sealed")
        assert rows.scalar_one() == 0


async def test_a_hold_on_who_was_merged_twice_removed_beats_erasure(center: Center) -> None:
    manager, (_, bo, cy), _ = await chain(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    etag = (await manager.get(f"/v1/customers/{bo}")).headers["ETag"]
    body, seen = {"has_legal_hold": True}, WHY | {"If-Match": etag}
    assert (await officer.ask("PUT", f"/v1/customers/{bo}/hold", body, seen)).status == 200
    where = f"/v1/customers/{cy}"
    version = (await manager.get(where)).headers["ETag"].strip('"')
    sent = await approval(center, "customer:shred", cy, version)
    assert (await officer.ask("DELETE", where, headers=sent)).error_id == "legal-hold"
