"""What `./everline bench` says no to before it measures anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from drills.cli.bench import Name, bench
from drills.cli.errors import CommandError, Exit
from loadtests.bench.together import PIECES


@pytest.fixture(autouse=True)
def _nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_inside(*_: object) -> int:
        raise AssertionError("it was to be refused")

    monkeypatch.setattr("drills.cli.bench.run_inside", run_inside)


def test_only_the_edge_has_a_profile(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="only `bench edge`") as caught:
        bench("relay", flame=tmp_path / "relay.svg")
    assert caught.value.code is Exit.USAGE
    with pytest.raises(CommandError, match="only `bench edge`"):
        bench("site", profile=True)


@pytest.mark.parametrize("option", ["json", "flame"])
def test_a_file_in_a_folder_that_is_not_there_is_refused_at_once(
    option: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="no such folder"):
        bench("edge", **{option: tmp_path / "away" / "file"})  # type: ignore[arg-type]


def test_a_file_that_the_namespaces_hide_is_refused_at_once() -> None:
    with pytest.raises(CommandError, match="outside /run") as caught:
        bench("edge", flame=Path("/run/edge.svg"))
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("name", "part"), [("edge", "index"), ("api", "index"), ("routing", "load")]
)
def test_a_part_of_another_benchmark_is_refused(name: str, part: str) -> None:
    with pytest.raises(CommandError, match=f"`bench {name}` has no part '{part}'") as caught:
        bench(name, part=part)  # type: ignore[arg-type]
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize("name", get_args(get_args(Name)[0]))
def test_every_benchmark_says_in_the_help_what_it_measures(name: str) -> None:
    assert re.search(rf"^    {name} ", bench.__doc__ or "", re.MULTILINE)


@pytest.mark.parametrize("name", sorted({each.bench for each in PIECES}))
def test_the_help_names_what_all_of_them_are(name: str) -> None:
    found = re.search(r"^    all ([^.]*)", bench.__doc__ or "", re.MULTILINE)
    assert found is not None
    assert re.search(rf"\b{name}\b", found[1])


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("relay", "resume", True),
        ("edge", "pieces", "queue"),
        ("site", "minutes", 4.0),
        ("edge", "agents", 500),
    ],
)
def test_an_option_of_another_benchmark_is_refused_and_not_passed_over(
    name: str, option: str, value: object, tmp_path: Path
) -> None:
    # The file of figures of `bench all` would be written over by those of one.
    more: dict[str, object] = {option: value, "json": tmp_path / "figures.json"}
    with pytest.raises(CommandError, match=f"--{option} is for `bench ") as caught:
        bench(name, **more)  # type: ignore[arg-type]
    assert caught.value.code is Exit.USAGE
