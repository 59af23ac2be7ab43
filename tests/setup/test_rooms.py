"""The maps of the folders: that of the README, and what architecture.md calls pure and shell."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
MAPPED = ("edge", "drills", "loadtests")
"""Whose rooms the README names one by one."""
CACHE = "__pycache__"


def rooms(of: str) -> set[str]:
    """Return the folders in there; what a cache has left of a former one is none."""
    inside = [each for each in (ROOT / of).iterdir() if each.is_dir()]
    return {each.name for each in inside if {file.name for file in each.iterdir()} - {CACHE}}


def rows() -> dict[str, str]:
    """Return the README's map: what it says of each folder."""
    text = (ROOT / "README.md").read_text()
    return dict(re.findall(r"^\| `(\w+)/` \| (.*) \|$", text, re.MULTILINE))


def pure_by_contract() -> set[str]:
    """Return the modules, below `drills.`, that have to do no I/O."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = (each for each in contracts["contracts"] if "drills and benchmarks" in each["name"])
    modules = (each.split(".", 1) for each in found["source_modules"])
    return {name.replace(".", "/") for top, name in modules if top == "drills"}


def words(begin: str, end: str) -> set[str]:
    """Return the names in code type between two texts of architecture.md."""
    text = ARCHITECTURE[ARCHITECTURE.index(begin) + len(begin) :]
    return set(re.findall(r"`([a-z_]+(?:/[a-z_]*)?)`", text[: text.index(end)]))


def test_the_readme_names_every_folder_and_nothing_else() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert set(rows()) == {*packages["root_packages"], "policies", "docs", "tests"}


@pytest.mark.parametrize("top", MAPPED)
def test_the_readme_names_every_room_of(top: str) -> None:
    assert set(re.findall(r"`(\w+)/`", rows()[top])) == rooms(top) - {CACHE}


def test_the_map_of_drills_calls_pure_what_the_contract_holds_to_it() -> None:
    elsewhere = rooms("drills") - {CACHE, "drill", "schedule"}
    here = {name for name in pure_by_contract() if name.split("/")[0] not in elsewhere}
    assert words(";\npure:", "\n\n") == here


def test_the_map_of_drills_names_every_module_beside_its_rooms() -> None:
    modules = {each.stem for each in (ROOT / "drills").glob("*.py") if each.stem[:1] != "_"}
    assert modules - words("**Drills**", "\n\n") == set()


def test_the_map_of_the_lab_calls_pure_what_the_contract_holds_to_it() -> None:
    here = {name[4:] for name in pure_by_contract() if name.startswith("lab/")}
    assert words("Pure in `drills/lab/`:", "\n\n") == here
