"""The schema and its migrations, and several instances that start at once."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from control_plane import first
from control_plane.db import database as database_module
from control_plane.db import migrate as migrate_module
from control_plane.db.database import Database
from control_plane.db.migrate import HERE, SchemaTooNewError, config, migrate, newest
from control_plane.db.tables import Table
from control_plane.errors import DatabaseUnavailableError
from control_plane.recordings.tables import TagRow
from control_plane.settings import DRIVERS
from control_plane.users.tables import UserRow
from tests.control_plane.center import Center, running, settings
from tests.control_plane.postgresql import Server


def _open(url: str) -> Database:
    scheme, colon, rest = url.partition(":")
    return Database.open(DRIVERS[scheme] + colon + rest)


def _has_model(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out what full-text search reads: each database makes its own, and none has a model."""
    return kind != "table" or not str(name).startswith("article_text")


async def test_the_migrations_make_exactly_the_tables_that_the_code_knows(
    center: Center,
) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "include_name": _has_model}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Table.metadata))

    async with center.services.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_migrations_are_one_line_and_the_last_is_known_by_its_name() -> None:
    assert ScriptDirectory(HERE).get_heads() == [newest()]


async def test_who_has_somebody_s_numbers_refuses_what_they_refused_after_an_update_too(
    empty_database_url: str,
) -> None:
    """Bo, who had said no, was merged into Ada, and she into Cy, before a merge took that along."""
    database = _open(empty_database_url)
    named = {"ada": "{}", "bo": '{"callback": false, "news": true}', "cy": '{"callback": true}'}
    try:
        async with database.write() as connection:
            await connection.run_sync(lambda made: command.upgrade(config(made), "0020"))
        async with database.write() as connection:
            tenant = "INSERT INTO tenants (id, name, created_ms, updated_ms, version)"
            await connection.execute(text(f"{tenant} VALUES ('main', 'Main', 1, 1, 1)"))
            for name, consent in named.items():
                customer = (
                    "INSERT INTO customers (id, tenant, name, name_key, language, email, address,"
                    " notes, consent, numbers, tags, has_legal_hold, created_ms, updated_ms,"
                    " version) VALUES (:id, 'main', :id, :id, '', '', '', '', :consent, '[]', '[]',"
                    " false, 1, 1, 1)"
                )
                await connection.execute(text(customer), {"id": name, "consent": consent})
            for at, kept, gone in ((1, "ada", "bo"), (2, "cy", "ada")):
                merge = (
                    "INSERT INTO customer_merges (id, tenant, kept, gone, numbers, tags, at_ms)"
                    " VALUES (:id, 'main', :kept, :gone, '[]', '[]', :at)"
                )
                words = {"id": f"m{at}", "kept": kept, "gone": gone, "at": at}
                await connection.execute(text(merge), words)
        await migrate(database)
        async with database.read() as connection:
            told = await connection.execute(text("SELECT id, consent FROM customers"))
            said = {row.id: json.loads(row.consent) for row in told}
            merges = await connection.execute(text("SELECT id, consent FROM customer_merges"))
            before = {row.id: json.loads(row.consent) for row in merges}
    finally:
        await database.close()
    refused = {"callback": False}
    assert said == {"ada": refused, "bo": refused | {"news": True}, "cy": refused}
    assert before == {"m1": {"callback": None}, "m2": {"callback": True}}


async def test_recordings_keep_their_tags_in_an_update(empty_database_url: str) -> None:
    """SQLite alters a table by making it anew: what refers to its rows goes when it is dropped."""
    database = _open(empty_database_url)
    try:
        async with database.write() as connection:
            await connection.run_sync(lambda made: command.upgrade(config(made), "0021"))
        async with database.write() as connection:
            call = (
                "INSERT INTO calls (id, tenant, did, queue, site, agent, agent_site, team,"
                " employer, caller, outcome, arrived_ms, ended_ms, revision, record) VALUES"
                " ('x', 'x', '', '', '', '', '', '', '', '', '', 1, 1, 1, '{}')"
            )
            await connection.execute(text(call))
            tag = "INSERT INTO recording_tags (tenant, tag, call) VALUES ('x', 'kept', 'x')"
            await connection.execute(text(tag))
        await migrate(database)
        async with database.write() as connection:
            tags = select(TagRow.tag)
            assert (await connection.execute(tags)).scalars().all() == ["kept"]
            await connection.execute(text("DELETE FROM calls"))
            assert not (await connection.execute(tags)).all(), "as ever, they go with their call"
    finally:
        await database.close()


