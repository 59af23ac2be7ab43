"""Digest authentication, the client's side (RFC 3261 §22, RFC 2617, RFC 8760)."""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

from edge.sip.message import ENCODING, ERRORS, Response

_ALGORITHMS = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_PAIR = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")


class Challenge(Struct, frozen=True, kw_only=True):
    """What a server wants to be proved."""

    header: str
    """The field that the proof goes into."""
    realm: str
    nonce: str
    opaque: str
    algorithm: str
    has_qop: bool
    is_stale: bool


def challenge_in(response: Response) -> Challenge | None:
    """Return the first challenge of a 401 or 407 that we can meet."""
    proxy = response.status == 407  # noqa: PLR2004 - the status says whose challenge it is
    name = "proxy-authenticate" if proxy else "www-authenticate"
    for value in response.all(name):
        scheme, _, rest = value.partition(" ")
        if scheme.lower() != "digest":
            continue
        found = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PAIR.finditer(rest)}
        algorithm = found.get("algorithm", "MD5").upper()
        qop = [word.strip().lower() for word in found.get("qop", "").split(",") if word.strip()]
        if algorithm not in _ALGORITHMS or (qop and "auth" not in qop) or "nonce" not in found:
            continue
        return Challenge(
            header="Proxy-Authorization" if proxy else "Authorization",
            realm=found.get("realm", ""),
            nonce=found["nonce"],
            opaque=found.get("opaque", ""),
            algorithm=algorithm,
            has_qop=bool(qop),
            is_stale=found.get("stale", "").lower() == "true",
        )
    return None


def proof(
    challenge: Challenge, credentials: tuple[str, str], method: str, uri: str, cnonce: str
) -> str:
    """Write the header line that meets `challenge`. `credentials` are user name and password."""
    user, password = credentials

    def digest(text: str) -> str:
        return _ALGORITHMS[challenge.algorithm](text.encode(ENCODING, ERRORS)).hexdigest()

    ha1 = digest(f"{user}:{challenge.realm}:{password}")
    ha2 = digest(f"{method}:{uri}")
    fields = [
        f'username="{user}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{uri}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.has_qop:
        count = "00000001"
        answer = digest(f"{ha1}:{challenge.nonce}:{count}:{cnonce}:auth:{ha2}")
        fields += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
    else:
        answer = digest(f"{ha1}:{challenge.nonce}:{ha2}")
    fields.append(f'response="{answer}"')
    if challenge.opaque:
        fields.append(f'opaque="{challenge.opaque}"')
    return f"{challenge.header}: Digest {', '.join(fields)}\r\n"
