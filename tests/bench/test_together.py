"""The figures of several benchmarks as one object, measured piece by piece."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from drills.cli.bench import bench
from loadtests.bench.__main__ import MODULES, main
from loadtests.bench.errors import BenchError
from loadtests.bench.together import PIECES, Piece, chosen, figures, left, still_s, usually_s


def growth(agents: int, memory_kb: int) -> dict[str, Any]:
    return {
        "growth": {str(agents): {"cpu_ms": 2.5, "memory_kb": memory_kb}},
        "etcd": {"writes_per_call": 4.0 + agents / 1e6},
        "bytes_per_agent": None,
        "machine": {"kernel": "6"},
    }


SITE = {
    "site": {"calls_per_s": 250.0},
    "overload": {"kept": 0.97, "recovery_s": 1.0},
    "machine": {"kernel": "6"},
}


def test_figures_stand_under_the_names_that_others_read() -> None:
    pieces = {
        "queue": {"efficiency": 0.98, "machine": {"kernel": "6"}, "took_s": 61.5},
        "site": SITE,
        "growth-10000": growth(10_000, 200_000),
        "growth-100": growth(100, 101_000),
        "memory": {"per_waiting_call": 9000, "machine": {"kernel": "6"}},
    }
    found = figures(pieces)
    assert found.pop("pieces") == pieces
    assert found == {
        "took_s": {"queue": 61.5},
        "failed": {},
        "queue": {"efficiency": 0.98},
        "site": {"calls_per_s": 250.0},
        "overload": {"kept": 0.97, "recovery_s": 1.0},
        "growth": {
            "100": {"cpu_ms": 2.5, "memory_kb": 101_000},
            "10000": {"cpu_ms": 2.5, "memory_kb": 200_000},
        },
        "etcd": {"writes_per_call": 4.0001},
        "memory": {"per_waiting_call": 9000, "per_agent": 10240},
        "machine": {"kernel": "6"},
    }


def test_two_pieces_of_one_benchmark_become_one() -> None:
    here = {"round_trip_ms": {"20": {"here": {"p50": 1}}}, "rate": 10.0}
    elsewhere = {"round_trip_ms": {"20": {"elsewhere": {"p50": 2}}}, "rate": 10.0}
    found = figures({"distance-here": here, "distance-elsewhere": elsewhere})
    assert found["distance"] == {
        "round_trip_ms": {"20": {"here": {"p50": 1}, "elsewhere": {"p50": 2}}},
        "rate": 10.0,
    }


def test_the_relay_without_media_and_with_it_are_one_benchmark_again() -> None:
    plain = {"cpu_ratio": 1.2, "clean_rate": {"kemi": 4000.0}}
    managed = {"rtpengine": {"cpu_ratio": 1.1, "clean_rate": {"kemi": 700.0}}}
    found = figures({"relay": plain, "relay-rtpengine": managed})
    assert found["relay"] == plain | managed


def test_calls_that_end_sooner_stand_beside_those_that_are_bridged() -> None:
    bridged = {"cpu_ms": 2.6, "bridged": {"cpu_ms": 2.6}}
    sooner = {"answered": {"cpu_ms_media": 1.4}, "queued": {"cpu_ms": 1.2}}
    assert figures({"edge": bridged, "edge-answered": sooner})["edge"] == bridged | sooner


def test_one_size_tells_nothing_of_what_an_agent_takes() -> None:
    assert "memory" not in figures({"growth-100": growth(100, 50_000)})


def test_what_was_measured_is_not_measured_again() -> None:
    pieces = chosen(["memory", "queue", "relay"])
    assert [each.name for each in pieces] == ["relay", "queue", "memory"]
    assert [each.name for each in left(pieces, {"queue": {}})] == ["relay", "memory"]
    assert chosen([]) == PIECES


def test_piece_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(BenchError, match=r"no piece 'tee'; it has relay, relay-rtpengine, edge"):
        chosen(["queue", "tee"])


@pytest.mark.parametrize("piece", PIECES, ids=lambda each: each.name)
def test_every_piece_is_a_benchmark_with_an_effort_that_it_takes(piece: Piece) -> None:
    module = importlib.import_module(f"loadtests.bench.{MODULES[piece.bench]}")
    assert replace(module.Effort(), **piece.effort)
    report = importlib.import_module("loadtests.bench.report")
    assert callable(getattr(report, piece.bench))


def test_file_that_is_no_file_of_figures_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("loadtests.bench.__main__.inside", object)
    monkeypatch.setattr("loadtests.bench.__main__.subprocess.run", lambda *_, **__: None)
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"queue": {}}))
    assert main(["all", "--resume", "--json", str(file)]) == 1
    assert f"{file} holds no figures of `bench all`" in capsys.readouterr().err
    for text in ("[]", '{"pieces": 5}', '{"pieces": {"edge": 5}}', "[" * 100_000, '{"pieces"'):
        file.write_text(text)
        assert main(["all", "--resume", "--json", str(file)]) == 1
        assert f"{file} holds no figures of `bench all`" in capsys.readouterr().err
    assert main(["all", "--resume"]) == 1
    assert "name it by --json" in capsys.readouterr().err


def test_how_long_is_left_goes_by_how_long_the_others_took() -> None:
    relay, edge, queue = chosen(["relay", "edge", "queue"])
    assert still_s([queue], {}) is None
    usual_s = usually_s([queue])
    assert usual_s == 60.0 * queue.minutes
    # Twice as long as usual, both together: a slow one may have had more to do.
    took_s = {"relay": 60.0 * relay.minutes, "edge": 60.0 * (relay.minutes + 2 * edge.minutes)}
    assert still_s([queue], took_s) == pytest.approx(2 * usual_s)
    assert still_s([], took_s) == 0.0


def test_the_help_tells_how_long_each_piece_takes() -> None:
    told = re.search(r"in minutes: ([^.]*)\.", re.sub(r"\s+", " ", bench.__doc__ or ""))
    assert told is not None
    assert told[1] == ", ".join(f"{each.name} {each.minutes}" for each in PIECES)
    minutes = sum(each.minutes for each in PIECES)
    assert 65 <= minutes <= 85, "the help says: about an hour and a quarter"
