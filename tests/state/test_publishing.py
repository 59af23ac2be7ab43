from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from state import keys
from state.clock import ManualClock
from state.codec import decode_at, encode
from state.configuration import Configuration
from state.errors import FutureVersionError, OutcomeUnknownError, UnavailableError
from state.listing import read_all
from state.memory import MemoryStore
from state.model import Agent, AgentId, Readiness, Release, Site, SiteId, Wish
from state.publishing import OPERATIONS_IN_TXN, Encoded, Published, publish
from state.store import Delete, Operation, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from state.codec import Record
    from state.store import Compare, RangeResult, Store, TxnResult
    from tests.state.cluster import Cluster

SITE = Site(id=SiteId("a"), name="A", sip="h:1")


def agents(count: int) -> Configuration:
    made = tuple(
        Agent(id=AgentId(f"agent{n}"), name=f"Agent {n}", site=SiteId("a"), skills={}, ha1="0" * 32)
        for n in range(count)
    )
    return Configuration(sites=(SITE,), agents=made)


async def held(store: Store) -> dict[str, Record]:
    """Return the configuration that a store holds."""
    listing = await read_all(store, keys.CONFIG)
    return {record.key: decode_at(record.key, record.value) for record in listing.records}


class MeddledStore(MemoryStore):
    """Counts transactions, and lets something happen before some of them, or to their answers."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.sizes: list[int] = []
        self.meddling: list[list[Operation]] = []
        """Done before each of the next transactions."""
        self.answers_lost = 0
        """How many of the next transactions are done and not answered."""

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Meddle, do, and perhaps not answer."""
        self.sizes.append(len(success))
        if self.meddling:
            await super().txn([], self.meddling.pop(0))
        done = await super().txn(compares, success, failure, patience_s=patience_s)
        if self.answers_lost:
            self.answers_lost -= 1
            raise OutcomeUnknownError("the answer was lost")
        return done


async def test_a_configuration_is_written_and_then_there() -> None:
    store = MeddledStore()
    published = await publish(store, agents(3))
    assert published == Published(written=4, deleted=0, unchanged=0, revision=2)
    assert await held(store) == agents(3).by_key()


async def test_publishing_again_writes_nothing() -> None:
    store = MeddledStore()
    await publish(store, agents(3))
    again = await publish(store, agents(3))
    assert again == Published(written=0, deleted=0, unchanged=4, revision=2)


async def test_what_is_gone_is_deleted_and_what_changed_is_written() -> None:
    store = MeddledStore()
    await publish(store, agents(3))
    less = replace(agents(2), sites=(replace(SITE, draining=True),))
    published = await publish(store, less)
    assert (published.written, published.deleted, published.unchanged) == (1, 1, 2)
    assert await held(store) == less.by_key()


async def test_nothing_beyond_the_configuration_is_touched() -> None:
    store = MeddledStore()
    wish = Wish(agent=AgentId("agent0"), readiness=Readiness.READY)
    await store.txn([], [Put(key=keys.wish(wish.agent), value=encode(wish))])
    await publish(store, agents(1))
    await publish(store, Configuration())
    assert await held(store) == {}
    assert (await store.range(keys.wish(wish.agent))).records


async def test_transactions_keep_to_their_size() -> None:
    store = MeddledStore()
    await publish(store, agents(250))
    assert store.sizes == [OPERATIONS_IN_TXN, OPERATIONS_IN_TXN, 51]
    assert await held(store) == agents(250).by_key()


async def test_another_writer_in_between_is_seen_and_not_overwritten_blindly() -> None:
    store = MeddledStore()
    other = Put(key=keys.site(SiteId("a")), value=encode(replace(SITE, name="Other")))
    store.meddling = [[other], [Delete(key=keys.site(SiteId("a")))]]
    await publish(store, agents(1))
    assert await held(store) == agents(1).by_key()
    assert len(store.sizes) == 3


