"""Checkpoints as C2SP writes them: read as signed, and not a letter otherwise."""

from __future__ import annotations

import base64

import pytest

from control_plane.audit import note
from control_plane.audit.errors import NoteError
from control_plane.audit.note import Head, SiteKey
from tests.control_plane.audit.made import KEYS, ORIGIN, PRIVATE

HEAD = Head(origin=ORIGIN, size=4711, root=bytes(range(32)))
SIGNED = note.sign(HEAD, "a", PRIVATE["a"])
BOTH = SIGNED + note.countersign(HEAD, "b", PRIVATE["b"], 1_234_567)


def test_the_hash_of_a_key_is_that_of_gos_own_example() -> None:
    """The key of golang.org/x/mod/sumdb/note's documentation, whose format C2SP took over."""
    name, hint, key = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    raw = base64.b64decode(key)
    assert SiteKey(site=name, public=raw[1:]).hint(name, raw[0]).hex() == hint


def test_a_checkpoint_says_who_appended_and_who_vouches_since_when() -> None:
    read = note.read(BOTH, KEYS)
    assert (read.head, read.by, read.countersigned) == (HEAD, "a", frozenset("b"))
    assert [each.at_s for each in read.vouched] == [None, 1_234_567]


def test_a_checkpoint_is_three_lines_and_signatures_by_name() -> None:
    lines = BOTH.split("\n")
    assert lines[:4] == [ORIGIN, "4711", base64.b64encode(HEAD.root).decode(), ""]
    assert [each.rpartition(" ")[0] for each in lines[4:6]] == [f"\u2014 {ORIGIN}", "\u2014 b"]


@pytest.mark.parametrize("at", range(0, len(BOTH), 3))
def test_no_letter_of_it_can_be_another_one(at: int) -> None:
    other = "B" if BOTH[at] != "B" else "C"
    changed = BOTH[:at] + other + BOTH[at + 1 :]
    try:
        read = note.read(changed, KEYS)
    except NoteError:
        return
    assert len(read.vouched) < 2 or read.head == HEAD
    assert len(read.vouched) < 2


def test_a_cosignature_is_no_signature_of_whoever_appended_nor_the_other_way_round() -> None:
    line = note.countersign(HEAD, "a", PRIVATE["a"], 1)
    read = note.read(f"{HEAD.body}\n{line}", KEYS)
    assert (read.by, read.countersigned) == ("", frozenset("a"))
    renamed = line.replace("\u2014 a ", f"\u2014 {ORIGIN} ")
    assert note.read(f"{HEAD.body}\n{renamed}", KEYS).vouched == ()


def test_signatures_of_strangers_are_left_out() -> None:
    stranger = note.countersign(HEAD, "z", PRIVATE["z"], 1)
    assert note.read(SIGNED + stranger, KEYS) == note.read(SIGNED, KEYS)


@pytest.mark.parametrize("key", KEYS, ids=lambda each: each.site)
def test_a_key_is_read_as_it_was_written(key: SiteKey) -> None:
    assert note.read_key(key.text) == key


@pytest.mark.parametrize(
    "text", ["", "a", "a++", KEYS[0].text[:-1], KEYS[0].text.replace("a+", "b+", 1), "a+00+!"]
)
def test_a_key_that_was_mistyped_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        note.read_key(text)
