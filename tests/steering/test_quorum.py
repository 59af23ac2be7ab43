"""Whether the quorum would be kept without a site: by who has a vote, and not by who serves."""

from __future__ import annotations

import pytest

from edge.steering.loss import outlook
from edge.steering.quorum import site_of
from state.members import EtcdMember, silent
from state.model import SiteId
from tests.acd.worlds import NOW, World


def members(names: str, *, down: str = "") -> tuple[EtcdMember, ...]:
    return tuple(
        EtcdMember(name=each, hosts=(f"198.18.9.{number}",), is_up=each not in down)
        for number, each in enumerate(names)
    )


def kept(world: World, told: tuple[EtcdMember, ...]) -> dict[str | None, bool]:
    """Return whether the quorum is kept as it is, and without each site."""
    found = outlook(world.snapshot, [], NOW, members=told)
    return {each.site: each.quorum_left for each in (found.as_it_is, *found.sites)}


def test_with_one_member_down_already_no_other_site_may_be_lost_though_all_serve() -> None:
    told = members("abc", down="b")
    assert kept(World(), told) == {None: True, "a": False, "b": True, "c": False}
    found = outlook(World().snapshot, [], NOW, members=told)
    assert not found.can_lose_any
    assert (found.members, found.members_silent) == (3, ("b",))


def test_with_all_members_up_any_site_may_be_lost_and_with_two_down_there_is_no_quorum() -> None:
    assert all(kept(World(), members("abc")).values())
    assert not any(kept(World(), members("abc", down="bc")).values())


def test_a_site_whose_edges_are_dead_still_has_its_vote() -> None:
    world = World()
    world.drop("/everline/state/edge/c1")
    assert kept(world, members("abc")) == {None: True, "a": True, "b": True, "c": True}


def test_a_witness_has_a_vote_and_serves_nobody() -> None:
    world = World(sites=("a", "b"))
    assert kept(world, members("abw")) == {None: True, "a": True, "b": True}
    assert kept(world, members("abw", down="w")) == {None: True, "a": False, "b": False}


def test_of_five_members_two_may_be_gone() -> None:
    world = World(sites=("a", "b", "c", "d", "e"))
    assert kept(world, members("abcde", down="e"))["a"]
    assert not kept(world, members("abcde", down="de"))["a"]


@pytest.mark.parametrize(
    ("name", "host", "site"),
    [
        ("b", "203.0.113.1", "b"),
        ("etcd-2", "198.18.2.10", "b"),
        ("etcd-9", "203.0.113.1", None),
        ("", "198.18.2.10", "b"),
    ],
    ids=["by its name", "by its host", "nobody knows", "one that never was started"],
)
def test_a_member_is_at_the_site_of_its_name_or_of_its_host(
    name: str, host: str, site: str | None
) -> None:
    world = World()
    member = EtcdMember(name=name, hosts=(host,), is_up=True)
    assert site_of(member, world.snapshot.sites) == site


def test_a_member_that_nobody_can_place_is_taken_to_go_with_the_site() -> None:
    told = (
        *members("ab"),
        EtcdMember(name="etcd-9", hosts=("203.0.113.1",), is_up=True),
    )
    assert kept(World(), told)["c"], "three of three, and one of them may go"
    one_down = (told[0], *members("b", down="b"), told[2])
    assert not kept(World(), one_down)["c"]
    assert kept(World(), one_down)["b"]


def test_where_nobody_could_ask_the_members_sites_that_serve_are_counted() -> None:
    world = World()
    assert all(kept(world, ()).values())
    world.drop("/everline/state/edge/c1")
    assert kept(world, ()) == {None: True, "a": False, "b": False, "c": True}
    found = outlook(world.snapshot, [], NOW)
    assert (found.members, found.members_silent) == (0, ())


def test_who_is_silent_is_named() -> None:
    told = (*members("ab", down="b"), EtcdMember(name="", hosts=("h", "i"), is_up=False))
    assert silent(told) == ("b", "h i")
    assert SiteId("a") not in silent(told)
