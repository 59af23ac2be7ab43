"""PURE. Whether a call is recorded, and what its caller hears and is asked before the queue.

All of it follows from the configuration, the call's id and the caller's number, so that every edge
says the same. A call is in the sample if the first eight hex digits of its id, which is a hash, are
below the queue's `share` of 2^32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import phonenumbers
from msgspec import Struct

from state.model import CallId, CountryRules, RecordingRules

QUEUE: Final = "queue"
"""Reasons for which there is no recording. This one: the queue records nothing."""
NOT_SAMPLED: Final = "not_sampled"
COUNTRY: Final = "country"
"""The caller's country records nothing."""
NOT_ANNOUNCED: Final = "not_announced"
NO_CONSENT: Final = "no_consent"
AGENT: Final = "agent"
"""This agent is not recorded."""
NO_RECORDER: Final = "no_recorder"
NO_KEY: Final = "no_key"
NOT_WRITTEN: Final = "not_written"
NOT_COPIED: Final = "not_copied"
"""The media relay gave no copy of the audio."""
REFUSED: Final = "refused"

_DIGITS: Final = 8


class Before(Struct, frozen=True, kw_only=True):
    """What a caller hears before the queue, for the recording's sake. Names of prompts."""

    announcement: str | None = None
    consent: str | None = None
    """Asks for a key."""
    key: str = "1"
    wait_s: float = 0.0
    """For the key, once the question has been asked."""


NOTHING: Final = Before()


class Heard(Struct, frozen=True, kw_only=True):
    """What has come of that."""

    announced: bool = False
    consents: bool = False


NOT_ASKED: Final = Heard()


def before(rules: RecordingRules, call: CallId, caller: str) -> Before:
    """Return what the caller hears: nothing, if the call is not recorded anyway."""
    country = rules_for(rules, caller)
    is_kept = country.recorded and is_sampled(call, rules.share)
    if not is_kept or (country.announcement is None and country.consent is None):
        return NOTHING
    return Before(
        announcement=country.announcement,
        consent=country.consent,
        key=rules.key,
        wait_s=rules.wait_s,
    )


def unrecorded_because(
    rules: RecordingRules, call: CallId, caller: str, heard: Heard, *, agent_recorded: bool = True
) -> str:
    """Return why a call is not recorded, in one word; empty: it is."""
    country = rules_for(rules, caller)
    if rules.share <= 0:
        return QUEUE
    if not is_sampled(call, rules.share):
        return NOT_SAMPLED
    if not country.recorded:
        return COUNTRY
    if country.announcement is not None and not heard.announced:
        return NOT_ANNOUNCED
    if country.consent is not None and not heard.consents:
        return NO_CONSENT
    return "" if agent_recorded else AGENT


def is_sampled(call: CallId, share: float) -> bool:
    """Tell whether a call is in a sample of `share`, from 0 to 1."""
    return int(call[:_DIGITS], 16) < share * 16**_DIGITS


def rules_for(rules: RecordingRules, caller: str) -> CountryRules:
    """Return what holds for callers from there: their country's rules, or else the queue's own."""
    usual = CountryRules(announcement=rules.announcement, consent=rules.consent)
    return rules.countries.get(country_of(caller), usual) if rules.countries else usual


@lru_cache(maxsize=16_384)
def country_of(caller: str) -> str:
    """Return the ISO 3166 code of a number's country; empty: it tells none."""
    try:
        number = phonenumbers.parse(caller)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(number) or ""
