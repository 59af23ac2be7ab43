"""Recording keys: made for all sites, copied to each folder, rotated over kills, destroyed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.db.database import Database
from control_plane.keys.provider import LocalFile as Deriving
from control_plane.keys.store import KeyDestroyedError, KeyStore
from control_plane.recording_keys.ring import Ringkeeper
from control_plane.recording_keys.store import RecordingKeys
from custody import keyfile, keyring, seal
from custody.errors import KeyFileError, NoKeyError, TamperedError
from custody.keyring import Keyring
from custody.place import Place
from custody.providers import LocalFile
from custody.wrapping import Wrapped

PROJECT = Path(__file__).parents[3]
PLACE = Place(tenant="main", call="c", recording="c", segment=1, key_id="k")


async def written(_secret: str) -> None:
    """Stand for an audit log that takes everything."""


class Sites:
    """Two sites over one key store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite+aiosqlite:///{folder / 'keys.db'}"
        self.database = Database.open(self.url)
        self.keys = RecordingKeys(self.database)
        self.rings = {name: Keyring(folder / name / "keyring") for name in "ab"}
        for name in "ab":
            (folder / name).mkdir()
            keyfile.make(self.secret(name))

    def secret(self, name: str) -> Path:
        """Return where a site's provider has its secret."""
        return self.folder / name / "provider.key"

    def keeper(self, name: str) -> Ringkeeper:
        """Return a new life of a site's keeper."""
        provider = LocalFile.load(self.secret(name))
        return Ringkeeper(self.keys, self.rings[name], name, provider, written)

    async def turn(self, now_ms: int = 1_000, *, tenants: tuple[str, ...] = ("main",)) -> None:
        """Let both sites have a turn, and then the first another: it knows the second by now."""
        for name in "aba":
            await self.keeper(name).turn(tenants, now_ms)

    async def opens(self, name: str, tenant: str, key_id: str) -> bool:
        """Tell whether a site opens a key with what it has itself."""
        try:
            key = self.rings[name].get(tenant, key_id)
            providers = {name: LocalFile.load(self.secret(name))}
            private = await keyring.open_private(key, providers)
        except NoKeyError:
            return False
        sealed = seal.seal(b"d" * 32, key.public, PLACE)
        return seal.unseal(sealed, private, PLACE) == b"d" * 32


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    sites = Sites(tmp_path)
    await sites.keys.start()
    yield sites
    await sites.database.close()


async def test_every_tenant_gets_a_key_that_each_site_opens_alone(sites: Sites) -> None:
    await sites.turn(tenants=("main", "t2"))
    for tenant in ("main", "t2"):
        (one,) = {sites.rings[name].newest(tenant).id for name in "ab"}
        assert [await sites.opens(name, tenant, one) for name in "ab"] == [True, True]


async def test_while_one_site_alone_is_known_no_key_is_made(sites: Sites) -> None:
    await sites.keeper("a").turn(("main",), 1_000)
    assert await sites.keys.tenants() == frozenset()
    with pytest.raises(NoKeyError, match="2 providers"):
        await sites.keys.make("main", 1_000)


async def test_a_customer_has_one_key_whoever_asks_first(sites: Sites) -> None:
    await sites.turn()
    first = await sites.keys.make("main", 2_000, customer="cus_1")
    again = await sites.keys.make("main", 3_000, customer="cus_1")
    await sites.turn(2_000)
    assert first == again != sites.rings["a"].newest("main")
    assert await sites.opens("b", "main", first.id)


async def test_keys_that_were_laid_into_a_folder_are_taken_in(sites: Sites) -> None:
    providers = {name: LocalFile.load(sites.secret(name)) for name in "ab"}
    laid = keyring.make("main", keyring.recipients(providers), 5)
    sites.rings["a"].add(laid)
    await sites.turn()
    assert sites.rings["b"].newest("main").id == laid.id
    assert await sites.opens("b", "main", laid.id)


async def test_a_destroyed_key_is_gone_at_both_sites_and_never_made_again(sites: Sites) -> None:
    await sites.turn()
    made = await sites.keys.make("main", 2_000, customer="cus_1")
    await sites.turn(2_000)
    backup = sites.rings["b"].get("main", made.id)
    async with sites.database.write() as connection:
        assert await sites.keys.destroy(connection, "main", "cus_1", 3_000) == (made.id,)
    await sites.turn(3_000)
    assert [await sites.opens(name, "main", made.id) for name in "ab"] == [False, False]
    with pytest.raises(KeyDestroyedError):
        await sites.keys.make("main", 4_000, customer="cus_1")
    sites.rings["b"].add(backup)  # an older backup of the folder is restored
    await sites.turn(5_000)
    assert not await sites.opens("b", "main", made.id)


