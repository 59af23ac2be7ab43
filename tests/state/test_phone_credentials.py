from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from state.model import AgentId
from state.phone_credentials import issue, read_secrets

TEXT = "s" * 40


def test_the_first_secret_of_a_file_issues_and_names_differ() -> None:
    found = read_secrets(f"# rotated in May\n{TEXT}\n\n{'t' * 40}\n")
    assert [each.text for each in found] == [TEXT, "t" * 40]
    assert len({each.name for each in found}) == 2
    assert all(re.fullmatch("[0-9a-f]{8}", each.name) for each in found)


@pytest.mark.parametrize(
    "content", ["", "# none", "short", f"{TEXT}\n{'x' * 200}", f"{TEXT}\n" * 5]
)
def test_a_file_that_is_none_is_refused_without_telling_it(content: str) -> None:
    with pytest.raises(ValueError, match=r"line \d|secrets") as refused:
        read_secrets(content)
    assert TEXT not in str(refused.value)
    assert "x" * 200 not in str(refused.value)


def test_neither_secret_nor_password_is_shown() -> None:
    (secret,) = read_secrets(TEXT)
    given = issue(secret, AgentId("alba"), 1_764_337_200)
    assert given.user == f"{secret.name}:1764337200:alba"
    assert TEXT not in repr(secret)
    assert given.password not in repr(given)


def test_kamailio_reckons_the_same_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy's script may import nothing of ours, so it has the same lines."""
    import hashlib  # noqa: PLC0415 - beside its only use

    from tests.kemi.fake_ksr import FakeKsr  # noqa: PLC0415 - likewise

    kemi = Path(__file__).parents[2] / "edge" / "kemi"
    monkeypatch.syspath_prepend(str(kemi))
    monkeypatch.setitem(sys.modules, "KSR", FakeKsr())
    for name in ("agents", "door", "wire"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    agents = importlib.import_module("agents")
    (secret,) = read_secrets(TEXT)
    given = issue(secret, AgentId("alba"), 1_764_337_200)
    text = f"{given.user}:everline:{given.password}".encode()
    ours = hashlib.md5(text, usedforsecurity=False).hexdigest()
    assert agents.ephemeral_ha1(given.user, secret.text) == ours
