"""PURE. Says whether a log is the one that was written, and if not, where.

What is believed are the sites' public keys, and nothing of the log itself: whoever has the database
can write any entry, hash and tile. Every checkpoint that a site has signed has to follow from the
entries; the newest has to be countersigned by other sites; and what a site remembers has to be in
it. An entry that was changed, taken away, moved or put in shows at the first checkpoint behind it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from control_plane.audit import note as notes
from control_plane.audit import tree
from control_plane.audit.entry import leaf
from control_plane.audit.errors import NoteError
from control_plane.audit.export import File, Kept
from control_plane.audit.note import Checkpoint, SiteKey

MOST: Final = 100
"""Faults that are told."""
_NOBODYS: Final = bytes(tree.HASH_BYTES)


class Fault(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """No entry stands in a place."""
    TWICE = "twice"
    """Two entries claim one place."""
    CHANGED = "changed"
    """The entries up to a checkpoint are not those that were signed."""
    CUT = "cut"
    """A site has seen more entries than there are."""
    UNSIGNED = "unsigned"
    """No site of ours has signed a checkpoint."""
    NOT_COUNTERSIGNED = "not_countersigned"
    """Too few other sites vouch for these entries."""
    UNCOVERED = "uncovered"
    """Entries stand behind the newest checkpoint."""
    NO_PROOF = "no_proof"
    """An entry's proof does not lead to the checkpoint."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong: it is among the entries from `first` up to, without, `end`."""

    fault: Fault
    first: int
    end: int
    what: str


class Result(Struct, frozen=True, kw_only=True):
    """What there is to say of a log."""

    origin: str
    is_whole: bool
    """Whether all entries were there to check, or some with proofs."""
    entries: int
    size: int
    """Of the newest checkpoint that holds."""
    countersigned_size: int
    """Up to here another site vouches for it."""
    countersigned_by: tuple[str, ...]
    countersigned_s: int | None
    """When it was said last, in seconds since 1970: that nothing behind it was cut off is not said
    by anybody later."""
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    file: File, keys: Iterable[SiteKey], *, seen: Iterable[str] = (), witnesses: int = 1
) -> Result:
    """Check a log.

    `seen`: checkpoints that sites remember; `witnesses`: so many other sites have to vouch for it.
    """
    check = _Check(file, tuple(keys))
    if file.is_whole:
        check.places()
        check.checkpoints()
        check.remembered(seen)
    else:
        check.proofs()
    check.countersigned(witnesses)
    return check.result()


