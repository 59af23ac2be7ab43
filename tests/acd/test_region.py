"""In which country's form a caller's number comes, and what that makes of it."""

from __future__ import annotations

import pytest

from edge.acd.recorded import COUNTRY, Heard, unrecorded_because
from edge.acd.region import international, region_of
from state import keys
from state.codec import encode
from state.model import (
    CallId,
    CountryRules,
    Did,
    DidNumber,
    QueueId,
    RecordingRules,
    TenantId,
    Trunk,
    TrunkId,
)
from state.raw import Change
from state.snapshot import Snapshot, apply


def snapshot(*regions: str, of_did: str = "") -> Snapshot:
    did = Did(number=DidNumber("100"), queue=QueueId("q"), region=of_did)
    records = {keys.did(did.number): encode(did)}
    for place, each in enumerate(regions):
        trunk = Trunk(id=TrunkId(f"t{place}"), addresses=(), region=each)
        records[keys.trunk(trunk.id)] = encode(trunk)
    changes = [
        Change(key=key, value=value, create_revision=1, mod_revision=1)
        for key, value in records.items()
    ]
    return apply(Snapshot(), changes, 1, 0.0)


@pytest.mark.parametrize(
    ("trunks", "of_did", "dialled", "region"),
    [
        ((), "", "100", ""),
        (("DE",), "", "100", "DE"),
        (("DE", "DE", ""), "", "100", "DE"),
        (("DE", "FR"), "", "100", ""),
        (("DE", "FR"), "AT", "100", "AT"),
        (("DE",), "AT", "100", "AT"),
        (("DE",), "AT", "200", "DE"),
    ],
)
def test_what_was_dialled_tells_the_region_and_else_the_trunks_if_they_agree(
    trunks: tuple[str, ...], of_did: str, dialled: str, region: str
) -> None:
    assert region_of(snapshot(*trunks, of_did=of_did), TenantId("main"), dialled) == region
    assert region_of(snapshot(*trunks), TenantId("t2"), dialled) == ""


@pytest.mark.parametrize(
    ("caller", "region", "number"),
    [
        ("03012345678", "DE", "+493012345678"),
        ("0043142000", "DE", "+43142000"),
        ("+43142000", "DE", "+43142000"),
        ("03012345678", "", "03012345678"),
        ("anonymous", "DE", "anonymous"),
        ("1", "DE", "1"),
    ],
)
def test_a_number_in_national_form_becomes_international(
    caller: str, region: str, number: str
) -> None:
    assert international(caller, region) == number


def test_a_callers_country_counts_for_the_recording_though_the_number_has_no_plus() -> None:
    rules = RecordingRules(countries={"AT": CountryRules(recorded=False)})
    call = CallId("0" * 24)
    for caller, because in (("0142000", COUNTRY), ("0049301234567", "")):
        said = unrecorded_because(rules, call, international(caller, "AT"), Heard())
        assert said == because, caller
