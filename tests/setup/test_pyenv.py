"""When the Python environment counts as whole, and how the lock is cut for pip."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.setup.errors import SetupError
from drills.setup.lock import check
from drills.setup.pyenv import SDISTS, Environment, split

ROOT = Path(__file__).parents[2]

LOCK = """\
rich==15.0.0 \\
    --hash=sha256:aa
sippy==2.5.0 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:dd
"""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / "requirements.lock").write_text(LOCK)
    made = Environment(tmp_path)
    made.home.mkdir()
    return made


def test_an_environment_without_a_stamp_is_half_built(environment: Environment) -> None:
    assert not environment.is_ready()


def test_an_environment_with_its_lock_s_stamp_is_whole(environment: Environment) -> None:
    environment.stamp.write_text(environment.digest())
    assert environment.is_ready()


def test_a_changed_lock_makes_the_environment_out_of_date(environment: Environment) -> None:
    environment.stamp.write_text(environment.digest())
    environment.lock.write_text(LOCK.replace("15.0.0", "15.0.1"))
    assert not environment.is_ready()


def test_an_environment_copied_to_another_place_is_not_taken_for_whole(
    environment: Environment, tmp_path: Path
) -> None:
    environment.stamp.write_text(environment.digest())
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "requirements.lock").write_text(LOCK)
    environment.home.rename(moved / ".venv")
    assert not Environment(moved).is_ready()


def test_the_lock_is_cut_with_each_requirement_s_hashes() -> None:
    cut = split(LOCK)
    assert cut.total == 3
    assert cut.sdists.count("--hash") == 2
    assert "sippy" in cut.sdists
    assert "sippy" not in cut.wheels
    assert "numpy" in cut.wheels
    assert cut.wheels.count("--hash") == 2


def test_the_project_s_lock_names_no_host_and_no_path_and_has_hashes_for_all() -> None:
    text = (ROOT / "requirements.lock").read_text()
    check(text)
    blocks = text.replace("\\\n", " ").splitlines()
    assert all("--hash=sha256:" in block for block in blocks)
    assert "setuptools==" in text, f"{SDISTS} are built by the locked setuptools"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://registry.example/simple\n",
        "--find-links /srv/wheels\n",
        "rich @ file:///srv/rich.whl\n",
        "/srv/wheels/rich.whl\n",
        "rich @ git+ssh://host/rich\n",
    ],
)
def test_a_lock_that_names_a_place_is_refused(line: str) -> None:
    with pytest.raises(SetupError, match="line 8"):
        check(LOCK + line)
