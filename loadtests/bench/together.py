"""`bench all`: the figures of several benchmarks as one object, measured piece by piece. PURE.

A piece is a benchmark with its effort cut down to what a few minutes hold. The file of figures
keeps each piece as it was measured, so that a run that was broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from loadtests.bench.errors import BenchError


class Piece(Struct, frozen=True, kw_only=True):
    """What is measured at one go."""

    name: str
    bench: str
    """The benchmark, by the name that `./everline bench` takes."""
    minutes: int
    """About how long it takes on a quiet machine, reckoned from its slices."""
    effort: Mapping[str, Any] = {}
    """In what its effort is other than usual."""


PIECES: Final = (
    Piece(name="relay", bench="relay", minutes=6, effort={"climbs": 3, "media": (False,)}),
    Piece(
        name="relay-rtpengine",
        bench="relay",
        minutes=5,
        effort={"climbs": 3, "media": (True,)},
    ),
    Piece(name="edge", bench="edge", minutes=6, effort={"climbs": 3, "reaches": ("bridged",)}),
    Piece(
        name="edge-answered",
        bench="edge",
        minutes=5,
        effort={"climbs": 3, "reaches": ("answered", "queued")},
    ),
    Piece(name="queue", bench="queue", minutes=3),
    Piece(name="site", bench="site", minutes=6),
    Piece(name="growth-100", bench="growth", minutes=1, effort={"sizes": (100,)}),
    Piece(name="growth-1000", bench="growth", minutes=1, effort={"sizes": (1_000,)}),
    Piece(name="growth-10000", bench="growth", minutes=2, effort={"sizes": (10_000,)}),
    Piece(name="growth-100000", bench="growth", minutes=6, effort={"sizes": (100_000,)}),
    Piece(name="memory", bench="memory", minutes=4),
    Piece(name="breadth", bench="breadth", minutes=4),
    Piece(name="bridged", bench="bridged", minutes=4),
    Piece(name="edges", bench="edges", minutes=8, effort={"climbs": 3}),
    Piece(name="sites", bench="sites", minutes=4),
    Piece(
        name="distance-here",
        bench="distance",
        minutes=3,
        effort={"leaders": ("here",), "rounds": 3},
    ),
    Piece(
        name="distance-elsewhere",
        bench="distance",
        minutes=3,
        effort={"leaders": ("elsewhere",), "rounds": 3},
    ),
    Piece(name="media", bench="media", minutes=2),
)
"""In this order: what is quick and most telling first."""
TOOK: Final = "took_s"
"""How long a piece took, as it came."""
KEPT: Final = "pieces"
"""Where the file of figures keeps the pieces as they were measured."""
QUICK: Final = "quick"
"""Of a piece, and of a file of one benchmark: it was measured with --quick, and means little. Of
the whole file: which pieces were."""
FAILED: Final = "failed"
"""Where it says which pieces went wrong, and why."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def chosen(names: Iterable[str]) -> tuple[Piece, ...]:
    """Return the pieces of these names, in their order; all of them when none is named.

    BenchError names one that there is not.
    """
    wanted = set(names)
    unknown = sorted(wanted - {each.name for each in PIECES})
    if unknown:
        known = ", ".join(each.name for each in PIECES)
        raise BenchError(f"bench all has no piece {unknown[0]!r}; it has {known}")
    return tuple(each for each in PIECES if not wanted or each.name in wanted)


def left(
    pieces: Iterable[Piece], found: Container[str], failed: Container[str] = ()
) -> tuple[Piece, ...]:
    """Return those that are not measured yet, those that have failed last."""
    due = [each for each in pieces if each.name not in found]
    return tuple(sorted(due, key=lambda each: each.name in failed))


def still_s(todo: Iterable[Piece], took_s: Mapping[str, float]) -> float | None:
    """Return about how long these will take, as those that are measured took longer, or less.

    `took_s` is by piece. None: nothing is known, as none is measured.
    """
    usual_s = sum(60.0 * each.minutes for each in PIECES if each.name in took_s)
    if not usual_s:
        return None
    pace = sum(took_s[each.name] for each in PIECES if each.name in took_s) / usual_s
    return pace * usually_s(todo)


def usually_s(todo: Iterable[Piece]) -> float:
    """Return about how long these take on a quiet machine."""
    return sum(60.0 * each.minutes for each in todo)


def figures(
    found: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str] = _NONE
) -> dict[str, object]:
    """Return what has been measured so far, each benchmark under its name.

    `found` is by piece, and so is `failed`, which says why. `site` measures overload, too. `growth`
    is by number of agents; what etcd is asked for a call, and what an agent takes of memory, are
    by-products of its slices and stand under `etcd` and `memory`.
    """
    told: dict[str, Any] = {}
    grown: dict[int, Mapping[str, Any]] = {}
    for piece in (each for each in PIECES if each.name in found):
        measured = found[piece.name]
        aside = {"machine", TOOK, QUICK}
        each = {key: value for key, value in measured.items() if key not in aside}
        if piece.bench == "growth":
            grown |= {int(size): each | {"size": row} for size, row in each["growth"].items()}
        elif piece.bench == "site":
            told |= each
        elif piece.bench in told:
            told[piece.bench] = _merged(told[piece.bench], each)
        else:
            told[piece.bench] = each
    if grown:
        told |= _growth(grown, told.get("memory", {}))
    took = {name: each[TOOK] for name, each in found.items() if TOOK in each}
    if hurried := [name for name, each in found.items() if each.get(QUICK)]:
        told[QUICK] = hurried
    return told | {
        "machine": _machine(found),
        TOOK: took,
        FAILED: dict(failed),
        KEPT: dict(found),
    }


def _machine(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all pieces were measured on; what is not the same everywhere, by piece."""
    told: dict[str, dict[str, Any]] = {}
    for piece, measured in found.items():
        for name, value in (measured.get("machine") or {}).items():
            told.setdefault(name, {})[piece] = value
    return {name: _one_or(by_piece, len(found)) for name, by_piece in told.items()}


def _one_or(by_piece: dict[str, Any], pieces: int) -> object:
    first, *others = by_piece.values()
    is_same = len(by_piece) == pieces and all(each == first for each in others)
    return first if is_same else by_piece


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return two pieces of one benchmark as one: what both have as objects is merged likewise."""
    both = dict(one)
    for key, value in other.items():
        held = both.get(key)
        is_deeper = isinstance(held, dict) and isinstance(value, dict)
        both[key] = _merged(held, value) if is_deeper else value  # type: ignore[arg-type]
    return both


def _growth(grown: Mapping[int, Mapping[str, Any]], memory: Mapping[str, Any]) -> dict[str, Any]:
    sizes = sorted(grown)
    told: dict[str, Any] = {
        "growth": {str(size): grown[size]["size"] for size in sizes},
        "etcd": grown[sizes[0]]["etcd"],
    }
    held = dict(memory)
    if len(sizes) > 1:
        few, many = sizes[-2:]
        more_kb = grown[many]["size"]["memory_kb"] - grown[few]["size"]["memory_kb"]
        held["per_agent"] = round(1024 * more_kb / (many - few))
    return told | ({"memory": held} if held else {})
