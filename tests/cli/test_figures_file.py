"""Files of figures: whole or as they were, and JSON that every reader takes."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from drills.figures_file import write_figures


def _strict(text: str) -> object:
    def refuse(word: str) -> object:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_figures_that_are_no_numbers_are_null(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    write_figures(file, {"p99": math.nan, "recovery_s": math.inf, "by_size": {100: 1.5}})
    told = {"p99": None, "recovery_s": None, "by_size": {"100": 1.5}}
    assert _strict(file.read_text()) == told
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_disk_that_is_full_leaves_the_figures_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "figures.json"
    write_figures(file, {"pieces": {"edge": {}}})

    def is_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", is_full)
    with pytest.raises(OSError, match="No space"):
        write_figures(file, {"pieces": {"edge": {}, "queue": {}}})
    assert _strict(file.read_text()) == {"pieces": {"edge": {}}}
    assert [each.name for each in tmp_path.iterdir()] == ["figures.json"]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    target, link = tmp_path / "there.json", tmp_path / "here.json"
    link.symlink_to(target)
    write_figures(link, {"a": 1})
    assert link.is_symlink()
    assert _strict(target.read_text()) == {"a": 1}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_figures(pipe, {"a": 2})
        assert json.loads(os.read(reader, 4096)) == {"a": 2}
    finally:
        os.close(reader)
    assert pipe.is_fifo()
