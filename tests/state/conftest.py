"""The cluster that the tests of this folder share; each test leaves it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.state.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start three members once."""
    cluster = Cluster.make(tmp_path_factory.mktemp("etcd"))
    try:
        cluster.start()
        cluster.wait_for_leader()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """Give a whole cluster, and make it whole again."""
    running_cluster.heal()
    yield running_cluster
    running_cluster.heal()