class CountingStore(MemoryStore):
    """Counts how often it is read."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.reads = 0

    async def range(self, *args: Any, **named: Any) -> RangeResult:  # noqa: ANN401 - as they come
        """Count it."""
        self.reads += 1
        return await super().range(*args, **named)


def release(number: int, count: int) -> Configuration:
    return replace(agents(count), release=Release(version=number))


async def test_a_release_whose_transactions_went_through_is_not_read_again() -> None:
    store = CountingStore()
    await publish(store, release(1, 150))
    store.reads = 0
    done = await publish(store, release(2, 151))
    assert (done.written, done.deleted, done.unchanged, store.reads) == (1, 0, 151, 1)
    assert await held(store) == release(2, 151).by_key() | {keys.release(): Release(version=2)}


async def test_what_was_seen_of_a_release_is_not_read_at_all() -> None:
    store = CountingStore()
    await publish(store, release(1, 150))
    seen = await read_all(store, keys.CONFIG)
    store.reads = 0
    done = await publish(store, release(2, 151), seen)
    assert (done.written, done.unchanged, store.reads) == (1, 151, 0)
    assert await held(store) == release(2, 151).by_key() | {keys.release(): Release(version=2)}


async def test_who_publishes_again_encodes_what_has_changed_and_forgets_what_is_gone() -> None:
    store, encoded = CountingStore(), Encoded()
    await publish(store, release(1, 3), encoded=encoded)
    (first, key) = SITE, keys.site(SITE.id)
    assert encoded.of(key, first) is encoded.of(key, first)
    renamed = replace(SITE, name="A new one")
    later = replace(release(2, 2), sites=(renamed,))
    done = await publish(store, later, encoded=encoded)
    assert (done.written, done.deleted) == (1, 1)
    assert await held(store) == later.by_key() | {keys.release(): Release(version=2)}
    assert encoded.of(key, renamed) == encode(renamed)
    back = await publish(store, replace(release(3, 3)), encoded=encoded)
    assert (back.written, await held(store)) == (
        2, release(3, 3).by_key() | {keys.release(): Release(version=3)},
    )  # fmt: skip


async def test_what_was_seen_too_long_ago_is_read_again() -> None:
    store = CountingStore()
    await publish(store, release(1, 3))
    seen = await read_all(store, keys.CONFIG)
    await publish(store, release(2, 5))
    await publish(store, release(3, 4), seen)
    assert await held(store) == release(3, 4).by_key() | {keys.release(): Release(version=3)}


async def test_a_file_that_was_seen_is_not_gone_by() -> None:
    # It leaves no record that a transaction could compare: others may have written since.
    store = CountingStore()
    await publish(store, agents(3))
    seen = await read_all(store, keys.CONFIG)
    await publish(store, agents(5))
    await publish(store, release(1, 4), seen)
    assert await held(store) == release(1, 4).by_key() | {keys.release(): Release(version=1)}


@pytest.mark.parametrize(
    "others", [Release(version=1, is_whole=False), None], ids=["older", "none"]
)
async def test_who_published_in_between_is_seen_by_the_releases_record(
    others: Release | None,
) -> None:
    store = MeddledStore()
    await publish(store, release(1, 3))
    gone = Delete(key=keys.agent(AgentId("agent0")))
    told = keys.release()
    word = Delete(key=told) if others is None else Put(key=told, value=encode(others))
    store.meddling = [[gone, word]]
    await publish(store, release(2, 4))
    assert await held(store) == release(2, 4).by_key() | {told: Release(version=2)}


async def test_a_writer_who_never_rests_is_an_error_and_no_endless_loop() -> None:
    store = MeddledStore()
    store.meddling = [
        [Put(key=keys.site(SiteId("a")), value=encode(replace(SITE, name=f"N{n}")))]
        for n in range(100)
    ]
    with pytest.raises(UnavailableError, match="somebody else publishing"):
        await publish(store, agents(1))


async def test_a_lost_answer_is_looked_up() -> None:
    store = MeddledStore()
    store.answers_lost = 1
    await publish(store, agents(1))
    assert await held(store) == agents(1).by_key()
    assert len(store.sizes) == 1


async def test_fields_of_a_later_program_are_kept() -> None:
    store = MeddledStore()
    data = encode(replace(SITE, name="Old"))[:-1] + b',"colour":"red"}'
    key = keys.site(SiteId("a"))
    await store.txn([], [Put(key=key, value=data)])
    await publish(store, agents(0))
    (record,) = (await store.range(key)).records
    assert record.value.endswith(b'"colour":"red"}')
    assert await held(store) == agents(0).by_key()


@pytest.mark.parametrize("key", [keys.site(SiteId("a")), keys.site(SiteId("gone"))])
async def test_a_record_of_a_later_version_is_neither_overwritten_nor_deleted(key: str) -> None:
    store = MeddledStore()
    await store.txn([], [Put(key=key, value=b'{"v":2}')])
    with pytest.raises(FutureVersionError, match=key):
        await publish(store, agents(1))
    assert len(store.sizes) == 1


async def test_what_nobody_can_read_is_replaced_or_taken_away() -> None:
    store = MeddledStore()
    junk = [keys.site(SiteId("a")), keys.site(SiteId("gone")), f"{keys.CONFIG}odd"]
    await store.txn([], [Put(key=key, value=b"junk") for key in junk])
    published = await publish(store, agents(1))
    assert (published.written, published.deleted) == (2, 2)
    assert await held(store) == agents(1).by_key()


@pytest.mark.parts
async def test_a_large_configuration_fits_real_transactions(cluster: Cluster) -> None:
    store = cluster.store()
    await publish(store, Configuration())
    published = await publish(store, agents(300))
    assert (published.written, published.unchanged) == (301, 0)
    assert await held(store) == agents(300).by_key()
    assert (await publish(store, Configuration())).deleted == 301
    await store.close()