async def test_who_is_erased_before_the_first_call_gets_no_key_either(sites: Sites) -> None:
    await sites.turn()
    async with sites.database.write() as connection:
        assert await sites.keys.destroy(connection, "main", "cus_1", 3_000) == ()
    with pytest.raises(KeyDestroyedError):
        await sites.keys.make("main", 4_000, customer="cus_1")


async def test_nothing_of_a_destroyed_key_is_left_in_the_key_store_s_files(sites: Sites) -> None:
    await sites.turn()
    made = await sites.keys.make("main", 2_000, customer="cus_1")
    await sites.turn(2_000)

    def stored() -> set[str]:
        files = b"".join(path.read_bytes() for path in sites.folder.rglob("*") if path.is_file())
        return {under for under, each in made.wrapped.items() if each.sealed in files}

    assert stored() == set(made.wrapped)
    async with KeyStore(sites.database, Deriving(b"k" * 32)).destroying() as connection:
        await sites.keys.destroy(connection, "main", "cus_1", 3_000)
    await sites.turn(3_000)
    assert stored() == set()


MANY = 70
ROTATE = """
    import asyncio, sys
    from pathlib import Path
    from control_plane.db.database import Database
    from control_plane.recording_keys.ring import Ringkeeper
    from control_plane.recording_keys.store import RecordingKeys
    from custody.keyring import Keyring
    from custody.providers import LocalFile

    async def written(_secret):
        pass

    async def main(url, site):
        keys = RecordingKeys(Database.open(url))
        provider = LocalFile.load(Path(site) / "provider.key")
        unwrap, left = provider.unwrap, iter(range(60))

        async def some(*words):
            if next(left, None) is None:
                print("in the middle", flush=True)
                await asyncio.sleep(3600)
            return await unwrap(*words)

        provider.unwrap = some
        keeper = Ringkeeper(keys, Keyring(Path(site) / "keyring"), "a", provider, written)
        await keeper.turn((), 9_000)

    asyncio.run(main(*sys.argv[1:]))
"""


async def _rewrapped(sites: Sites, under: str) -> int:
    living = (await sites.keys.changes(0)).living
    return sum(1 for key in living if key.wrapped["a"].under != under)


