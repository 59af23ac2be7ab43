"""Who of etcd's members takes part, by real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from state.etcd import EtcdStore

if TYPE_CHECKING:
    from tests.state.cluster import Cluster

pytestmark = [pytest.mark.parts, pytest.mark.longer(30)]


async def up(store: EtcdStore) -> dict[str, bool]:
    return {each.name: each.is_up for each in await store.members()}


async def test_each_member_is_seen_also_by_a_client_that_knows_one_address(
    cluster: Cluster,
) -> None:
    whole, one = cluster.store(), EtcdStore(cluster.addresses()[:1], tls=cluster.tls)
    try:
        for store in (whole, one):
            assert await up(store) == {"m0": True, "m1": True, "m2": True}
        gone = 2 if cluster.leader() == 1 else 1  # while they choose another nobody leads
        cluster.kill(gone)
        for store in (whole, one):
            assert await up(store) == {f"m{each}": each != gone for each in range(3)}
        (told, *_) = await whole.members()
        assert told.hosts == ("127.0.0.1",)
    finally:
        await whole.close()
        await one.close()
