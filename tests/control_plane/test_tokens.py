"""Access tokens: read again and again, and not a second longer than they are good."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_plane.tokens import LEEWAY_S, Claims, TokenInvalidError, TokenKeys, make_key

ANNA = Claims(subject="usr_anna", tenant="main", session="ses_1", until_s=1_300)


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    """Return keys of our own."""
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    file.write_bytes(make_key())
    return TokenKeys.load(file)


def test_a_token_says_the_same_each_time_until_it_is_over(keys: TokenKeys) -> None:
    token = keys.sign(ANNA, now_s=1_000)
    for now_s in (1_000, 1_200, 1_299 + LEEWAY_S):
        assert keys.read(token, now_s=now_s) == ANNA
    for now_s in (1_300 + LEEWAY_S, 9_000):
        with pytest.raises(TokenInvalidError):
            keys.read(token, now_s=now_s)


def test_what_is_changed_in_a_token_that_was_good_makes_it_none(keys: TokenKeys) -> None:
    token = keys.sign(ANNA, now_s=1_000)
    assert keys.read(token, now_s=1_000) == ANNA
    head, said, signature = token.split(".")
    other = keys.sign(Claims(subject="x", tenant="main", session="s", until_s=1_300), now_s=1_000)
    for forged in (
        ".".join((head, other.split(".")[1], signature)),
        ".".join((head, said, signature[::-1])),
        f"{token}A",
        "\udc80",
        "",
    ):
        with pytest.raises(TokenInvalidError):
            keys.read(forged, now_s=1_000)


def test_a_derived_key_is_the_same_wherever_the_signing_key_is(tmp_path: Path) -> None:
    for name in ("one.pem", "other.pem"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(make_key())
    first, again = (TokenKeys.load(tmp_path / "one.pem") for _ in range(2))
    other = TokenKeys.load(tmp_path / "other.pem")
    assert len(first.derived(b"x")) == 32
    assert first.derived(b"x") == again.derived(b"x")
    assert first.derived(b"x") not in (first.derived(b"y"), other.derived(b"x"))
