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
        ("sip:%2B4930111@198.18.1.10", "+4930111"),
        ("sip:%2b4930111;npdi@198.18.1.10", "+4930111"),
        ("sip:%61lice:%3a@carrier.example", "alice"),
        ("sip:a%3Bb@carrier.example", "a%3Bb"),
        ("sip:%2530@carrier.example", "%2530"),
        ("sip:a%22%20%3Csip:b%3E@carrier.example", "a%22%20%3Csip"),
        ("sip:a%3E%3Btag=1@carrier.example", "a%3E%3Btag=1"),
        ("sip:a%0D%0Ab@carrier.example", "a%0D%0Ab"),
        ("sip:%FF%C3%A9@carrier.example", "%FF%C3%A9"),
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
        "sip:anonym%6Fus@carrier.example",
        "sip:unavailable@unknown.invalid",
        "sip:restricted@192.0.2.1",
        "sip:c8oqz84zk7z@privacy.invalid",
        "sip:carrier.example",
        "urn:service:sos",
    ],
)
def test_who_withholds_their_number_has_none(uri: str) -> None:
    assert caller_in(uri) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "sip:+4930123;cpc=ordinary@carrier.example",
        "sip:%2B4930123@carrier.example",
        "tel:+49-30-123",
    ],
)
def test_who_shows_their_number_has_it(uri: str) -> None:
    assert caller_in(uri) == "+4930123"
