"""What can go wrong with a benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """A benchmark cannot be carried out. The text names the thing and the way out."""
