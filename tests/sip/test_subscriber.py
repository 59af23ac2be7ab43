"""Whose number a URI names, however a carrier writes it."""

from __future__ import annotations

import pytest

from edge.sip.subscriber import caller_in, number_in


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:4930111@198.18.1.10", "4930111"),
        ("sip:+4930111;npdi;rn=+4940@198.18.1.10:5060;user=phone", "+4930111"),
        ("sip:030111;phone-context=+49@carrier.example", "030111"),
        ("sip:+4930123;cpc=ordinary@carrier.example", "+4930123"),
        ("sips:alice:secret@carrier.example", "alice"),
        ("tel:+49-30-111;npdi", "+4930111"),
        ("tel:+1(555)010.2", "+15550102"),
        (f"sip:{'a' * 64};{'x' * 9000}@carrier.example", "a" * 64),
        (f"sip:{'4' * 9000}@carrier.example", ""),
        ("tel:", ""),
        ("tel:nobody", ""),
        ("sip:carrier.example", ""),
        ("urn:service:sos", ""),
        ("4930111", ""),
    ],
)
def test_what_a_carrier_adds_to_a_number_is_not_part_of_it(uri: str, number: str) -> None:
    assert number_in(uri) == number


@pytest.mark.parametrize(
    "uri",
    [
        "sip:anonymous@anonymous.invalid",
        "sip:Anonymous@carrier.example",
        "sip:unavailable@unknown.invalid",
        "sip:restricted@192.0.2.1",
        "sip:c8oqz84zk7z@privacy.invalid",
        "sip:carrier.example",
        "urn:service:sos",
    ],
)
def test_who_withholds_their_number_has_none(uri: str) -> None:
    assert caller_in(uri) == ""


@pytest.mark.parametrize("uri", ["sip:+4930123;cpc=ordinary@carrier.example", "tel:+49-30-123"])
def test_who_shows_their_number_has_it(uri: str) -> None:
    assert caller_in(uri) == "+4930123"
