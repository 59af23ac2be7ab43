"""A second site opens the first one's recordings with its own keys alone, also after a rotation."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from control_plane.audit.errors import SealError
from control_plane.audit.note import Head
from control_plane.audit.tables import AuditRow
from control_plane.recording_keys import keeping
from control_plane.recordings import sampler
from control_plane.recordings.shelf import ARCHIVE, LIBRARY
from custody import rotation
from custody.findings import Sample
from custody.keyring import Keyring
from custody.providers import LocalFile
from custody.sampling import sample
from tests.control_plane.live.stage import eventually
from tests.control_plane.recordings.sites import Sites, make

ONE, TWO = "1" * 24, "2" * 24


@pytest.fixture
async def sites(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sites]:
    monkeypatch.setattr(keeping, "PERIOD_S", 0.05)
    monkeypatch.setattr(sampler, "LOOK_S", 0.05)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        yield await make(Path(name))


async def sampled(sites: Sites, site: str) -> Sample:
    """Take a sample at a site."""
    app = sites.centers[site].app
    return await sample(app[ARCHIVE].store, app[LIBRARY], site, at_ms=1)


async def test_copies_are_opened_where_they_are_and_a_site_s_own_recordings_are_not(
    sites: Sites,
) -> None:
    async with sites.serving():
        for call in (ONE, TWO):
            await sites.recorded(call)
        assert await sampled(sites, "a") == Sample(site="a", at_ms=1, tried=0, opened=0)
        assert await sampled(sites, "b") == Sample(site="b", at_ms=1, tried=2, opened=2)

        # A change of what the second site has, and of nothing else, is found there.
        (audio,) = (sites.store("b") / "main/audio" / TWO).iterdir()
        audio.write_bytes(audio.read_bytes()[:-1] + b"x")
        found = await sampled(sites, "b")
        assert (found.tried, found.opened) == (2, 1)
        assert "main/" + TWO in found.faults[0]


async def test_the_daily_sample_stands_in_the_metrics(sites: Sites) -> None:
    async with sites.serving():
        await sites.recorded(ONE)

        async def is_told() -> bool:
            sites.clock.advance(1)
            told = (await sites.centers["b"].ask("GET", "/metrics")).body.decode()
            return (
                "everline_recording_sample_tried 1.0" in told
                and "everline_recording_sample_opened 1.0" in told
            )

        await eventually(is_told, "the sample is told")


async def test_keys_wrapped_under_a_secret_that_is_lost_are_found_by_the_sample(
    sites: Sites,
) -> None:
    (sites.folder("b") / "provider.key").unlink()
    sites.lose_secret("b")
    async with sites.serving():
        await sites.recorded(ONE)
        found = await sampled(sites, "b")
    assert (found.tried, found.opened) == (1, 0)
    assert "none of them opens it" in found.faults[0]


async def test_a_rotation_rewraps_every_key_and_touches_no_audio(sites: Sites) -> None:
    async with sites.serving():
        _, key = await sites.customer()
        await sites.recorded(ONE, key=key)
        await sites.recorded(TWO)
        audio = {path: path.read_bytes() for path in sites.store("a").rglob("*") if path.is_file()}
        secret = sites.folder("a") / "provider.key"
        before, ring = secret.read_bytes(), Keyring(sites.folder("a") / "keyring")
        LocalFile.load(secret).begin_rotation()

        async def is_over() -> bool:
            found = rotation.look("a", LocalFile.load(secret), ring)
            return found.is_over and found.rewrapped == found.keys == 2

        await eventually(is_over, "both keys are rewrapped, and the older secret is gone")
        assert secret.read_bytes() != before
        assert not secret.with_name("provider.key.next").exists()
        for site in "ab":
            assert [await sites.opens(site, call) for call in (ONE, TWO)] == [True, True]
        assert all(path.read_bytes() == content for path, content in audio.items())


async def test_a_rotation_stands_in_the_audit_log_and_waits_for_it(sites: Sites) -> None:
    async with sites.serving():
        await sites.recorded(ONE)
        secret = sites.folder("a") / "provider.key"
        ring, ledger = Keyring(sites.folder("a") / "keyring"), sites.centers["a"].services.ledger
        tried = 0

        async def away(*_: object) -> Head:
            nonlocal tried
            tried += 1
            raise SealError("what this site remembers cannot be read")

        async def is_refused() -> bool:
            return tried > 4  # some are of those who seal what others have written

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ledger, "seal", away)
            LocalFile.load(secret).begin_rotation()
            await eventually(is_refused, "the log was asked")
            found = rotation.look("a", LocalFile.load(secret), ring)
            assert (found.is_over, found.rewrapped) == (False, 0)
            assert await sites.opens("a", ONE)

        async def is_over() -> bool:
            return rotation.look("a", LocalFile.load(secret), ring).is_over

        await eventually(is_over, "it goes on once the log takes it")
        async with sites.centers["a"].services.database.read() as connection:
            told = list(
                await connection.execute(
                    select(AuditRow.thing, AuditRow.site).where(
                        AuditRow.action == "recording_key:rotate"
                    )
                )
            )
        assert told == [("a", "a")], "once"
