"""PURE. What an ID token has to say to let somebody in (OpenID Connect Core 3.1.3.7)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from control_plane.oidc.schemas import ProviderBody
from control_plane.permissions import Role

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
"""Public keys only: a shared secret, or none at all, would let the client sign for anybody."""
LEEWAY_S: Final = 60
OLDEST_S: Final = 600
"""A token issued longer ago was not made for this sign-in."""
LONGEST: Final = 255
"""Of a subject, by the standard."""
_LOGIN: Final = re.compile(r"[a-z0-9_.@+-]{1,64}")


class ClaimsError(Exception):
    """The token lets nobody in; the text says why, for the log: never a value of it."""


class UnknownKeyError(ClaimsError):
    """It is signed with a key that is not known: the provider may have a new one."""


class Person(Struct, frozen=True, kw_only=True):
    """Who the provider says it is."""

    subject: str
    login: str
    """Empty: the provider does not say."""
    name: str
    groups: frozenset[str] | None
    """None: the provider does not say."""


def read(token: str, keys: KeySet, provider: ProviderBody, nonce: str, now_s: int) -> Person:
    """Return whom the token names. Raise `ClaimsError`."""
    try:
        decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError) as error:
        if "key" in str(error).lower():
            raise UnknownKeyError(type(error).__name__) from error
        raise ClaimsError(type(error).__name__) from error
    said: Mapping[str, Any] = decoded.claims
    if said.get("iss") != provider.issuer:
        raise ClaimsError("issuer")
    _check_audience(said, provider.client_id)
    _check_times(said, now_s)
    if not _is_same(said.get("nonce"), nonce):
        raise ClaimsError("nonce")
    subject = said.get("sub")
    if not (isinstance(subject, str) and 0 < len(subject) <= LONGEST and subject.isprintable()):
        raise ClaimsError("subject")
    return Person(
        subject=subject,
        login=_login(said.get(provider.login_claim)),
        name=_text(said.get("name")),
        groups=_groups(said.get(provider.groups_claim)),
    )


def roles_of(provider: ProviderBody, groups: frozenset[str]) -> tuple[Role, ...]:
    """Return the roles that somebody in these groups has."""
    given = (roles for group, roles in provider.roles.items() if group in groups)
    return tuple(sorted({role for roles in given for role in roles}))


def _check_audience(said: Mapping[str, Any], client_id: str) -> None:
    audience = said.get("aud")
    many = audience if isinstance(audience, list) else [audience]
    if client_id not in many:
        raise ClaimsError("audience")
    if (len(many) > 1 or "azp" in said) and said.get("azp") != client_id:
        raise ClaimsError("authorized party")


def _is_same(said: object, ours: str) -> bool:
    """Compare in constant time; what is no ASCII is not ours."""
    return isinstance(said, str) and said.isascii() and hmac.compare_digest(said, ours)


def _check_times(said: Mapping[str, Any], now_s: int) -> None:
    expires, issued = said.get("exp"), said.get("iat")
    if not (isinstance(expires, int) and now_s < expires + LEEWAY_S):
        raise ClaimsError("expiry")
    if not (isinstance(issued, int) and now_s - OLDEST_S <= issued <= now_s + LEEWAY_S):
        raise ClaimsError("time of issue")


def _login(value: object) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if _LOGIN.fullmatch(text) else ""


def _text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return text[:200] if text.isprintable() else ""


def _groups(value: object) -> frozenset[str] | None:
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list):
        return frozenset(each for each in value if isinstance(each, str))
    return None
