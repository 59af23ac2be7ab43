"""How a call sounded, as one number: the E-model of ITU-T G.107 for G.711. PURE."""

from __future__ import annotations

from typing import Final

_R_BEST: Final = 93.2
"""G.107 §7.7: the rating with all parameters at their defaults, no delay to speak of."""
_LOSS_ROBUSTNESS: Final = 4.3
"""G.113 Appendix I: Bpl of G.711 without loss concealment, for loss at random."""
_IMPAIRED_MOST: Final = 95.0
_R_MOST: Final = 100.0


def rating(loss_pct: float) -> float:
    """Return R, 0 to 93.2, for so much loss of packets at random (G.107 §7.5, Ie of G.711 is 0)."""
    impairment = _IMPAIRED_MOST * loss_pct / (loss_pct + _LOSS_ROBUSTNESS)
    return max(0.0, _R_BEST - impairment)


def mean_opinion(loss_pct: float) -> float:
    """Return the mean opinion score, 1 to 4.5, that goes with the rating (G.107 Annex B)."""
    r = min(_R_MOST, rating(loss_pct))
    return 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6


def loss_pct(received: int, lost: int) -> float:
    """Return the share of packets that were missing, in per cent."""
    return 100.0 * lost / (received + lost) if received + lost else 0.0
