"""What the tables of the operator's file have in common. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from state import keys
from state.patterns import whole

Level = Annotated[int, Meta(ge=1, le=10)]
Region = Annotated[str, whole(r"([A-Z]{2})?")]
Word = Annotated[str, whole(r"[A-Za-z0-9_.+-]{1,64}")]
Prompt = Word
Employer = Annotated[str, whole(r"[A-Za-z0-9_.+-]{0,64}")]
"""A word, or empty: ours."""
Values = str | Annotated[list[Word], Meta(min_length=1)]
"""A word, or several. Not `Word | ...`: msgspec 0.22 frees a pattern that stands beside a list as
what it is not, and one process in five dies of it as it ends."""
_A_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


class Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One table of the file; a misspelt field is an error, not a default."""


def words_of(name: str, values: str | list[str]) -> tuple[str, ...]:
    """Return the values of an attribute; ValueError: one is no word."""
    if isinstance(values, list):
        return tuple(values)
    if not _A_WORD.fullmatch(values):
        raise ValueError(
            f"attributes.{name} = {values!r} is no word: up to 64 letters, digits, _ . + or -"
        )
    return (values,)


def check_skills(skills: Iterable[str]) -> None:
    """Raise ValueError if one of the texts cannot name a skill."""
    for skill in skills:
        check_id(skill, "a skill")


def check_agent_id(text: str) -> None:
    """Raise ValueError if no agent can sign in under this id, since the proxy takes none such."""
    if text.startswith(("-", ".")):
        raise ValueError(
            f"{text[:80]!r} is no id for an agent: nobody can sign in under one that begins with"
            " - or ."
        )


def check_id(text: str, what: str) -> None:
    """Raise ValueError if the text cannot name `what`."""
    if not keys.is_id(text):
        raise ValueError(f"{text[:80]!r} is no id for {what}: use 1 to 64 of A-Z a-z 0-9 _ . + -")
