"""PURE. What a number typed by people means, and what is left of it behind a mask."""

from __future__ import annotations

import unicodedata
from typing import Final

import phonenumbers

HIDDEN: Final = "\N{BULLET}"
MASK: Final = HIDDEN * 4
MAX_WORDS: Final = 12
_WHOLE: Final = frozenset({phonenumbers.ValidationResult.IS_POSSIBLE})
_POSSIBLE: Final = _WHOLE | {phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY}


def e164(text: str, region: str | None = None) -> str:
    """Return the number as E.164. Raise ValueError, which does not quote it.

    `region` (`DE`): for numbers in national form, which have to be whole, or with that country's
    prefix for calls abroad; without it they have to begin with +.
    """
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError("should be a telephone number with + and its country's code") from error
    is_national = region is not None and not text.lstrip().startswith("+")
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible not in (_WHOLE if is_national else _POSSIBLE) or parsed.extension:
        raise ValueError("should be a telephone number that can exist, without an extension")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def dialled(text: str, region: str | None = None) -> str:
    """Return what a telephone network, or somebody in a hurry, calls a number as E.164.

    As `e164`, and `00` before the country's code stands for + where the region has no other way.
    """
    digits = text.strip()
    try:
        return e164(digits, region)
    except ValueError:
        if not digits.startswith("00"):
            raise
        return e164(f"+{digits.removeprefix('00')}")


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
