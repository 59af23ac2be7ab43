"""A log made in memory: entries, checkpoints by site a, countersigned by site b; and attackers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.audit import note, tree
from control_plane.audit.entry import COLUMNS, leaf
from control_plane.audit.export import File, Kept
from control_plane.audit.note import Head

ORIGIN = "everline/audit"
PRIVATE = {site: Ed25519PrivateKey.from_private_bytes(site.encode() * 32) for site in "abz"}
KEYS = tuple(note.public_of(site, PRIVATE[site]) for site in "ab")
Row = dict[str, Any]


def row(number: int, **changes: Any) -> Row:  # noqa: ANN401 - columns
    """Return the columns of an entry."""
    made: Row = dict.fromkeys(COLUMNS, "") | {"at_ms": number, "thing": f"thing{number}"}
    return made | {"detail": "{}"} | changes


@dataclass
class Log:
    """What stands in the database, and what site b remembers elsewhere."""

    rows: list[Row]
    sizes: list[int]
    leaves: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: str = ""

    @classmethod
    def honest(cls, count: int, sizes: Sequence[int]) -> Log:
        """Seal at these sizes, each countersigned."""
        made = cls([row(number) for number in range(count)], list(sizes))
        made.rehash()
        made.notes = [made.signed(size, ("b",)) for size in made.sizes]
        made.seen = made.signed(made.sizes[-1], ("b",))
        return made

    def rehash(self) -> None:
        """Make the hashes anew, as whoever has the database can."""
        self.leaves = [tree.leaf_hash(leaf(each)) for each in self.rows]

    def signed(self, size: int, others: Sequence[str], by: str = "a") -> str:
        """Return a checkpoint over what stands here now."""
        root = tree.head(tree.of_leaves(self.leaves), size)
        head = Head(origin=ORIGIN, size=size, root=root)
        lines = "".join(note.countersign(head, each, PRIVATE[each], 1000) for each in others)
        return note.sign(head, by, PRIVATE[by]) + lines

    def sign_anew(self, by: str, others: Sequence[str]) -> None:
        """Sign as whoever has that site's key can: over all that stands here, at the same sizes."""
        sizes = sorted({min(size, len(self.rows)) for size in self.sizes} | {len(self.rows)})
        self.notes = [self.signed(size, others, by) for size in sizes if size]

    def file(self) -> File:
        """Return it as it would be exported."""
        kept = tuple(Kept(place=at, entry=each) for at, each in enumerate(self.rows))
        return File(
            origin=ORIGIN, entries=kept, leaves=tuple(self.leaves), checkpoints=tuple(self.notes)
        )

    def copy(self) -> Log:
        """Return another one."""
        return replace(
            self, rows=[dict(each) for each in self.rows], sizes=list(self.sizes),
            leaves=list(self.leaves), notes=list(self.notes),
        )  # fmt: skip


def edit(log: Log, at: int, _other: int) -> None:
    """Let somebody else have done it."""
    log.rows[at]["actor"] = "somebody else"


def delete(log: Log, at: int, _other: int) -> None:
    """Take one out."""
    del log.rows[at]


def swap(log: Log, at: int, other: int) -> None:
    """Let two change places."""
    log.rows[at], log.rows[other] = log.rows[other], log.rows[at]


def insert(log: Log, at: int, _other: int) -> None:
    """Put one in."""
    log.rows.insert(at, row(999))


def cut(log: Log, at: int, _other: int) -> None:
    """Take away all from there on, and the checkpoints that would tell."""
    del log.rows[at:], log.leaves[at:]
    log.notes = [text for text in log.notes if note.read_head(text).size <= at]


Change = Callable[[Log, int, int], None]
CHANGES: tuple[Change, ...] = (edit, delete, swap, insert, cut)


def leave(_log: Log) -> None:
    """Do no more than that."""


def rehash(log: Log) -> None:
    """Recompute all hashes."""
    log.rehash()


def forge(log: Log) -> None:
    """Recompute all hashes, and sign all checkpoints with a key of one's own."""
    log.rehash()
    log.sign_anew("z", ("z",))


def betray(log: Log) -> None:
    """Recompute all hashes, and sign all checkpoints with the stolen key of site a."""
    log.rehash()
    log.sign_anew("a", ("a",))


Cover = Callable[[Log], None]


def betray_late(log: Log) -> None:
    """Do as `betray`, and leave the checkpoints that still fit as they were countersigned."""
    log.rehash()
    node, old = tree.of_leaves(log.leaves), list(log.notes)
    log.sign_anew("a", ("a",))
    for text in old:
        head = note.read_head(text)
        if head.size <= len(log.rows) and tree.head(node, head.size) == head.root:
            log.notes = [each for each in log.notes if note.read_head(each).size != head.size]
            log.notes.append(text)


COVERS: tuple[Cover, ...] = (leave, rehash, forge, betray, betray_late)
