"""Whole edges serve alone and merge, cut off and back at any moment of their calls."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from tests.edge.alone_in_time import Anew, Cut, Story, live
from tests.edge.people_in_time import Calls, Serves

STORY: Final = Story(
    callers=(
        Calls(talk_s=30.0),
        Calls(at_s=0.6, edge="a2", talk_s=3.0),
        Calls(at_s=9.0, edge="a2", talk_s=30.0),
    ),
    agents=(
        Serves(name="ann", answers_s=0.5, talk_s=4.0, passes_on_to="bob"),
        Serves(name="bob", answers_s=0.4, talk_s=3.0),
    ),
)
"""Ann passes her caller on to Bob at 2.5 s, when he is free; then the second has her."""
LONG_S: Final = 7.0
"""So long a cut, and the site serves alone for about half of it."""
MOMENTS: Final = {
    "arriving": -2.9,
    "ringing": 0.2,
    "answered": 0.52,
    "being passed on": 2.52,
    "ending": 4.5,
    "in wrap-up": 6.0,
}


@pytest.mark.parametrize("at_s", MOMENTS.values(), ids=MOMENTS)
def test_whenever_a_site_is_cut_off_its_calls_end_once_and_its_agents_rest_as_long(
    at_s: float,
) -> None:
    assert live(replace(STORY, cuts=(Cut(at_s=at_s, for_s=LONG_S),))) == []


def test_nor_does_it_matter_that_the_way_to_the_store_flaps() -> None:
    cuts = tuple(Cut(at_s=at_s, for_s=4.5, links=True) for at_s in (0.3, 5.8, 11.3))
    assert live(replace(STORY, cuts=cuts)) == []


def test_nor_that_an_edge_is_started_anew_while_it_is_alone() -> None:
    anew = Anew(which="a1", at_s=9.2, for_s=0.4)
    assert live(replace(STORY, cuts=(Cut(at_s=0.3, for_s=14.0),), anew=(anew,))) == []
