"""What a lab is planned to consist of."""

from __future__ import annotations

import pytest

from drills.lab.errors import PlanError
from drills.lab.plan import HostKind, edge_port, plan_lab
from state.model import EdgeId, SiteId


def test_three_sites_have_the_addresses_of_the_architecture_page() -> None:
    addresses = {host.name: host.address for host in plan_lab().hosts}
    assert addresses == {
        "a": "198.18.1.10",
        "b": "198.18.2.10",
        "c": "198.18.3.10",
        "carrier": "198.18.10.10",
        "callers": "198.18.11.10",
        "agents-a": "198.18.21.10",
        "agents-b": "198.18.22.10",
        "agents-c": "198.18.23.10",
    }


def test_edges_are_named_by_their_site_and_numbered_from_one() -> None:
    assert plan_lab(edges=2).edges(SiteId("b")) == ("b1", "b2")
    assert [edge_port(EdgeId(edge)) for edge in ("a1", "a2", "c9")] == [5081, 5082, 5089]


@pytest.mark.parametrize("sites", [1, 3, 9])
def test_no_two_hosts_share_an_address_or_an_interface(sites: int) -> None:
    hosts = plan_lab(sites=sites).hosts
    assert len({host.address for host in hosts}) == len(hosts)
    assert len({host.interface for host in hosts}) == len(hosts)
    assert all(len(host.interface) <= 15 for host in hosts)


@pytest.mark.parametrize(("sites", "edges"), [(0, 2), (10, 2), (3, -1), (3, 10)])
def test_a_plan_of_impossible_size_is_refused(sites: int, edges: int) -> None:
    with pytest.raises(PlanError, match="not"):
        plan_lab(sites=sites, edges=edges)


def test_an_unknown_host_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PlanError, match=r"no host 'd' in this lab; there are: a, b, c, carrier"):
        plan_lab().host("d")


def test_each_site_has_agents_of_its_own() -> None:
    agents = plan_lab().hosts_of(HostKind.AGENTS)
    assert [(host.name, host.site) for host in agents] == [
        ("agents-a", "a"),
        ("agents-b", "b"),
        ("agents-c", "c"),
    ]
