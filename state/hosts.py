"""What may stand for a host in a SIP address (RFC 3261 §25.1, RFC 3986 §3.2.2). PURE.

Knows nothing of DNS: a name is judged by its letters. Addresses go into Kamailio's tables and into
Request-URIs as they are, where a space, a comma or a slash would be the end of them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""Of a name; 63 characters at most (RFC 1035 §2.3.4)."""
NAME_MAX: Final = 253
PORT_MAX: Final = 65535
_PORT: Final = re.compile(r"[0-9]{1,5}")
_QUOTED: Final = 80


def check_address(text: str) -> None:
    """Raise ValueError, with what is wrong, unless the text is a host and a port."""
    host, _, port = text.rpartition(":")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) <= PORT_MAX:
        raise ValueError(f"{text[:_QUOTED]!r} is no host:port")
    if fault := host_fault(host):
        raise ValueError(f"{text[:_QUOTED]!r} is no host:port: {fault}")


def host_fault(host: str) -> str:
    """Return why no host is written so; empty: it is one."""
    if host.startswith("[") and host.endswith("]"):
        return "" if _is_ipv6(host[1:-1]) else f"there is no IPv6 address {host[:_QUOTED]!r}"
    if ":" in host:
        return "an IPv6 address stands in brackets, as [2001:db8::1]:5060, and there is no other :"
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdecimal():
        # Such a name would be taken for an address; so the last label of one begins with a letter.
        return "" if _is_ipv4(host) else f"there is no IPv4 address {host[:_QUOTED]!r}"
    if len(host) > NAME_MAX:
        return f"a name has {NAME_MAX} characters at most"
    if not all(LABEL.fullmatch(each) for each in labels) or not labels[-1][0].isalpha():
        return (
            "a host is an IPv4 address, an IPv6 address in brackets, or a name of letters, digits"
            " and - between dots, the last part of which begins with a letter"
        )
    return ""


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    """Tell whether this is one, without a zone: what that means, only one machine knows."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
