r"""Patterns of texts that are checked as a whole. PURE.

msgspec asks Python's `re`, whose `$` also matches before a newline at the end; in what OpenAPI and
pydantic speak it does not, and there is no `\Z`.
"""

from __future__ import annotations

from typing import Final

from msgspec import Meta

_NO_NEWLINE: Final = r"(?!\n)"


def whole(expression: str) -> Meta:
    """Return what takes the texts that `expression` describes from end to end, and no others.

    Alternatives stand in brackets.
    """
    return Meta(pattern=f"^{expression}${_NO_NEWLINE}")


def portable(pattern: str) -> str:
    """Return a pattern of `whole` for where `$` is the end and nothing else, as in OpenAPI."""
    return pattern.removesuffix(_NO_NEWLINE)
