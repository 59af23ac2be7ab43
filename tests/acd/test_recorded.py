"""Which calls are recorded, and what their callers hear before, by the configuration alone."""

from __future__ import annotations

import hashlib

import pytest

from edge.acd import recorded
from edge.acd.recorded import NOTHING, Before, Heard, before, unrecorded_because
from state.model import CallId, CountryRules, RecordingRules

GERMAN, BRITISH, NONE = "+4930123456", "+442071234567", "anonymous"
CALL = CallId("0" * 24)
ASKS = RecordingRules(
    announcement="announcement",
    countries={
        "DE": CountryRules(announcement="announcement", consent="consent"),
        "GB": CountryRules(recorded=False),
    },
    key="5",
    wait_s=7.0,
)


def calls(count: int) -> list[CallId]:
    made = (hashlib.sha256(str(number).encode()).hexdigest()[:24] for number in range(count))
    return [CallId(each) for each in made]


def test_by_default_every_call_is_recorded_and_nobody_hears_of_it() -> None:
    assert before(RecordingRules(), CALL, GERMAN) == NOTHING
    assert unrecorded_because(RecordingRules(), CALL, GERMAN, Heard()) == ""


@pytest.mark.parametrize(
    ("caller", "heard"),
    [
        (GERMAN, Before(announcement="announcement", consent="consent", key="5", wait_s=7.0)),
        (BRITISH, NOTHING),
        ("+33123456789", Before(announcement="announcement", key="5", wait_s=7.0)),
        (NONE, Before(announcement="announcement", key="5", wait_s=7.0)),
        ("15550100", Before(announcement="announcement", key="5", wait_s=7.0)),
    ],
)
def test_what_a_caller_hears_their_country_says_or_else_the_queue(
    caller: str, heard: Before
) -> None:
    assert before(ASKS, CALL, caller) == heard


@pytest.mark.parametrize(
    ("caller", "heard", "because"),
    [
        (GERMAN, Heard(announced=True, consents=True), ""),
        (GERMAN, Heard(announced=True), "no_consent"),
        (GERMAN, Heard(consents=True), "not_announced"),
        (BRITISH, Heard(announced=True, consents=True), "country"),
        (NONE, Heard(announced=True), ""),
        (NONE, Heard(), "not_announced"),
    ],
)
def test_without_announcement_or_consent_there_is_no_recording(
    caller: str, heard: Heard, because: str
) -> None:
    assert unrecorded_because(ASKS, CALL, caller, heard) == because


def test_an_agent_who_is_not_recorded_is_not() -> None:
    assert (
        unrecorded_because(RecordingRules(), CALL, NONE, Heard(), agent_recorded=False) == "agent"
    )


def test_a_sample_is_as_large_as_it_should_be_and_the_same_for_everybody() -> None:
    some = calls(4000)
    rules = RecordingRules(share=0.25, announcement="announcement")
    kept = [
        each for each in some if unrecorded_because(rules, each, NONE, Heard(announced=True)) == ""
    ]
    assert 900 < len(kept) < 1100
    assert kept == [each for each in some if int(each[:8], 16) / 2**32 < 0.25]
    # Who is not in it need not hear that it is recorded.
    assert {before(rules, each, NONE).announcement is None for each in set(some) - set(kept)} == {
        True
    }
    smaller = {each for each in some if recorded.is_sampled(each, 0.1)}
    assert smaller < set(kept)


@pytest.mark.parametrize(("share", "because"), [(0.0, "queue"), (1.0, "")])
def test_the_ends_of_the_scale_are_none_and_all(share: float, because: str) -> None:
    for call in (CALL, CallId("f" * 24)):
        assert unrecorded_because(RecordingRules(share=share), call, NONE, Heard()) == because
