"""PURE. What a number typed by people means, and what is left of it behind a mask."""

from __future__ import annotations

import unicodedata
from typing import Final

import phonenumbers

HIDDEN: Final = "\N{BULLET}"
MASK: Final = HIDDEN * 4
MAX_WORDS: Final = 12


def e164(text: str, region: str | None = None) -> str:
    """Return the number as E.164. Raise ValueError, which does not quote it.

    `region` (`DE`): for numbers in national form; without it they have to begin with +.
    """
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError("should be a telephone number with + and its country's code") from error
    if not phonenumbers.is_possible_number(parsed) or parsed.extension:
        raise ValueError("should be a telephone number that can exist, without an extension")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def mask_number(number: str) -> str:
    """Return the country's code and the last two digits, whatever the length."""
    parsed = phonenumbers.parse(number)
    return f"+{parsed.country_code}{MASK}{number[-2:]}"


def mask_name(name: str) -> str:
    """Return the initials."""
    return " ".join(f"{word[0]}." for word in name.split()[:3])


def mask_email(email: str) -> str:
    """Return the first letter."""
    return f"{email[0]}{MASK}" if email else ""


def fold(text: str) -> str:
    """Return `text` without case and accents: what is compared when people search."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(each for each in parts if not unicodedata.combining(each)).split())


def words(text: str) -> tuple[str, ...]:
    """Return the folded words of `text`, each once."""
    kept = "".join(each if each.isalnum() else " " for each in fold(text))
    return tuple(dict.fromkeys(kept.split()))[:MAX_WORDS]
