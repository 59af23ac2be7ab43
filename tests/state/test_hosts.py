"""Which texts are a host and a port, and what is said of those that are not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.hosts import check_address

GOOD = (
    "198.18.1.10:5060",
    "[2001:db8::1]:5060",
    "[::ffff:192.0.2.1]:1",
    "h:1",
    "sbc-1.carrier.example:5061",
    "sbc.carrier.example.:5061",
    "1st.example:65535",
    "xn--bcher-kva.example:5060",
    f"{'a' * 63}.example:5060",
)
BAD = {
    "": "is no host:port",
    "h": "is no host:port",
    ":5060": "is no host:port",
    "h:": "is no host:port",
    "h:0": "is no host:port",
    "h:65536": "is no host:port",
    "h:000001": "is no host:port",
    "h:²": "is no host:port",
    "h:1\n": "is no host:port",
    "2001:db8::1:5060": "stands in brackets",
    "h:1:2": "stands in brackets",
    "sip:h:5060": "stands in brackets",
    "[2001:db8::g]:5060": "no IPv6 address",
    "[fe80::1%eth0]:5060": "no IPv6 address",
    "[]:5060": "no IPv6 address",
    "[h]:5060": "no IPv6 address",
    "198.18.1:5060": "no IPv4 address",
    "198.18.1.256:5060": "no IPv4 address",
    "198.18.01.10:5060": "no IPv4 address",
    "5060:5060": "no IPv4 address",
    "a b:5060": "a host is an IPv4 address",
    "h:5060 +49,h:5060": "stands in brackets",
    "a,b:5060": "a host is an IPv4 address",
    "a|b:5060": "a host is an IPv4 address",
    "user@h:5060": "a host is an IPv4 address",
    "h/x:5060": "a host is an IPv4 address",
    "h;lr:5060": "a host is an IPv4 address",
    "h\n:5060": "a host is an IPv4 address",
    "bücher.example:5060": "a host is an IPv4 address",
    "-h:5060": "a host is an IPv4 address",
    "h-:5060": "a host is an IPv4 address",
    "a..b:5060": "a host is an IPv4 address",
    ".:5060": "a host is an IPv4 address",
    "a_b:5060": "a host is an IPv4 address",
    "a.1b:5060": "begins with a letter",
    f"{'a' * 64}:5060": "a host is an IPv4 address",
    f"{'a.' * 127}b:5060": "253 characters",
}


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_taken(text: str) -> None:
    check_address(text)


@pytest.mark.parametrize("text", BAD, ids=repr)
def test_what_is_none_is_refused_with_what_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(BAD[text])):
        check_address(text)


@given(st.text())
def test_whatever_is_taken_has_nothing_that_ends_it_in_a_table(text: str) -> None:
    try:
        check_address(f"{text}:5060")
    except ValueError:
        return
    assert re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", text)
