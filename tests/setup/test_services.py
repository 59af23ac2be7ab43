"""The service policy of an installation: who is refused, and what stands there before and after."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from drills.setup.services import restore, services_held_back

if TYPE_CHECKING:
    from pathlib import Path

LET_ALL = "#!/bin/sh\nexit 0\n"
REFUSE_ALL = "#!/bin/sh\nexit 101\n"
REFUSED = 101


def ask(policy: Path, extra: dict[str, str] | None = None) -> int:
    """Ask the policy as Debian's maintainer scripts do."""
    environment = {**os.environ, **(extra or {})}
    return subprocess.run([policy, "etcd", "start"], env=environment, check=False).returncode


def place(policy: Path, text: str) -> None:
    policy.write_text(text)
    policy.chmod(0o755)


def test_services_of_our_own_installation_are_refused_and_of_others_are_not(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with services_held_back(policy) as environment:
        assert ask(policy, environment) == REFUSED
        assert ask(policy) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "answer"), [(LET_ALL, 0), (REFUSE_ALL, REFUSED)])
def test_a_policy_of_the_machine_goes_on_answering_others_and_comes_back(
    tmp_path: Path, text: str, answer: int
) -> None:
    policy = tmp_path / "policy-rc.d"
    place(policy, text)
    with services_held_back(policy) as environment:
        assert ask(policy, environment) == REFUSED
        assert ask(policy) == answer
    assert policy.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["policy-rc.d"]


def test_an_installation_that_fails_puts_the_policy_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    place(policy, REFUSE_ALL)
    with pytest.raises(KeyboardInterrupt), services_held_back(policy):
        raise KeyboardInterrupt
    assert policy.read_text() == REFUSE_ALL


@pytest.mark.parametrize("before", [None, REFUSE_ALL], ids=["none before", "one before"])
def test_the_next_run_puts_back_what_a_killed_one_left(tmp_path: Path, before: str | None) -> None:
    policy = tmp_path / "policy-rc.d"
    if before:
        place(policy, before)
    held = services_held_back(policy)
    held.__enter__()  # and never __exit__: kill -9
    with services_held_back(policy) as environment:
        assert ask(policy, environment) == REFUSED
    assert (policy.read_text() if policy.exists() else None) == before
    restore(policy)
    assert (policy.read_text() if policy.exists() else None) == before
