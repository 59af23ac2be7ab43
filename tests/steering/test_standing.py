"""Which sites are in: whose word counts, and how often it may change."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.steering import NOBODY, Illness, Standings, ill_sites, rows
from edge.steering.standing import HOLD_S, WELL_S
from state import keys
from state.model import DidNumber, EdgeId, EdgeState, Probe, SiteId
from tests.acd.worlds import NOW, PATIENT, World

A, B, C = (SiteId(name) for name in "abc")
SALES = DidNumber("4930100")
SETS = st.frozensets(st.sampled_from("abcd")).map("".join)


def say(world: World, edge: str, *, down: str = "", lossy: str = "", unsure: str = "") -> None:
    record = Probe(
        edge=EdgeId(edge),
        up=(),
        down=tuple(map(SiteId, down)),
        lossy=tuple(map(SiteId, lossy)),
        unsure=tuple(map(SiteId, unsure)),
    )
    world.put(keys.probe(record.edge), record)


def world_of(*says: tuple[str, str, str], sites: str = "abc") -> World:
    world = World(tuple(sites))
    world.queue("sales", sales=3)
    world.did(SALES, "sales")
    for edge, down, lossy in says:
        say(world, edge, down=down, lossy=lossy)
    return world


def test_a_site_that_two_others_cannot_reach_is_down_for_everybody() -> None:
    world = world_of(("a1", "c", ""), ("b1", "c", ""), ("c1", "ab", ""))
    assert ill_sites(world.snapshot, A) == {C: Illness.DOWN}


def test_a_link_that_is_cut_one_way_takes_neither_side_down() -> None:
    world = world_of(("a1", "", ""), ("b1", "c", ""), ("c1", "b", ""))
    for own in (A, B, C):
        assert ill_sites(world.snapshot, own) == {}
    # Each leaves the other out for its own calls: nobody else does.
    assert ill_sites(world.snapshot, B, unreachable={C}) == {C: Illness.DOWN}


def test_of_two_sites_that_accuse_each_other_neither_falls_by_words() -> None:
    world = world_of(("a1", "b", "b"), ("b1", "a", "a"), sites="ab")
    assert ill_sites(world.snapshot, A) == {}


def test_one_edge_of_a_site_that_says_otherwise_is_enough_for_its_site_to_say_nothing() -> None:
    world = world_of(("a1", "c", ""), ("b1", "c", ""))
    world.edge("b2", sip="198.18.2.10:5082")
    say(world, "b2")
    assert ill_sites(world.snapshot, A) == {}


def test_a_site_whose_links_lose_audio_is_gray_and_a_single_bad_link_makes_nobody_gray() -> None:
    both = world_of(("a1", "", "b"), ("b1", "", ""), ("c1", "", "b"))
    assert ill_sites(both.snapshot, B) == {B: Illness.GRAY}
    from_inside = world_of(("a1", "", ""), ("b1", "", "ac"), ("c1", "", ""))
    assert ill_sites(from_inside.snapshot, A) == {B: Illness.GRAY}
    one = world_of(("a1", "", "b"), ("b1", "", "a"), ("c1", "", ""))
    assert ill_sites(one.snapshot, A) == {}


def test_a_gray_site_is_no_better_because_an_edge_elsewhere_has_just_begun() -> None:
    world = world_of(("a1", "", ""), ("b1", "", "a"), ("c1", "", "a"))
    world.edge("b2", sip="198.18.2.10:5082")
    say(world, "b2", unsure="ac")
    assert ill_sites(world.snapshot, C) == {A: Illness.GRAY}
    say(world, "b2", unsure="c")
    assert ill_sites(world.snapshot, C) == {}, "it has heard enough of a, and all of it"
    for edge in ("b1", "b2", "c1"):
        say(world, edge, unsure="a")
    assert ill_sites(world.snapshot, C) == {}, "nobody can tell"


def test_a_dead_site_says_nothing_against_the_living() -> None:
    world = world_of(("a1", "", ""), ("b1", "", ""), ("c1", "ab", "ab"))
    assert ill_sites(world.snapshot, A, unreachable={C}) == {C: Illness.DOWN}


@given(
    says=st.lists(st.tuples(SETS, SETS), min_size=2, max_size=4), out=SETS, own=st.integers(0, 3)
)
@PATIENT
def test_words_never_take_the_last_site_out(
    says: list[tuple[str, str]], out: str, own: int
) -> None:
    names = "abcd"[: len(says)]
    edges = [(f"{site}1", down, lossy) for site, (down, lossy) in zip(names, says, strict=True)]
    world = world_of(*edges, sites=names)
    me = SiteId(names[own % len(names)])
    unreachable = {SiteId(each) for each in out if each in names} - {me}
    ill = ill_sites(world.snapshot, me, unreachable=unreachable)
    assert unreachable <= {site for site, illness in ill.items() if illness is Illness.DOWN}
    by_words = ill_sites(world.snapshot, me)
    assert set(map(SiteId, names)) - set(by_words)
    # Whatever stands, every site that is well is in every row, and no row is empty.
    standings = NOBODY.after(world.snapshot.sites, ill, 0.0)
    table = rows(world.snapshot, me, NOW, unreachable=standings.left_out, last=standings.last)
    for site in set(map(SiteId, names)) - set(ill):
        assert any(
            f"198.18.{names.index(site) + 1}." in edge for group in table[SALES] for edge in group
        )
    assert all(table.values())


def gray_for_a_moment(world: World) -> Standings:
    """Return how the sites stand when C has just been found gray, and is not any more."""
    standings = NOBODY.after(world.snapshot.sites, {}, 0.0)
    return standings.after(world.snapshot.sites, {C: Illness.GRAY}, 1.0).after(
        world.snapshot.sites, {}, 2.0
    )


def test_a_site_that_counts_as_gray_takes_calls_again_while_no_other_is_well() -> None:
    """So a center turned all callers away, 45 s after its last good site had been gray."""
    world = world_of(("a1", "", ""), ("b1", "", ""), ("c1", "", ""))
    standings = gray_for_a_moment(world)
    assert standings.is_gray(C)
    assert standings.drains(C)
    assert not standings.drains(A)
    alone = standings.after(world.snapshot.sites, {A: Illness.DOWN, B: Illness.DOWN}, 3.0)
    assert alone.is_gray(C)
    assert not alone.drains(C)
    with_one = alone.after(world.snapshot.sites, {A: Illness.DOWN}, 4.0)
    assert with_one.drains(C)


def test_a_site_that_is_drained_takes_calls_again_while_no_other_is_well() -> None:
    world = world_of(("a1", "", ""), ("b1", "", ""), ("c1", "", ""))
    well = NOBODY.after(world.snapshot.sites, {}, 0.0)
    assert well.drains(C, {C})
    assert not well.drains(A, {C})
    others_died = well.after(world.snapshot.sites, {A: Illness.DOWN, B: Illness.DOWN}, 1.0)
    assert not others_died.drains(C, {C})
    # Nor do two that are drained wait for each other.
    one_died = well.after(world.snapshot.sites, {A: Illness.DOWN}, 1.0)
    assert not one_died.drains(B, {B, C})
    assert not one_died.drains(C, {B, C})
    # Whoever drains all of them wants just that.
    assert all(well.drains(site, {A, B, C}) for site in (A, B, C))


@given(
    seen=st.lists(
        st.tuples(
            st.floats(0.1, 30.0),
            st.dictionaries(st.sampled_from([A, B, C]), st.sampled_from(Illness)),
        ),
        min_size=1,
        max_size=40,
    ),
    drained=st.frozensets(st.sampled_from([A, B, C])),
)
@PATIENT
def test_whatever_was_found_before_a_site_that_answers_takes_calls(
    seen: list[tuple[float, dict[SiteId, Illness]]], drained: frozenset[SiteId]
) -> None:
    standings, now_s = NOBODY, 0.0
    for pause_s, found in seen:
        now_s += pause_s
        standings = standings.after((A, B, C), found, now_s)
        answering = {A, B, C} - {site for site, ill in found.items() if ill is Illness.DOWN}
        is_wanted = drained >= {A, B, C}
        takes = [site for site in answering if not standings.drains(site, drained)]
        assert takes or is_wanted or not answering


@given(
    seen=st.lists(
        st.tuples(st.floats(0.1, 20.0), st.sampled_from([None, Illness.DOWN, Illness.GRAY])),
        max_size=80,
    )
)
@PATIENT
def test_a_flapping_site_changes_at_most_once_a_minute(
    seen: list[tuple[float, Illness | None]],
) -> None:
    standings, now_s = NOBODY.after([A], {}, 0.0), 0.0
    changes: list[float] = []
    well_s = 0.0
    for after_s, found in seen:
        now_s += after_s
        before = standings.sites[A].illness
        standings = standings.after([A], {} if found is None else {A: found}, now_s)
        if standings.sites[A].illness is not before:
            changes.append(now_s)
            if standings.sites[A].illness is None:
                assert now_s - well_s >= WELL_S
        if found is not None:
            well_s = now_s
        # Never left out while it is well.
        assert found is not None or A not in standings.left_out
    assert all(later - earlier >= HOLD_S for earlier, later in pairwise(changes))


def _play(*found: tuple[float, Illness | None], start: Illness | None = None) -> Standings:
    standings = NOBODY.after([A], {} if start is None else {A: start}, 0.0)
    for at_s, what in found:
        standings = standings.after([A], {} if what is None else {A: what}, at_s)
    return standings


def test_a_site_falls_at_once_and_comes_back_after_a_minute_when_it_has_been_well() -> None:
    down = Illness.DOWN
    assert _play((5.0, down)).left_out == {A}
    back = ((5.0, down), (20.0, None))
    assert _play(*back).left_out == frozenset()
    assert _play(*back, (64.0, None)).last == {A}
    assert _play(*back, (65.0, None)).last == frozenset()
    assert _play((5.0, down), (60.0, down), (62.0, None), (66.0, None)).last == {A}
    assert _play((5.0, down), (60.0, down), (62.0, None), (72.0, None)).last == frozenset()


def test_a_site_that_comes_up_for_the_first_time_is_in_at_once_and_may_fall_again() -> None:
    down = Illness.DOWN
    assert _play((2.0, None), start=down).last == frozenset()
    assert _play((2.0, None), (6.0, down), start=down).left_out == {A}


def test_a_gray_site_is_the_last_in_every_row_and_gives_up_its_shares() -> None:
    world = world_of()
    gray = NOBODY.after(world.snapshot.sites, {A: Illness.GRAY}, 0.0)
    assert gray.is_gray(A)
    table = rows(world.snapshot, A, NOW, unreachable=gray.left_out, last=gray.last)
    assert [group[0][:10] for group in table[SALES]] == ["198.18.2.1", "198.18.3.1", "198.18.1.1"]
    world.edge("a1", sip="198.18.1.10:5081", state=EdgeState.DRAINING)
    assert rows(world.snapshot, A, NOW, last=gray.last)[SALES][-1] == ("198.18.1.10:5081",)
