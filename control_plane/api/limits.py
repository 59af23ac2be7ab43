"""PURE. How often somebody may ask: a bucket of tokens for each subject or address."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

KEPT: Final = 50_000
"""Buckets; who was longest silent is forgotten first, and begins with a full one."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Buckets:
    """Token buckets by name: `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def give(self, name: str) -> None:
        """Give a token back."""
        if (bucket := self._buckets.get(name)) is not None:
            bucket.tokens = min(self._burst, bucket.tokens + 1.0)

    def take(self, name: str, now_s: float) -> float:
        """Take a token. Return 0.0, or the seconds after which there will be one."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now_s)
            if len(self._buckets) > KEPT:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        grown = bucket.tokens + max(0.0, now_s - bucket.at_s) * self._rate
        bucket.tokens, bucket.at_s = min(self._burst, grown), now_s
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / self._rate
