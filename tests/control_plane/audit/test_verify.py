"""Whoever edits, deletes, swaps, inserts or cuts is found, whatever they sign afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.audit import export, note, tree, verify
from control_plane.audit.errors import NoteError
from control_plane.audit.export import File, Kept
from control_plane.audit.verify import Fault, Result
from tests.control_plane.audit import made
from tests.control_plane.audit.made import CHANGES, COVERS, KEYS, Change, Cover, Log

FEW = settings(max_examples=20, deadline=None)


def checked(log: Log, *, seen: bool = True, witnesses: int = 1) -> Result:
    memory = [log.seen] if seen else []
    return verify.verify(log.file(), KEYS, seen=memory, witnesses=witnesses)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, int, int]:
    """Draw an honest log, and two places in it that differ."""
    count = draw(st.integers(2, 40))
    sizes = sorted(draw(st.sets(st.integers(1, count), max_size=5)) | {count})
    at, other = draw(st.permutations(range(count)))[:2]
    return Log.honest(count, sizes), at, other


@given(logs())
def test_what_was_written_is_found_good(drawn: tuple[Log, int, int]) -> None:
    log, _, _ = drawn
    result = checked(log)
    assert result.findings == ()
    assert (result.size, result.countersigned_by) == (len(log.rows), ("b",))


@pytest.mark.parametrize("cover", COVERS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
@FEW
@given(drawn=logs())
def test_any_change_is_found_whatever_is_signed_over_it(
    change: Change, cover: Cover, drawn: tuple[Log, int, int]
) -> None:
    honest, at, other = drawn
    log = honest.copy()
    change(log, at, other)
    cover(log)
    assert not checked(log).is_good


@pytest.mark.parametrize("change", CHANGES[:4], ids=lambda each: each.__name__)
@FEW
@given(drawn=logs())
def test_a_change_under_a_stolen_key_is_found_without_any_sites_memory(
    change: Change, drawn: tuple[Log, int, int]
) -> None:
    honest, at, other = drawn
    log = honest.copy()
    change(log, at, other)
    made.betray(log)
    assert not checked(log, seen=False).is_good


def test_an_edit_is_found_in_its_very_place() -> None:
    log = Log.honest(20, [5, 9, 20])
    made.edit(log, 7, 0)
    (finding,) = checked(log).findings
    assert (finding.fault, finding.first, finding.end) == (Fault.CHANGED, 7, 8)


def test_a_swap_says_what_stands_there_instead() -> None:
    log = Log.honest(20, [20])
    made.swap(log, 3, 11)
    first, second = checked(log).findings
    assert (first.first, second.first) == (3, 11)
    assert "place 11" in first.what
    assert "place 3" in second.what


def test_a_change_with_new_hashes_is_found_between_two_checkpoints() -> None:
    log = Log.honest(20, [5, 9, 20])
    made.edit(log, 7, 0)
    log.rehash()
    first, *_ = checked(log).findings
    assert (first.fault, first.first, first.end) == (Fault.CHANGED, 5, 9)


def test_a_row_that_was_deleted_leaves_its_place_empty() -> None:
    log = Log.honest(20, [20])
    kept = tuple(each for each in log.file().entries if each.place not in {4, 19})
    file = File(
        origin=made.ORIGIN, entries=kept, leaves=tuple(log.leaves), checkpoints=tuple(log.notes)
    )
    found = verify.verify(file, KEYS).findings
    assert [(each.fault, each.first) for each in found] == [
        (Fault.MISSING, 4), (Fault.MISSING, 19)
    ]  # fmt: skip


def test_a_cut_tail_is_found_by_what_another_site_remembers() -> None:
    log = Log.honest(20, [5, 9, 20])
    made.cut(log, 9, 0)
    assert checked(log, seen=False).is_good, "nobody can know of it from the log alone"
    (finding,) = checked(log).findings
    assert (finding.fault, finding.first, finding.end) == (Fault.CUT, 9, 20)


def test_entries_behind_the_last_checkpoint_are_told_of() -> None:
    log = Log.honest(20, [20])
    log.rows.append(made.row(20))
    log.rehash()
    (finding,) = checked(log, witnesses=0).findings
    assert (finding.fault, finding.first, finding.end) == (Fault.UNCOVERED, 20, 21)


def test_what_no_other_site_vouches_for_is_told_of() -> None:
    log = Log.honest(20, [5, 9, 20])
    made.edit(log, 12, 0)
    made.betray_late(log)
    (finding,) = checked(log, seen=False).findings
    assert (finding.fault, finding.first, finding.end) == (Fault.NOT_COUNTERSIGNED, 9, 20)


def test_a_site_is_no_witness_of_its_own() -> None:
    log = Log.honest(5, [5])
    log.notes = [log.signed(5, ("a",))]
    assert [each.fault for each in checked(log, seen=False).findings] == [Fault.NOT_COUNTERSIGNED]


# ---- a part of it, with proofs -------------------------------------------------------------------


def part(log: Log, *places: int) -> File:
    node, size = tree.of_leaves(log.leaves), len(log.rows)
    kept = tuple(
        Kept(place=at, entry=log.rows[at], proof=tuple(tree.inclusion(node, at, size)))
        for at in places
    )
    return File(origin=made.ORIGIN, entries=kept, leaves=(), checkpoints=tuple(log.notes[-1:]))


def test_a_part_of_the_log_proves_itself_from_a_file() -> None:
    log = Log.honest(300, [17, 300])
    file = part(log, 3, 256, 299)
    told = [export.entry_line(each.place, each.entry, each.proof) for each in file.entries]
    newest = export.checkpoint_line(file.checkpoints[0])
    read = export.read([export.head_line(made.ORIGIN), *told, newest])
    assert read == file
    assert verify.verify(read, KEYS).is_good
    log.rows[256]["thing"] = "another"
    found = verify.verify(part(log, 3, 256, 299), KEYS).findings
    assert [(each.fault, each.first) for each in found] == [(Fault.NO_PROOF, 256)]


@pytest.mark.parametrize("line", [b"{", b'{"place": 1}', b'{"everline_audit": 9}', b"[]"])
def test_a_file_that_is_none_is_told_by_its_line(line: bytes) -> None:
    with pytest.raises(NoteError, match="line 2"):
        export.read([export.head_line(made.ORIGIN), line])


# ---- mutants: each part of the check is needed ---------------------------------------------------


def _nothing(*_: object) -> None:
    """Check nothing."""


MUTANTS = {
    "places": (made.edit, made.leave),
    "checkpoints": (made.edit, made.rehash),
    "remembered": (made.cut, made.leave),
    "countersigned": (made.edit, made.betray),
}


@pytest.mark.parametrize("part_of_it", MUTANTS)
def test_each_part_of_the_check_finds_what_no_other_does(
    part_of_it: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, cover = MUTANTS[part_of_it]
    log = Log.honest(20, [5, 9, 20])
    change(log, 9, 0)
    cover(log)
    seen, witnesses = part_of_it == "remembered", int(part_of_it == "countersigned")
    assert not checked(log, seen=seen, witnesses=witnesses).is_good
    monkeypatch.setattr(verify._Check, part_of_it, _nothing)  # noqa: SLF001 - mutated
    assert checked(log, seen=seen, witnesses=witnesses).is_good


def test_a_signature_that_is_not_checked_lets_a_forger_by(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.honest(20, [20])
    made.edit(log, 7, 0)
    log.rehash()
    log.sign_anew("a", ("z",))
    log.notes = [text.replace("\u2014 z ", "\u2014 b ") for text in log.notes]
    assert not checked(log, seen=False).is_good
    key = note.SiteKey(site="b", public=note.public_of("z", made.PRIVATE["z"]).public)
    assert not verify.verify(log.file(), (*KEYS[:1], key)).is_good, "it is of another name"
    monkeypatch.setattr(
        note, "_vouched", lambda _head, key, _name, _raw: note.Vouched(site=key.site, at_s=None)
    )
    assert verify.verify(log.file(), KEYS, witnesses=0).is_good
