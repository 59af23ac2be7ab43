"""The servers of a benchmark."""

from __future__ import annotations

from pathlib import Path

from loadtests.bench.servers import clear


def test_nothing_of_a_benchmark_before_is_left_and_nothing_elsewhere_is_touched(
    tmp_path: Path,
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder in (run / "m1" / "member", elsewhere):
        folder.mkdir(parents=True)
    (elsewhere / "kept").touch()
    (run / "m1" / "member" / "wal").touch()
    (run / "edge.toml").touch()
    (run / "link").symlink_to(elsewhere)
    clear(run)
    assert list(run.iterdir()) == []
    assert (elsewhere / "kept").exists()
