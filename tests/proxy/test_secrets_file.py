from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.proxy.secrets_file import SecretsFile

FIRST, SECOND = "s" * 40, "t" * 40


def write(path: Path, content: str, mode: int = 0o600) -> None:
    fresh = path.with_name("fresh")
    fresh.touch(mode=mode)
    fresh.write_text(content)
    fresh.chmod(mode)
    fresh.replace(path)


def test_secrets_that_are_replaced_come_into_force_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    write(path, FIRST)
    file = SecretsFile(path)
    assert list(file.by_name.values()) == [FIRST]
    assert not file.has_changed()
    write(path, f"{SECOND}\n{FIRST}")
    assert file.has_changed()
    assert list(file.by_name.values()) == [SECOND, FIRST]


def test_a_file_that_cannot_be_taken_leaves_the_last_good_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    write(path, FIRST)
    file = SecretsFile(path)
    for content, mode in (("rubbish", 0o600), (SECOND, 0o640)):
        write(path, content, mode)
        assert not file.has_changed()
        assert list(file.by_name.values()) == [FIRST]
    path.unlink()
    assert not file.has_changed()
    assert list(file.by_name.values()) == [FIRST]


def test_a_file_that_others_could_read_is_taken_once_they_cannot(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    write(path, FIRST, 0o640)
    file = SecretsFile(path)
    assert not file.by_name
    path.chmod(0o600)
    assert file.has_changed()
    assert list(file.by_name.values()) == [FIRST]


@pytest.mark.parametrize("content", [None, "rubbish"])
def test_what_cannot_be_taken_is_said_once(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "secrets"
    if content is not None:
        write(path, content)
    with capture_logs() as told:
        file = SecretsFile(path)
        assert not any(file.has_changed() for _ in range(3))
    assert [line["event"] for line in told] == ["phone_secrets_not_read"]


def test_no_file_is_no_secrets() -> None:
    file = SecretsFile(None)
    assert not file.has_changed()
    assert not file.by_name
