"""Access tokens: short-lived, signed with ES256 by the key that all sites share.

Owns keys and claims; refuses to know who may have a token, and what it opens.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import stat
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from control_plane.errors import SettingsError

ISSUER: Final = "everline"
ACCESS_S: Final = 300
LEEWAY_S: Final = 2
"""Clocks of sites differ."""
KEPT: Final = 20_000


SERVICE: Final = "service"
"""What stands for the session of a machine, which has none."""
SERVICE_PREFIX: Final = "everline_"
"""So that scanners for leaked secrets know one when they see it."""
_SERVICE_TOKEN: Final = re.compile(r"everline_[A-Za-z0-9_-]{43}")


class TokenInvalidError(Exception):
    """It is not ours, not whole, or over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What an access token says: who, where from, until when. Never what they may do."""

    subject: str
    tenant: str
    session: str
    until_s: int


class TokenKeys:
    """Signs with one key, takes what any of them has signed."""

    def __init__(self, keys: Sequence[ECKey]) -> None:
        self._signing = keys[0]
        self._set = KeySet(list(keys))
        self._read: OrderedDict[bytes, Claims] = OrderedDict()
        """What tokens say whose signatures have been checked, by their digests."""

    @classmethod
    def load(cls, signing: Path, older: Sequence[Path] = ()) -> TokenKeys:
        """Read PEM files. Raise `SettingsError` naming the file; the key must be ours alone."""
        _check_mode(signing)
        return cls([_key(signing, private=True), *(_key(each, private=False) for each in older)])

    def derived(self, what: bytes) -> bytes:
        """Return a key of 32 bytes for something else: the same wherever this key signs."""
        private = str(self._signing.as_dict(private=True)["d"])
        kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=what)
        return kdf.derive(private.encode())

    def sign(self, claims: Claims, *, now_s: int) -> str:
        """Return a token."""
        header = {"alg": "ES256", "kid": self._signing.kid, "typ": "at+jwt"}
        payload = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": claims.subject,
            "tenant": claims.tenant,
            "sid": claims.session,
            "iat": now_s,
            "exp": claims.until_s,
        }
        return jwt.encode(header, payload, self._signing, algorithms=["ES256"])

    def read(self, token: str, *, now_s: int) -> Claims:
        """Return what `token` says. Raise `TokenInvalidError`.

        A good signature stays one, so it is checked once; whether a token is over, each time.
        """
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        claims = self._read.get(digest) or self._claims(token)
        if claims.until_s + LEEWAY_S <= now_s:
            self._read.pop(digest, None)
            raise TokenInvalidError
        self._read[digest] = claims
        if len(self._read) > KEPT:
            self._read.popitem(last=False)
        return claims

    def _claims(self, token: str) -> Claims:
        try:
            decoded = jwt.decode(token, self._set, algorithms=["ES256"])
        except (JoseError, ValueError) as error:
            raise TokenInvalidError from error
        said = decoded.claims
        is_ours = (said.get("iss"), said.get("aud")) == (ISSUER, ISSUER)
        until = said.get("exp")
        words = [said.get(name) for name in ("sub", "tenant", "sid")]
        if not (is_ours and decoded.header.get("typ") == "at+jwt" and isinstance(until, int)):
            raise TokenInvalidError
        if not all(isinstance(word, str) for word in words):
            raise TokenInvalidError
        subject, tenant, session = map(str, words)
        return Claims(subject=subject, tenant=tenant, session=session, until_s=until)


def make_service_token() -> str:
    """Return a new token for a machine."""
    return SERVICE_PREFIX + secrets.token_urlsafe(32)


def is_service_token(text: str) -> bool:
    """Tell whether this has the form of one."""
    return _SERVICE_TOKEN.fullmatch(text) is not None


def digest_of(token: str) -> str:
    """Return what is kept of a token of ours: 256 random bits need nothing slower."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_key() -> bytes:
    """Return a new signing key as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _check_mode(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise SettingsError(f"{path}: others may read it ({mode:04o}); chmod 600 it")


def _key(path: Path, *, private: bool) -> ECKey:
    try:
        key = ECKey.import_key(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (JoseError, ValueError) as error:
        raise SettingsError(f"{path}: should be an EC key in PEM") from error
    if key.curve_name != "P-256" or (private and not key.is_private):
        raise SettingsError(f"{path}: should be a {'private ' if private else ''}key of P-256")
    made = ECKey.import_key(key.as_dict(private=private))
    made.ensure_kid()
    return made
