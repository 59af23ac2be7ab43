"""How old news are when a mirror takes them in, and whether that lasts."""

from __future__ import annotations

from state.mirror.lateness import LASTS_S, LATE_S, Lateness


def heard(*said: tuple[int, float]) -> Lateness:
    lateness = Lateness()
    for revision, at_s in said:
        lateness.hears(revision, at_s)
    return lateness


def test_a_change_is_as_old_at_least_as_the_word_of_the_store_that_there_was_a_later_one() -> None:
    lateness = heard((5, 10.0), (9, 11.0))
    lateness.takes(4, 13.0)
    assert lateness.late_s == 3.0
    lateness.takes(5, 13.5)
    assert lateness.late_s == 2.5
    lateness.takes(9, 14.0)
    assert lateness.late_s == 0.0


def test_the_same_word_said_again_makes_nothing_younger() -> None:
    lateness = heard((5, 10.0), (5, 12.0), (4, 12.5))
    lateness.takes(4, 13.0)
    assert lateness.late_s == 3.0


def test_nothing_that_the_mirror_does_not_follow_makes_its_news_late() -> None:
    """What is written elsewhere raises the revision, too: the next change is later than that."""
    lateness = heard((5, 10.0))
    lateness.takes(6, 20.0)
    assert lateness.late_s == 0.0
    assert not lateness.stays(30.0)


def test_it_stays_late_when_it_has_been_so_for_a_while() -> None:
    lateness = heard((99, 10.0))
    lateness.takes(1, 10.0 + LATE_S)
    assert not lateness.stays(10.0 + LATE_S)
    lateness.takes(2, 10.0 + LATE_S + LASTS_S)
    assert lateness.stays(10.0 + LATE_S + LASTS_S)


def test_who_catches_up_in_a_moment_has_not_been_late() -> None:
    lateness = heard((9, 10.0))
    lateness.takes(1, 24.0)
    lateness.takes(9, 24.0 + LASTS_S / 2)
    assert not lateness.stays(24.0 + LASTS_S)


def test_a_listing_leaves_it_behind() -> None:
    lateness = heard((9, 10.0))
    lateness.takes(1, 14.0)
    lateness.is_over()
    assert lateness.late_s == 0.0
    assert not lateness.stays(20.0)
    lateness.takes(2, 20.0)
    assert lateness.late_s == 0.0


def test_it_keeps_no_more_words_than_it_needs() -> None:
    lateness = heard(*((revision, float(revision)) for revision in range(1, 1000)))
    lateness.takes(999, 1000.0)
    assert lateness.late_s == 0.0
    lateness = heard(*((revision, float(revision)) for revision in range(1, 1000)))
    lateness.takes(0, 1000.0)
    assert lateness.late_s == 999.0
