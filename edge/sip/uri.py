"""SIP URIs (RFC 3261 §19.1): taken apart as far as a user agent behind a proxy needs.

Knows nothing of DNS: a host is either an IP literal, which is an address, or a name, which is not.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from edge.sip.errors import RemoteError
from edge.sip.events import Address

DEFAULT_PORT = 5060
MAX_PORT = 65535

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HOSTPORT = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?)(?::([0-9]{1,5}))?"
)
_USER = re.compile(r"(?:[A-Za-z0-9_.!~*'()&=+$,;?/:#-]|%[0-9A-Fa-f]{2})*")
_IPV4 = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})")
_REST_BAD = re.compile(r"[\s<>\"]")
_OCTET = 255


class Uri(Struct, frozen=True, kw_only=True):
    """A SIP or SIPS URI."""

    scheme: str
    user: str | None
    """As written, escapes untouched; may carry a password and parameters of its own."""
    host: str
    """IPv6 without its brackets."""
    port: int | None
    params: str
    """What follows the host and port, from `;`, without headers."""
    headers: str
    """What follows `?`."""
    is_loose: bool
    """Whether it carries `lr`, so that it may stand in a Route field (RFC 3261 §16.12)."""
    address: Address | None
    """Where it points, or None where only DNS could say."""


def is_ip_literal(host: str) -> bool:
    """Tell whether `host` is an IPv4 or (unbracketed) IPv6 address."""
    if ":" in host:
        return True
    found = _IPV4.fullmatch(host)
    return found is not None and all(int(octet) <= _OCTET for octet in found.groups())


def scheme_of(text: str) -> str:
    """Return the scheme of any URI, lower case. RemoteError 400 if it has none."""
    found = _SCHEME.match(text)
    if found is None:
        raise RemoteError(400, "URI without a scheme")
    return found[1].lower()


def parse_uri(text: str) -> Uri:
    """Take apart a SIP or SIPS URI. RemoteError: 416 for another scheme, 400 for bad syntax."""
    if len(text) <= _CACHED_LENGTH:
        return _parse_short(text)
    return _parse(text)


_CACHED_LENGTH = 120


def _parse(text: str) -> Uri:
    scheme = scheme_of(text)
    if scheme not in ("sip", "sips"):
        raise RemoteError(416, "Unsupported URI Scheme")
    rest = text[len(scheme) + 1 :]
    if _REST_BAD.search(rest):
        raise RemoteError(400, "Malformed URI")
    user: str | None
    user, at, tail = rest.rpartition("@")
    if at:
        if not user or not _USER.fullmatch(user):
            raise RemoteError(400, "Malformed URI user")
    else:
        user = None
    place = _HOSTPORT.match(tail)
    if place is None:
        raise RemoteError(400, "Malformed URI host")
    params, _, headers = tail[place.end() :].partition("?")
    if params and params[0] != ";":
        raise RemoteError(400, "Malformed URI")
    port = int(place[2]) if place[2] else None
    if port is not None and not 0 < port <= MAX_PORT:
        raise RemoteError(400, "Port out of range")
    host = place[1].strip("[]")
    return Uri(
        scheme=scheme,
        user=user,
        host=host,
        port=port,
        params=params,
        headers=headers,
        is_loose=_has_lr(params),
        address=Address(host, port or DEFAULT_PORT) if is_ip_literal(host) else None,
    )


def _has_lr(params: str) -> bool:
    return any(each.partition("=")[0].strip().lower() == "lr" for each in params.split(";"))


# Routes and contacts repeat from call to call. Long ones are not kept: the cache is bounded.
_parse_short = lru_cache(maxsize=2048)(_parse)


def host_text(host: str) -> str:
    """Write a host as it stands in a URI or a Via: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