class _Check:
    """One check of one file."""

    def __init__(self, file: File, keys: tuple[SiteKey, ...]) -> None:
        self._file = file
        self._keys = keys
        self._entries = sorted(file.entries, key=lambda each: each.place)
        self._own = [tree.leaf_hash(leaf(each.entry)) for each in self._entries]
        self._leaves = self._joined()
        """By place: the hash that the log has kept, else that of the entry itself."""
        self._node = tree.of_leaves(self._leaves)
        self._findings: list[Finding] = []
        self._good: list[Checkpoint] = []
        """Checkpoints that hold, the longest last."""

    def _joined(self) -> list[bytes]:
        if not self._file.is_whole:
            return []
        kept = list(self._file.leaves)
        last = self._entries[-1].place if self._entries else -1
        kept += [_NOBODYS] * (last + 1 - len(kept))
        for each, own in zip(self._entries, self._own, strict=True):
            if each.place >= len(self._file.leaves):
                kept[each.place] = own
        return kept

    def places(self) -> None:
        """Hold every entry against the hash that was kept: each place has one."""
        before = -1
        for each, own in zip(self._entries, self._own, strict=True):
            if each.place == before:
                self._say(Fault.TWICE, before, before + 1, "two entries stand in one place")
                continue
            self._gap(before + 1, each.place)
            before = each.place
            if own != self._leaves[each.place]:
                self._say(Fault.CHANGED, before, before + 1, self._instead(own))
        self._gap(before + 1, len(self._leaves))

    def _gap(self, first: int, end: int) -> None:
        if first < end:
            self._say(Fault.MISSING, first, end, "entries are missing")

    def _instead(self, own: bytes) -> str:
        """Return what is told of an entry that is not the one that was kept."""
        if own in self._leaves:
            return f"here stands the entry of place {self._leaves.index(own)}"
        return "the entry is not the one that was written"

    def checkpoints(self) -> None:
        """Hold every signed checkpoint against the entries."""
        signed = sorted(self._signed(self._file.checkpoints), key=lambda each: each.head.size)
        good, broken = 0, False
        for each in signed:
            size = each.head.size
            if size > len(self._leaves):
                what = f"{len(self._leaves)} entries are there, and {size} were signed"
                self._say(Fault.CUT, len(self._leaves), size, what)
                break
            if self._root(size) == each.head.root:
                good = size
                self._good.append(each)
            elif not broken:
                broken = True
                what = f"entries {good} to {size - 1} are not those that {each.by} has signed"
                self._say(Fault.CHANGED, good, size, what)
        covered = max((each.head.size for each in signed), default=0)
        if covered < len(self._leaves):
            what = f"no checkpoint covers the entries from {covered} on"
            self._say(Fault.UNCOVERED, covered, len(self._leaves), what)

    def remembered(self, seen: Iterable[str]) -> None:
        """Hold what sites have seen against what there is."""
        for each in self._signed(seen, is_memory=True):
            head, sites = each.head, ", ".join(sorted({one.site for one in each.vouched}))
            if head.size > len(self._leaves):
                what = f"{sites} has seen {head.size} entries; {len(self._leaves)} are there"
                self._say(Fault.CUT, len(self._leaves), head.size, what)
            elif self._root(head.size) != head.root:
                good = [one.head.size for one in self._good]
                first = good[at - 1] if (at := bisect_right(good, head.size - 1)) else 0
                what = f"the first {head.size} entries are not those that {sites} has seen"
                self._say(Fault.CHANGED, first, head.size, what)

    def proofs(self) -> None:
        """Follow each entry's proof to the newest checkpoint."""
        self._good = self._signed(self._file.checkpoints)[-1:]
        for each, leaf_ in zip(self._entries, self._own, strict=True):
            if not self._good or not self._proves(each, leaf_, self._good[0]):
                what = f"the entry in place {each.place} is not the one that was signed"
                self._say(Fault.NO_PROOF, each.place, each.place + 1, what)

    def _proves(self, each: Kept, leaf_: bytes, newest: Checkpoint) -> bool:
        size = newest.head.size
        root = tree.root_of_inclusion(leaf_, each.place, size, each.proof or ())
        return each.proof is not None and root == newest.head.root

    def countersigned(self, witnesses: int) -> None:
        """Ask for a checkpoint that holds and that enough other sites vouch for."""
        if not witnesses or not (self._leaves or self._entries or self._file.checkpoints):
            return
        sizes = [each.head.size for each in self._good if len(each.countersigned) >= witnesses]
        vouched = max(sizes, default=0)
        end = len(self._leaves) if self._file.is_whole else vouched + (not vouched)
        if vouched < end:
            what = f"no {witnesses} other site(s) vouch for the entries from {vouched} on"
            self._say(Fault.NOT_COUNTERSIGNED, vouched, end, what)

    def result(self) -> Result:
        """Return what was found."""
        best = max(
            (each for each in self._good if each.countersigned),
            key=lambda each: each.head.size,
            default=None,
        )
        at_s = [each.at_s for each in best.vouched if each.at_s is not None] if best else []
        return Result(
            origin=self._file.origin,
            is_whole=self._file.is_whole,
            entries=len(self._entries),
            size=self._good[-1].head.size if self._good else 0,
            countersigned_size=best.head.size if best else 0,
            countersigned_by=tuple(sorted(best.countersigned)) if best else (),
            countersigned_s=max(at_s, default=None),
            findings=tuple(self._findings[:MOST]),
        )

    def _signed(self, texts: Iterable[str], *, is_memory: bool = False) -> list[Checkpoint]:
        """Return the checkpoints that a known site has signed; say which are not."""
        found = []
        for text in texts:
            try:
                each = notes.read(text, self._keys)
            except NoteError as error:
                self._say(Fault.UNSIGNED, 0, 0, f"a checkpoint that is none: {error}")
                continue
            if each.head.origin != self._file.origin or not (
                each.vouched if is_memory else each.by
            ):
                what = f"the checkpoint of {each.head.size} entries is signed by no site of ours"
                self._say(Fault.UNSIGNED, 0, each.head.size, what)
            else:
                found.append(each)
        return found

    def _root(self, size: int) -> bytes:
        return tree.head(self._node, size)

    def _say(self, fault: Fault, first: int, end: int, what: str) -> None:
        self._findings.append(Finding(fault=fault, first=first, end=end, what=what))


def in_words(result: Result) -> Sequence[str]:
    """Return the result as lines for people."""
    kind = "the whole log" if result.is_whole else "a part of it, with proofs"
    lines = [f"{result.origin}: {result.entries} entries, {kind}"]
    if result.countersigned_by:
        by = ", ".join(result.countersigned_by)
        lines.append(f"countersigned by {by} up to {result.countersigned_size} entries")
    lines += [
        f"{each.fault}: entries {each.first} to {each.end - 1}: {each.what}"
        if each.end > each.first
        else f"{each.fault}: {each.what}"
        for each in result.findings
    ]
    lines.append("nothing is wrong" if result.is_good else f"{len(result.findings)} faults")
    return lines