async def test_a_rotation_that_is_killed_in_the_middle_goes_on_and_loses_no_key(
    sites: Sites,
) -> None:
    await sites.turn()
    for number in range(MANY):
        await sites.keys.make("main", 2_000, customer=f"cus_{number}")
    await sites.turn(2_000)
    ids = [key.id for key in (await sites.keys.changes(0)).living]
    (before,) = {key.wrapped["a"].under for key in (await sites.keys.changes(0)).living}
    old = sites.secret("a").read_bytes()

    LocalFile.load(sites.secret("a")).begin_rotation()
    words = [sys.executable, "-c", textwrap.dedent(ROTATE), sites.url, str(sites.folder / "a")]
    with subprocess.Popen(  # noqa: ASYNC220 - it is killed
        words, cwd=PROJECT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"in the middle\n"
        os.kill(process.pid, signal.SIGKILL)
    done = await _rewrapped(sites, before)
    assert 0 < done < MANY + 1, "it was killed in the middle"
    assert sites.secret("a").read_bytes() == old, "the older secret is still needed"
    assert all([await sites.opens("a", "main", each) for each in ids])

    await sites.turn(10_000)
    assert sites.secret("a").read_bytes() != old
    assert not LocalFile.load(sites.secret("a")).is_rotating
    assert await _rewrapped(sites, before) == MANY + 1
    for name in "ab":
        assert all([await sites.opens(name, "main", each) for each in ids])


async def test_a_process_that_read_the_secret_before_a_rotation_opens_what_comes_after(
    sites: Sites,
) -> None:
    await sites.turn()
    listener = LocalFile.load(sites.secret("a"))
    LocalFile.load(sites.secret("a")).begin_rotation()
    await sites.turn(2_000)
    key = sites.rings["a"].newest("main")
    assert await keyring.open_private(key, {"a": listener})


async def test_a_next_secret_that_cannot_be_read_takes_no_other_s_place(sites: Sites) -> None:
    await sites.turn()
    old = sites.secret("a").read_bytes()
    sites.secret("a").with_name("provider.key.next").touch(
        mode=0o600
    )  # whoever made it was killed before there was anything in it
    await sites.turn(2_000)
    assert sites.secret("a").read_bytes() == old
    (key,) = (await sites.keys.changes(0)).living
    assert await sites.opens("a", "main", key.id)
    provider = LocalFile.load(sites.secret("a"))
    for each in (provider.begin_rotation, provider.end_rotation):
        with pytest.raises(KeyFileError, match=r"provider\.key\.next"):
            each()
    assert sites.secret("a").read_bytes() == old


@pytest.mark.parametrize("fails", [1, 2, 3])
async def test_a_provider_that_fails_during_a_rotation_loses_no_key(
    sites: Sites, fails: int
) -> None:
    """What was not rewrapped is let go of with the older secret, and opens there no more."""
    await sites.turn()
    key = sites.rings["a"].newest("main")
    provider, left = LocalFile.load(sites.secret("a")), iter(range(fails))
    unwrap = provider.unwrap

    async def now_and_then(tenant: str, subject: str, wrapped: Wrapped) -> bytes:
        if next(left, None) is not None:
            raise TamperedError("a wrapped key does not open with this token")
        return await unwrap(tenant, subject, wrapped)

    provider.unwrap = now_and_then  # type: ignore[method-assign]
    provider.begin_rotation()
    keeper = Ringkeeper(sites.keys, sites.rings["a"], "a", provider, written)
    for _ in range(fails + 1):
        with contextlib.suppress(NoKeyError):  # the loop gives it another turn
            await keeper.turn((), 9_000)
    assert not LocalFile.load(sites.secret("a")).is_rotating
    assert await sites.opens("a", "main", key.id)


async def test_a_key_that_is_damaged_holds_no_rotation_up(sites: Sites) -> None:
    await sites.turn()
    good = await sites.keys.make("main", 2_000, customer="cus_1")
    bad = sites.rings["a"].newest("main")
    under = bad.wrapped["a"].under
    damaged = ("main", bad.id, Wrapped(under=under, sealed=bad.wrapped["b"].sealed))
    await sites.keys.rewrap("a", [damaged], 2_000)
    LocalFile.load(sites.secret("a")).begin_rotation()
    await sites.turn(3_000)
    assert not LocalFile.load(sites.secret("a")).is_rotating
    assert await sites.opens("a", "main", good.id)
    assert [await sites.opens(name, "main", bad.id) for name in "ab"] == [False, True]


async def test_a_key_made_while_a_rotation_goes_on_is_not_wrapped_for_what_it_lets_go_of(
    sites: Sites,
) -> None:
    await sites.turn()
    keeper = sites.keeper("a")
    await keeper.publish()
    # Begun between a turn's first look at the secret and its last.
    LocalFile.load(sites.secret("a")).begin_rotation()
    await keeper.rotate(2_000)
    made = await sites.keys.make("main", 3_000, customer="cus_1")
    await sites.turn(4_000)
    assert await sites.opens("a", "main", made.id)


WRONG_MS = 600_000
NOW_MS = 10_000_000


@pytest.mark.parametrize("off_ms", [-WRONG_MS, WRONG_MS], ids=["behind", "ahead"])
async def test_what_a_site_changes_whose_clock_is_wrong_comes_to_the_other_at_once(
    sites: Sites, off_ms: int
) -> None:
    a, b = sites.keeper("a"), sites.keeper("b")
    for keeper in (a, b, a):
        await keeper.turn(("main",), NOW_MS)
    wrong = NOW_MS + off_ms
    theirs = await sites.keys.make("main", wrong, customer="cus_1")
    await b.turn(("main",), NOW_MS)
    assert await sites.opens("b", "main", theirs.id)

    await a.turn(("main",), wrong)
    ours = await sites.keys.make("main", NOW_MS, customer="cus_2")
    await a.turn(("main",), wrong)
    assert await sites.opens("a", "main", ours.id)

    async with sites.database.write() as connection:
        await sites.keys.destroy(connection, "main", "cus_1", wrong)
    await b.turn(("main",), NOW_MS)
    assert not await sites.opens("b", "main", theirs.id)
