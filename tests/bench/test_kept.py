"""Loaded databases that wait for the next run: whole, unchanged, and of today's schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.bench.api import kept


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made_from = tmp_path / "stock.py"
    made_from.write_text("1")
    monkeypatch.setattr(kept, "ROOM", tmp_path / "room")
    monkeypatch.setattr(kept, "_MADE_FROM", (made_from,))
    return tmp_path


def filled(room: Path, word: str) -> Path:
    folder = room / word
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "everline.db").write_text(word)
    return folder


def test_what_a_run_does_to_its_copy_is_not_kept(room: Path) -> None:
    place = kept.place("sqlite", 7)
    kept.save(filled(room, "loaded"), place)
    kept.copy(place / "data", room / "mine")
    (room / "mine" / "everline.db").write_text("edited")
    assert (place / "data" / "everline.db").read_text() == "loaded"


def test_what_was_made_from_something_else_is_not_used_and_goes(room: Path) -> None:
    old, other = kept.place("sqlite", 7), kept.place("sqlite", 8)
    kept.save(filled(room, "old"), old)
    kept.save(filled(room, "other"), other)
    (room / "stock.py").write_text("2")
    new = kept.place("sqlite", 7)
    assert not new.exists()
    kept.save(filled(room, "new"), new)
    assert [each.exists() for each in (old, other, new)] == [False, True, True]
