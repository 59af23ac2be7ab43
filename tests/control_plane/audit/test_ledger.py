"""The log in a database that several control planes append to, and that somebody tampers with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from control_plane.audit import note, store, verify
from control_plane.audit.errors import SealError, TamperedError
from control_plane.audit.ledger import Ledger
from control_plane.audit.verify import Fault
from control_plane.audit.witness import Seen
from tests.control_plane.audit.made import KEYS, PRIVATE
from tests.control_plane.audit.sites import Site, close, entry, two

Sites = tuple[Site, Site]


@pytest.fixture
async def sites(empty_database_url: str, tmp_path: Path) -> AsyncIterator[Sites]:
    """Give sites a and b."""
    made = await two(empty_database_url, tmp_path)
    yield made
    await close(*made)


async def tamper(site: Site, *statements: str) -> None:
    """Do what whoever has the database can: the triggers do not hold them up."""
    lite = ("audit_is_not_deleted", "audit_is_not_changed", "audit_is_placed_once")
    async with site.database.write() as connection:
        if site.database.is_sqlite:
            for each in lite:
                await connection.execute(text(f"DROP TRIGGER IF EXISTS {each}"))
        else:
            await connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        for each in statements:
            await connection.execute(text(each))


async def test_what_is_sealed_is_vouched_for_by_the_other_site_and_found_good(
    sites: Sites,
) -> None:
    a, b = sites
    await a.seal(*range(300))
    assert await b.witness.look() is Seen.GOES_ON
    assert await b.seal(300) == 301
    assert await a.witness.look() is Seen.GOES_ON
    seen = [site.memory.note() or "" for site in sites]
    result = verify.verify(await a.file(), KEYS, seen=seen)
    assert result.findings == ()
    assert (result.entries, result.countersigned_size) == (301, 301)
    assert result.countersigned_by == ("a",)


async def test_several_who_append_at_once_make_one_log(sites: Sites) -> None:
    a, b = sites
    writers = [site.seal(100 * number + at) for at in range(8) for number, site in enumerate(sites)]
    await asyncio.gather(*writers, a.add(900, 901), b.add(902))
    await b.seal()
    file = await a.file()
    assert len(file.entries) == 19
    assert verify.verify(file, KEYS, witnesses=0).is_good


async def test_what_is_rolled_back_is_neither_written_nor_sealed(sites: Sites) -> None:
    a, b = sites
    await a.seal(1)
    async with a.database.write() as connection:
        await store.add(connection, entry(9))
        assert (await a.ledger.seal(connection)).size == 2
        await connection.rollback()
    assert await b.seal(2) == 2
    assert verify.verify(await a.file(), KEYS, witnesses=0).is_good


async def test_entries_are_neither_changed_nor_deleted_by_accident(sites: Sites) -> None:
    a, _ = sites
    await a.seal(1)
    for each in (
        "DELETE FROM audit", "UPDATE audit SET actor = 'x'", "UPDATE audit SET place = 7"
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="audit log"):
            async with a.database.write() as connection:
                await connection.execute(text(each))


async def test_an_edit_in_the_database_is_found_where_it_is(sites: Sites) -> None:
    a, b = sites
    await a.seal(*range(10))
    await b.witness.look()
    await tamper(a, "UPDATE audit SET actor = 'nobody' WHERE place = 4")
    (finding,) = verify.verify(await a.file(), KEYS).findings
    assert (finding.fault, finding.first, finding.end) == (Fault.CHANGED, 4, 5)


CUT = (
    "DELETE FROM audit WHERE place >= 5",
    "DELETE FROM audit_tiles",
    "DELETE FROM audit_checkpoints WHERE size > 5",
    "DELETE FROM audit_cosignatures WHERE size > 5",
)


async def test_a_site_neither_vouches_for_nor_goes_on_from_a_log_that_was_cut(sites: Sites) -> None:
    a, b = sites
    await a.seal(*range(5))
    await b.witness.look()
    await a.seal(*range(5, 9))
    await b.witness.look()
    await tamper(a, *CUT)
    assert await b.witness.look() is Seen.BROKEN
    with pytest.raises(TamperedError, match="cut"):
        await b.seal(99)
    found = verify.verify(await a.file(), KEYS, seen=[b.memory.note() or ""]).findings
    assert (found[-1].fault, found[-1].first, found[-1].end) == (Fault.CUT, 5, 9)


async def test_a_log_written_anew_with_the_key_of_one_site_is_refused_by_the_other(
    sites: Sites, tmp_path: Path
) -> None:
    a, b = sites
    await a.seal(*range(5))
    await b.witness.look()
    await tamper(
        a,
        "UPDATE audit SET place = NULL, actor = 'nobody'",
        "DELETE FROM audit_tiles",
        "DELETE FROM audit_checkpoints",
        "DELETE FROM audit_cosignatures",
    )
    (tmp_path / "a.seen").unlink(missing_ok=True)
    a.memory.__init__(tmp_path / "a.seen")  # type: ignore[misc]
    assert await a.seal(5) == 6, "whoever has site a and the database can do that"
    assert await b.witness.look() is Seen.BROKEN
    with pytest.raises(TamperedError, match="changed"):
        await b.seal(7)
    found = verify.verify(await a.file(), KEYS, seen=[b.memory.note() or ""]).findings
    assert {each.fault for each in found} == {Fault.CHANGED, Fault.NOT_COUNTERSIGNED}


async def test_a_checkpoint_of_a_stranger_is_not_gone_on_from(sites: Sites) -> None:
    a, b = sites
    await a.seal(1)
    file = await a.file()
    forged = note.sign(note.read_head(file.checkpoints[0]), "z", PRIVATE["z"])
    await tamper(a, f"UPDATE audit_checkpoints SET note = '{forged}'")  # noqa: S608 - a test's own
    assert await b.witness.look() is Seen.BROKEN
    with pytest.raises(TamperedError, match="no site of ours"):
        await b.seal(2)


async def test_tiles_that_were_changed_are_not_gone_on_from(sites: Sites) -> None:
    a, b = sites
    await a.seal(1, 2, 3)
    await tamper(a, "DELETE FROM audit_tiles")
    with pytest.raises(TamperedError, match="tiles"):
        await b.seal(4)


async def test_without_a_key_entries_wait_for_a_site_that_has_one(sites: Sites) -> None:
    a, b = sites
    a.ledger = Ledger(None)
    await a.add(1, 2)
    with pytest.raises(SealError, match="no key"):
        await a.seal(3)
    assert await b.seal() == 2


async def test_a_memory_that_cannot_be_read_seals_nothing(sites: Sites, tmp_path: Path) -> None:
    a, _ = sites
    (tmp_path / "a.seen").write_text("rubbish")
    with pytest.raises(SealError, match="remembers"):
        await a.seal(1)
