"""The grammar of single header fields (RFC 3261 §25.1), as far as a user agent reads them.

Each function takes one field value as text and gives a value, or RemoteError 400 if malformed.
"""

from __future__ import annotations

import re

from msgspec import Struct

from edge.sip.errors import RemoteError
from edge.sip.uri import DEFAULT_PORT, MAX_PORT

MAX_CSEQ = 2**31 - 1

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LIST_PART = re.compile(r'(?:[^,"<]|"(?:[^"\\]|\\.)*"|<[^>]*>)*', re.DOTALL)
# Whatever a stranger sends, no pattern may crawl: single characters repeat possessively, and groups
# begin with a character of their own. (Possessive groups are broken in Python 3.11.2, Debian 12's.)
_VIA = re.compile(
    r"SIP\s*+/\s*+[0-9.]++\s*+/\s*+([^\s;,/]++)\s++"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._-]++)\s*+(?::\s*+([0-9]{1,5}+)\s*+)?"
    r"((?:;\s*+[A-Za-z0-9.!%*_+`'~-]++\s*+"
    r"(?:=\s*+(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*+)\s*+)?)*)",
    re.IGNORECASE | re.DOTALL,
)
_BRANCH = re.compile(r";\s*branch\s*=\s*([^\s;,\"]+)", re.IGNORECASE)
_RPORT = re.compile(r";\s*rport(?=\s*(?:=|;|$))(?:\s*=\s*[0-9]*)?", re.IGNORECASE)
_TAG = re.compile(r";\s*tag\s*=\s*([^\s;,\"]+)", re.IGNORECASE)
_CSEQ = re.compile(r"([0-9]+)\s+([A-Za-z0-9.!%*_+`'~-]+)")
_SECONDS = re.compile(r"([0-9]{1,9})(?![0-9])")
_RACK = re.compile(r"([0-9]+)\s+([0-9]+)\s+([A-Za-z0-9.!%*_+`'~-]+)")
_PARAM = re.compile(
    r";\s*([A-Za-z0-9.!%*_+`'~-]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?", re.DOTALL
)


class Via(Struct, frozen=True):
    """One hop's Via."""

    host: str
    """As written: an IPv6 keeps its brackets."""
    port: int
    branch: str
    """Empty if there is none (RFC 2543)."""
    has_rport: bool


class NameAddr(Struct, frozen=True):
    """A From, To, Contact or Route value."""

    uri: str
    params: str
    """From the first `;` after the address."""

    @property
    def tag(self) -> str:
        """Return the tag, or nothing."""
        if '"' in self.params:
            # What is quoted may look like one.
            return params_of(self.params).get("tag", "")
        found = _TAG.search(self.params) if self.params else None
        return found[1] if found else ""


def split_list(value: str) -> list[str]:
    """Split a comma-separated field, leaving commas in quotes and angle brackets alone."""
    if "," not in value:
        return [value]
    parts = []
    at = 0
    while at <= len(value):
        found = _LIST_PART.match(value, at)
        end = found.end() if found else at
        if end < len(value) and value[end] != ",":
            raise RemoteError(400, "Unbalanced quotes or brackets")
        parts.append(value[at:end].strip())
        at = end + 1
    return parts


def first_of(value: str) -> str:
    """Return the first element of a comma-separated field."""
    return split_list(value)[0] if "," in value else value


def parse_via(value: str) -> Via:
    """Read one Via element."""
    found = _VIA.fullmatch(value)
    if found is None:
        raise RemoteError(400, "Malformed Via")
    port = int(found[3]) if found[3] else DEFAULT_PORT
    if not 0 < port <= MAX_PORT:
        raise RemoteError(400, "Via port out of range")
    params = found[4]
    branch = _BRANCH.search(params)
    return Via(found[2], port, branch[1] if branch else "", _RPORT.search(params) is not None)


def stamp_via(value: str, host: str, port: int) -> str:
    """Fill in `received` and `rport` of the topmost Via element (RFC 3581 §4)."""
    filled = _RPORT.sub(f";rport={port}", value, count=1)
    return f"{filled};received={host}"


def parse_name_addr(value: str) -> NameAddr:
    """Read a name-addr or addr-spec with its parameters."""
    start = 0
    if value.startswith('"'):
        quoted = _QUOTED.match(value)
        if quoted is None:
            raise RemoteError(400, "Unbalanced quotes")
        start = quoted.end()
    opening = value.find("<", start)
    if opening < 0:
        if start:
            raise RemoteError(400, "Display name without an address")
        uri, semicolon, params = value.partition(";")
        # RFC 3261 §20: an address with a comma, question mark or semicolon must be in brackets.
        uri = uri.strip()
        if not uri or "?" in uri or "," in uri or '"' in uri or " " in uri:
            raise RemoteError(400, "Malformed address")
        return NameAddr(uri, semicolon + params)
    closing = value.find(">", opening)
    if closing < 0 or '"' in value[start:opening]:
        raise RemoteError(400, "Unbalanced quotes or brackets")
    uri = value[opening + 1 : closing]
    if not uri or uri[0] in " \t" or uri[-1] in " \t":
        raise RemoteError(400, "Malformed address")
    params = value[closing + 1 :].lstrip()
    if params and params[0] != ";":
        raise RemoteError(400, "Malformed address parameters")
    return NameAddr(uri, params)


def parse_cseq(value: str) -> tuple[int, str]:
    """Read a CSeq: its number and its method."""
    found = _CSEQ.fullmatch(value)
    if found is None:
        raise RemoteError(400, "Malformed CSeq")
    digits = found[1].lstrip("0") or "0"
    number = int(digits) if len(digits) <= len(str(MAX_CSEQ)) else MAX_CSEQ + 1
    if number > MAX_CSEQ:
        raise RemoteError(400, "CSeq out of range")
    return number, found[2]


def seconds_in(value: str) -> int | None:
    """Read a Retry-After, whose seconds a comment may follow (§20.33); None: it has none."""
    found = _SECONDS.match(value)
    return int(found[1]) if found else None


def parse_rack(value: str) -> tuple[int, int, str]:
    """Read an RAck (RFC 3262 §7.2): response number, CSeq number, method."""
    found = _RACK.fullmatch(value)
    if found is None or len(found[1]) > len(str(2**32)) or len(found[2]) > len(str(2**32)):
        raise RemoteError(400, "Malformed RAck")
    return int(found[1]), int(found[2]), found[3]


def params_of(text: str) -> dict[str, str]:
    """Read `;name=value` parameters: names in lower case, quotes removed."""
    found: dict[str, str] = {}
    for match in _PARAM.finditer(text):
        value = match[2] or ""
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.setdefault(match[1].lower(), value)
    return found


def tokens_of(values: list[str], *, folds: bool) -> frozenset[str]:
    """Read the option tags or methods of a field and its repetitions.

    `folds`: in small letters, as all is but methods (RFC 3261 §7.3.1).
    """
    return frozenset(
        token.strip()
        for value in values
        for token in (value.lower() if folds else value).split(",")
        if token.strip()
    )
