"""The E-model against what ITU-T publishes for G.711."""

from __future__ import annotations

import pytest

from loadtests.load import quality


def test_without_loss_g711_scores_what_g107_gives_for_its_defaults() -> None:
    assert quality.rating(0.0) == 93.2
    assert quality.mean_opinion(0.0) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(("loss_pct", "rating"), [(1.0, 75.3), (2.0, 63.0), (5.0, 42.1)])
def test_loss_at_random_lowers_the_rating_by_ie_eff(loss_pct: float, rating: float) -> None:
    assert quality.rating(loss_pct) == pytest.approx(rating, abs=0.1)


def test_score_falls_with_every_per_cent_and_stays_above_one() -> None:
    scores = [quality.mean_opinion(float(loss)) for loss in range(0, 60, 2)]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= 1.0 for score in scores[:20])


def test_share_of_loss_counts_what_was_sent() -> None:
    assert quality.loss_pct(90, 10) == 10.0
    assert quality.loss_pct(0, 0) == 0.0