async def test_a_database_that_lacks_nothing_is_not_migrated(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def apply(_database: Database) -> None:
        raise AssertionError("Alembic was asked")

    monkeypatch.setattr(migrate_module, "_apply", apply)
    await migrate(center.services.database)


@pytest.mark.parametrize("before", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
async def test_a_schema_of_which_no_version_is_known_is_alembics_matter(
    center: Center, before: str
) -> None:
    """It stops at the first table that is there already; nobody is served by what may be old."""
    async with center.services.database.write() as connection:
        await connection.execute(text(before))
    with pytest.raises(DBAPIError, match="exists"):
        await migrate(center.services.database)


async def test_an_update_that_fails_midway_leaves_nothing_and_can_be_made_again(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, upgrade = _open(empty_database_url), migrate_module._upgrade  # noqa: SLF001

    def stumble(connection: Connection) -> None:
        command.upgrade(config(connection), "0014")
        raise KeyError

    try:
        monkeypatch.setattr(migrate_module, "_upgrade", stumble)
        with pytest.raises(KeyError):
            await migrate(database)
        async with database.read() as connection:
            assert await connection.run_sync(lambda made: inspect(made).get_table_names()) == []
        monkeypatch.setattr(migrate_module, "_upgrade", upgrade)
        await migrate(database)
        tag = "INSERT INTO recording_tags (tenant, tag, call) VALUES ('x', 'x', 'of no call')"
        with pytest.raises(IntegrityError):
            async with database.write() as connection:
                await connection.execute(text(tag))
    finally:
        await database.close()


async def test_a_program_that_is_older_than_the_database_says_so(center: Center) -> None:
    async with center.services.database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match=f"9999.*{newest()}"):
        await migrate(center.services.database)


@pytest.mark.parts
async def test_a_step_may_take_longer_than_any_other_statement(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an index over the calls of years does."""
    monkeypatch.setattr(database_module, "STATEMENT_MS", 200)

    def upgrade(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(1)"))

    monkeypatch.setattr(migrate_module, "_upgrade", upgrade)
    database = _open(postgresql.url(postgresql.create()))
    try:
        await migrate(database)
        async with database.write() as connection:
            for setting, value in (("statement_timeout", "200ms"), ("lock_timeout", "5s")):
                assert await connection.scalar(text(f"SHOW {setting}")) == value
    finally:
        await database.close()


async def test_instances_that_start_at_once_do_not_collide(empty_database_url: str) -> None:
    databases = [_open(empty_database_url) for _ in range(4)]
    try:
        await asyncio.gather(*(migrate(each) for each in databases))
        for each in databases:
            async with each.read() as connection:
                assert (await connection.execute(select(UserRow.id))).all() == []
    finally:
        for each in databases:
            await each.close()


async def test_instances_that_begin_at_once_make_one_administrator(
    empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("the first password")
    databases = [_open(empty_database_url) for _ in range(4)]
    try:
        await migrate(databases[0])
        made = await asyncio.gather(
            *(first.ensure(each, file, now_ms=1, site="a") for each in databases)
        )
        async with databases[0].read() as connection:
            assert len((await connection.execute(select(UserRow.id))).all()) == 1
    finally:
        for each in databases:
            await each.close()
    assert sorted(made) == [False, False, False, True]


async def test_the_first_administrator_is_made_once(empty_database_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        for _ in range(2):
            async with running(settings(Path(folder), empty_database_url)) as center:
                admin = await center.administrator()
                assert len((await admin.get("/v1/users")).json["items"]) == 1


async def test_who_reads_can_change_nothing(center: Center) -> None:
    database = center.services.database
    with pytest.raises((DBAPIError, DatabaseUnavailableError)):
        async with database.read() as connection:
            await connection.execute(UserRow.__table__.delete())  # type: ignore[attr-defined]
    async with database.read() as connection:
        assert (await connection.execute(select(UserRow.id))).first()


async def test_a_connection_that_died_while_idle_is_not_given_out(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover: all that were open are dead, and none of them serves a request."""
    monkeypatch.setattr(database_module, "IDLE_S", 0.0)
    database = center.services.database
    async with database.write() as connection:
        if not database.is_sqlite:  # a file does not go away
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid != pg_backend_pid() AND datname = current_database()"
                )
            )
    for way in (database.read, database.write):
        async with way() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_who_reads_alone_gets_the_connection_that_was_used_last(
    empty_database_url: str,
) -> None:
    database = _open(empty_database_url)
    used: list[object] = []

    async def read(*, then: asyncio.Barrier | None = None) -> None:
        async with database.read() as connection:
            used.append((await connection.get_raw_connection()).driver_connection)
            if then is not None:
                await then.wait()

    together = asyncio.Barrier(4)
    await asyncio.gather(*(read(then=together) for _ in range(4)))
    assert len(set(map(id, used))) == 4
    used.clear()
    for _ in range(8):
        await read()
    await database.close()
    assert len(set(map(id, used))) == 1, "each keeps pages of its own that it has read"


async def test_what_an_exception_leaves_is_rolled_back(center: Center) -> None:
    database = center.services.database
    try:
        async with database.write() as connection:
            await connection.execute(UserRow.__table__.delete())  # type: ignore[attr-defined]
            raise KeyError  # noqa: TRY301 - what a handler might raise
    except KeyError:
        pass
    async with database.read() as connection:
        assert (await connection.execute(select(UserRow.id))).first()


async def test_a_commit_is_heard_of_and_a_rollback_is_not(empty_database_url: str) -> None:
    database = _open(empty_database_url)  # one in which nobody else writes
    try:
        heard = database.next_commit()
        with pytest.raises(KeyError):
            async with database.write():
                raise KeyError
        assert not heard.done()
        async with database.write():
            assert not heard.done()
        assert heard.done()
        assert not database.next_commit().done(), "the next one is yet to come"
    finally:
        await database.close()
