"""What a Refer-To would have replaced, as telephones write it."""

from __future__ import annotations

import pytest

from edge.sip.errors import RemoteError
from edge.sip.replaces import Replaces, replaces_in

MEANT = Replaces(sip_call_id="98asjd8@test.com", to_tag="gh3", from_tag="ua42")


@pytest.mark.parametrize(
    "refer_to",
    [
        "sip:bob@everline?Replaces=98asjd8%40test.com%3Bto-tag%3Dgh3%3Bfrom-tag%3Dua42",
        "sip:bob@everline;transport=udp?replaces=98asjd8%40test.com%3bfrom-tag%3dua42%3Bto-tag%3dgh3",
        "sip:b@h?Require=replaces&Replaces=98asjd8%40test.com%3Bto-tag%3Dgh3%3Bfrom-tag%3Dua42%3Bearly-only",
    ],
)
def test_the_dialog_is_read_whatever_the_order_and_the_case(refer_to: str) -> None:
    assert replaces_in(refer_to) == MEANT


@pytest.mark.parametrize(
    "refer_to", ["bob", "sip:bob@everline", "sip:bob@everline?Subject=replaces"]
)
def test_a_target_without_it_replaces_nothing(refer_to: str) -> None:
    assert replaces_in(refer_to) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "%3Bto-tag%3D1%3Bfrom-tag%3D2",
        "call%3Bto-tag%3D1",
        "call%3Bto-tag%3D1%3Bfrom-tag%3D0",
        "call%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=other%3Bto-tag%3D1%3Bfrom-tag%3D2",
        "x" * 2000,
    ],
)
def test_what_names_no_dialog_or_two_is_refused(value: str) -> None:
    with pytest.raises(RemoteError) as refused:
        replaces_in(f"sip:bob@everline?Replaces={value}")
    assert refused.value.status == 400
