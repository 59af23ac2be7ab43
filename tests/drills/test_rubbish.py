"""Whatever bytes a file, a line or a capture holds, who reads it says so and does not fall over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from drills.cli.drill_all_file import taken_up
from drills.cli.errors import CommandError
from drills.demo import phones
from drills.experiment import ExperimentError
from drills.lever import Lever
from drills.library import FOLDER, experiment_of
from drills.packets import read_wire
from drills.schedule.book import Book
from drills.schedule.errors import CalendarError
from drills.sealing import TamperedError, open_sealed, seal
from drills.shelf import Shelf
from loadtests.load import complaints, figures, telling
from loadtests.load.figures import LimitsError
from tests.drills.pieces import FILES, KEY, piece
from tests.drills.test_packets import CALLER, answer, audio, invite, pcap

PHONE = b'{"event": "call", "wall_ms": 1, "phone": "alba", "role": "caller", "how": "far_end"}'
ERROR = b'{"level": "error", "event": "task_failed", "fault": "OSError"}'
TALLY = (
    b'{"scenarios": {}, "evidence": {"tamper_found": true, "tampered": 1, "rto_error_ms":'
    b' {"max": null}}, "runs": []}'
)
CALENDAR = (
    b'{"v": 1, "entries": [{"name": "w", "drill": "site_killed", "rule": "0 3 * * *", "zone":'
    b' "UTC", "minutes": 60, "made_ms": 1}], "blackouts": []}'
)
OUTCOME = b'{"key": "w:1", "entry": "w", "at_ms": 1, "became": "held", "why": "the load"}\n'
LIMITS = b'[[limit]]\nfigure = "errors.unexplained"\nat_most = 0\n'


class Reading(Struct, frozen=True):
    """How something is read, of which what is sound, and what a reader may answer instead."""

    name: str
    read: Callable[[bytes, Path], object]
    sound: bytes
    errors: tuple[type[Exception], ...] = ()


def _of_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def through(content: bytes, folder: Path) -> object:
        (folder / name).write_bytes(content)
        return read(folder)

    return through


def _shelf(folder: Path) -> Shelf:
    """Return one whose evidence somebody signs, as before any drill."""
    shelf = Shelf(folder)
    shelf.ensure_key()
    return shelf


READINGS = (
    Reading(
        "experiment",
        _of_file("mine.toml", lambda folder: experiment_of(str(folder / "mine.toml")).plan_hash),
        (FOLDER / "site_killed.toml").read_bytes(),
        (ExperimentError,),
    ),
    Reading(
        "evidence",
        lambda content, _: open_sealed(content, FILES, None),
        seal(piece(), KEY),
        (TamperedError,),
    ),
    Reading(
        "capture",
        lambda content, _: read_wire(content, CALLER),
        pcap((0.5, invite("1", "a")), (0.7, answer("1", 200)), (0.8, audio())),
        (ValueError,),
    ),
    Reading(
        "sums",
        _of_file("all.json", lambda folder: taken_up(folder / "all.json", _shelf(folder), (), "")),
        TALLY,
        (CommandError,),
    ),
    Reading(
        "calendar",
        _of_file("calendar.json", lambda folder: Book(folder).read()),
        CALENDAR,
        (CalendarError,),
    ),
    Reading("outcomes", _of_file("calendar.log", lambda folder: Book(folder).outcomes()), OUTCOME),
    Reading("telephone", lambda content, _: phones.parse(content), PHONE),
    Reading("telephone of a load", lambda content, _: telling.hear(content), PHONE),
    Reading("log", lambda content, _: complaints.complaints({"edge": [content]}, ()), ERROR),
    Reading(
        "limits",
        lambda content, _: figures.read_limits(content.decode(errors="replace"), "x"),
        LIMITS,
        (LimitsError,),
    ),
)
WORDS = (b"nan", b"inf", b"-1", b"1e400", b"9" * 30, b"[", b"]", b'"', b"{", b"\xff", b"\0", b"\n")


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """Return something sound with a few places that are not."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(content)))
        more = draw(st.sampled_from(WORDS) | st.binary(max_size=8))
        content[at : at + draw(st.integers(0, 12))] = more
    return bytes(content)


@pytest.mark.parametrize("reading", READINGS, ids=lambda each: each.name)
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_what_is_damaged_is_read_or_refused(
    reading: Reading, tmp_path: Path, data: st.DataObject
) -> None:
    content = data.draw(damaged(reading.sound) | st.binary(max_size=200))
    with contextlib.suppress(*reading.errors):
        reading.read(content, tmp_path)


@pytest.mark.parametrize("reading", READINGS, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"x": ' + b"[" * 200_000,
        b'{"evidence": ' + b'{"a":' * 200_000,
        b"a = " + b"[" * 200_000,
        b'{"level": "error", "event": ' + b"[" * 200_000,
    ],
    ids=["nothing", "no UTF-8", "deep", "deep value", "deep evidence", "deep TOML", "deep log"],
)
def test_what_is_no_file_of_ours_at_all_is_refused(
    reading: Reading, tmp_path: Path, content: bytes
) -> None:
    if reading.errors:
        with pytest.raises(reading.errors):
            reading.read(content, tmp_path)
    else:
        reading.read(content, tmp_path)  # leaves out what is no line of its own


@pytest.mark.parametrize("reading", READINGS, ids=lambda each: each.name)
def test_what_is_sound_is_read(reading: Reading, tmp_path: Path) -> None:
    assert Lever(tmp_path).stopped_because() is None
    assert reading.read(reading.sound, tmp_path)
