"""What an ID token must not be."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from control_plane.oidc.claims import ClaimsError, UnknownKeyError, read, roles_of
from control_plane.oidc.schemas import ProviderBody
from control_plane.permissions import Role

NOW_S = 1_800_000_000
KEY = ECKey.generate_key("P-256", parameters={"kid": "k1"})
OTHER = ECKey.generate_key("P-256", parameters={"kid": "k1"})
PROVIDER = ProviderBody(
    issuer="https://idp.example",
    client_id="us",
    redirect_uris=("https://desk.example/back",),
    roles={"leads": (Role.MANAGER, Role.AUDITOR), "staff": (Role.AGENT,)},
)
GOOD: dict[str, Any] = {
    "iss": "https://idp.example", "aud": "us", "sub": "248", "nonce": "n", "iat": NOW_S,
    "exp": NOW_S + 300, "preferred_username": "Ada", "name": "Ada L.", "groups": ["leads"],
}  # fmt: skip


def signed(claims: dict[str, Any], key: ECKey = KEY, **header: str) -> str:
    return jwt.encode({"alg": "ES256", "kid": "k1", **header}, claims, key)


def keys(*more: ECKey) -> KeySet:
    return KeySet([KEY, *more])


def test_a_good_token_tells_who_it_is() -> None:
    person = read(signed(GOOD), keys(), PROVIDER, "n", NOW_S)
    assert (person.subject, person.login, person.name) == ("248", "ada", "Ada L.")
    assert roles_of(PROVIDER, person.groups or frozenset()) == (Role.AUDITOR, Role.MANAGER)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://idp.example/"}, {"iss": None}, {"aud": "others"}, {"aud": ["us", "more"]},
        {"aud": ["us"], "azp": "others"}, {"nonce": "m"}, {"nonce": None}, {"exp": NOW_S - 61},
        {"exp": None}, {"exp": "soon"}, {"iat": NOW_S - 601}, {"iat": NOW_S + 61}, {"iat": None},
        {"sub": ""}, {"sub": None}, {"sub": "x" * 256}, {"sub": "a\0"},
        {"nonce": "ñ"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_says_anything_else_is_refused(change: dict[str, Any]) -> None:
    said = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ClaimsError):
        read(signed(said), keys(), PROVIDER, "n", NOW_S)


def test_another_key_under_the_same_name_is_refused() -> None:
    with pytest.raises(ClaimsError):
        read(signed(GOOD, OTHER), keys(), PROVIDER, "n", NOW_S)


def test_a_key_that_is_not_known_yet_is_told_apart() -> None:
    with pytest.raises(UnknownKeyError):
        read(signed(GOOD, kid="new"), keys(), PROVIDER, "n", NOW_S)


def test_neither_no_signature_nor_one_by_a_shared_secret_is_taken() -> None:
    secret = OctKey.import_key("between you and me, and everybody")
    shared = jwt.encode({"alg": "HS256", "kid": "k1"}, GOOD, secret, algorithms=["HS256"])
    bare = ".".join((*signed(GOOD).split(".")[:2], ""))
    for token in (shared, bare, "rubbish", ""):
        with pytest.raises(ClaimsError):
            read(token, keys(), PROVIDER, "n", NOW_S)


@pytest.mark.parametrize(
    ("said", "login"), [("Ada", "ada"), ("a b", ""), (7, ""), (None, ""), ("x" * 65, "")]
)
def test_a_login_that_could_be_none_here_is_no_login(said: object, login: str) -> None:
    claims = GOOD | {"preferred_username": said}
    assert read(signed(claims), keys(), PROVIDER, "n", NOW_S).login == login


@pytest.mark.parametrize(
    ("said", "groups"),
    [("leads", {"leads"}), (["leads", 7], {"leads"}), ({"a": 1}, None), (None, None)],
)
def test_groups_come_as_a_list_or_as_one(said: object, groups: set[str] | None) -> None:
    assert read(signed(GOOD | {"groups": said}), keys(), PROVIDER, "n", NOW_S).groups == groups
