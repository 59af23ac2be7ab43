"""PURE. The telephone numbers in URIs (RFC 3966, RFC 3261 §19.1.6), as carriers write them.

What a carrier knows besides stands behind the number and is no part of it: that it was ported
(`;npdi;rn=`, RFC 4694), what kind of caller it is (`;cpc=`), where it holds (`;phone-context=`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from edge.sip.errors import RemoteError
from edge.sip.uri import parse_uri, scheme_of

_SEPARATORS: Final = str.maketrans("", "", "-.()")
"""Of a tel URI; they say nothing (RFC 3966 §5.1.1)."""
_NUMBER: Final = re.compile(r"\+?[0-9A-Fa-f*#]{1,40}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,?/#-]*")
"""What may stand in a user without an escape, and means nothing there: it is said to others."""
_LONGEST: Final = 64
"""Of a user: as an agent's id. Who calls is in the caller's ticket and record, and datagrams may be
large."""
_WITHHELD: Final = frozenset({"anonymous", "unavailable", "unknown", "restricted", "private"})
"""RFC 3323 §4.1.1.3, 3GPP TS 29.163 (table 17), and what gateways say."""
_NOWHERE: Final = ".invalid"
"""A domain that nobody has (RFC 2606 §2)."""


def number_in(uri: str) -> str:
    """Return the number, or whatever user, that a URI names; empty: none, or it makes no sense."""
    try:
        if scheme_of(uri) == "tel":
            number = uri[len("tel:") :].partition(";")[0].translate(_SEPARATORS)
            return number if _NUMBER.fullmatch(number) else ""
        user = parse_uri(uri).user or ""
    except RemoteError:
        return ""
    # The password, too, stands behind.
    number = _plain(user.partition(";")[0].partition(":")[0])
    return number if len(number) <= _LONGEST else ""


def _plain(user: str) -> str:
    """Return a user without escapes (RFC 3261 §19.1.4); as it is where it cannot do without them.

    `+` is among the reserved characters, of which `%2B` is no other form by the letter; but in a
    number nobody means anything else by it (§19.1.6).
    """
    if "%" not in user:
        return user
    plain = unquote(user)
    return plain if _PLAIN.fullmatch(plain) else user


def caller_in(uri: str) -> str:
    """Return the number of who calls by the URI of their From; empty: they withhold it.

    Two who do so are two, and share no number.
    """
    number = number_in(uri)
    if number.lower() in _WITHHELD:
        return ""
    try:
        is_nowhere = scheme_of(uri) != "tel" and parse_uri(uri).host.lower().endswith(_NOWHERE)
    except RemoteError:
        return ""
    return "" if is_nowhere else number
