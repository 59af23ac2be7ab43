"""Where drills' evidence is kept, in the order in which it came: `.everline/drills`.

A folder a run: `evidence.json`, `callers.pcap`, `agents.pcap`, `report.html`, `report.pdf`,
`logs/`. One more that has `begun.json` alone, from before its first fault: both are pieces of one
chain. The key that signs lies beside them and is made when the first piece is added; evidence is
checked against its public half, or against one that somebody has from elsewhere, and then nothing
is written.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import random
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from custody.disk import write_whole
from drills import signing
from drills.begun import Begun
from drills.evidence import Evidence
from drills.lever import HOME
from drills.sealing import (
    FIRST,
    TamperedError,
    hash_of,
    open_alone,
    open_begun,
    open_sealed,
    seal,
    seal_begun,
)
from drills.signing import SigningError, Whose

__all__ = [
    "AGENTS_CAPTURE",
    "CAPTURE",
    "EVIDENCE",
    "HOME",
    "PAGE",
    "PRINT",
    "Head",
    "NotKeptError",
    "Shelf",
    "Trial",
    "run_name",
    "tamper",
]
BEGUN: Final = "begun.json"
EVIDENCE, PAGE, PRINT = "evidence.json", "report.html", "report.pdf"
CAPTURE, AGENTS_CAPTURE = "callers.pcap", "agents.pcap"
_MADE_OF_IT: Final = frozenset({EVIDENCE, PAGE, PRINT})
"""Not among the files whose hashes it has: the sealed file itself, its page, whose hash it has
apart, and the print of that."""


TRIALS_A_RUN = 20
PIECE_BYTES: Final = 64 << 20
"""No piece has needed as much, with its capture and logs."""
_AT_WORK: Final = "at-work-"
_ADDING: Final = "adding"
_STAMP: Final = "%Y%m%d-%H%M%S"


def run_name(drill: str, last: str = "") -> str:
    """Return the name of a run of a drill that is kept now, after `last`: names are in order."""
    at = dt.datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), dt.UTC)
    with suppress(ValueError):
        before = dt.datetime.strptime(last[: len("YYYYmmdd-HHMMSS")], _STAMP).replace(tzinfo=dt.UTC)
        at = max(at, before + dt.timedelta(seconds=1))
    return f"{at:{_STAMP}}-{drill}"


class NotKeptError(OSError):
    """The disk does not take a piece of evidence. The text says which, where and why."""

    def __init__(self, run: str, home: Path, error: OSError) -> None:
        super().__init__(
            f"the evidence of {run} could not be kept in {home}: {error.strerror or error}"
        )


class Head(Struct, frozen=True, kw_only=True):
    """The newest piece of the chain: what to keep elsewhere, since it vouches for all before it."""

    run: str = ""
    """Empty: there is none."""
    hash: str = FIRST


class Shelf:
    """The runs that are kept in one folder."""

    def __init__(self, home: Path = HOME, given: Whose | None = None) -> None:
        """`given`: by which key evidence is checked; None: by the folder's own."""
        self.home = home
        self._given = given

    def runs(self, drill: str = "") -> list[str]:
        """Return the names of the runs, or of one drill's, the oldest first.

        Names begin with the time, and end with the drill.
        """
        kept = f"*-{drill}/{EVIDENCE}" if drill else f"*/{EVIDENCE}"
        return sorted(path.parent.name for path in self.home.glob(kept))

    def pieces(self) -> list[str]:
        """Return the names of all pieces of the chain: the runs, and what was begun."""
        found = (path.parent.name for path in self.home.glob(f"*/{BEGUN}"))
        return sorted({*self.runs(), *found})

    def folder(self, run: str) -> Path:
        """Return a run's folder, which may not be there yet."""
        return self.home / run

    def begin_work(self) -> Path:
        """Return a folder for the logs of a drill that goes on, which outlives its lab."""
        return Path(tempfile.mkdtemp(prefix=_AT_WORK, dir=self.home))

    def clear_away(self) -> None:
        """Delete what drills left at their work that were killed; while nobody else drills here."""
        for folder in self.home.glob(f"{_AT_WORK}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def head(self) -> Head:
        """Return the newest piece, unchecked."""
        pieces = self.pieces()
        return Head(run=pieces[-1], hash=self.hash_of(pieces[-1])) if pieces else Head()

    def last_hash(self) -> str:
        """Return the hash of the newest piece, or what stands for none."""
        return self.head().hash

    def hash_of(self, run: str) -> str:
        """Return the hash by which the next piece names a run's, or what was begun."""
        return hash_of(self._content(run))

    @contextmanager
    def adding(self, drill: str) -> Iterator[tuple[str, str]]:
        """Be the one who adds a piece until the block ends: its name, and the hash before it.

        Labs that stand side by side keep what they bring in one chain.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.home / _ADDING).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            pieces = self.pieces()
            yield run_name(drill, pieces[-1] if pieces else ""), self.last_hash()

    def put(self, evidence: Evidence, files: dict[str, bytes], page: str) -> Path:
        """Keep a piece, the files beside it and its page, whose hash it gets; return its folder.

        Others see it, and a crash leaves it, as a whole or not at all. SigningError: this folder's
        key is not here. NotKeptError: the disk.
        """
        key = self._signer()
        folder = self.folder(evidence.run)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in files.items():
                write_whole(folder / name, content)
            written = page.encode()
            (folder / PAGE).write_bytes(written)
            whole = msgspec.structs.replace(evidence, page=hash_of(written))
            write_whole(folder / EVIDENCE, seal(whole, key))
        except OSError as error:
            if not (folder / EVIDENCE).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise NotKeptError(evidence.run, self.home, error) from error
        return folder

    def put_begun(self, begun: Begun) -> None:
        """Keep that a drill was begun. SigningError, NotKeptError as for `put`."""
        key, folder = self._signer(), self.folder(begun.run)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(folder / BEGUN, seal_begun(begun, key))
        except OSError as error:
            if not (folder / BEGUN).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise NotKeptError(begun.run, self.home, error) from error

    def unended(self, since: str = "") -> tuple[Begun, ...]:
        """Return what was begun after a piece and has no end here, as far as it stands.

        What runs just now is among it.
        """
        begun = [each for each in self._begun() if each > since]
        if not begun:
            return ()
        ends = {each.begun for each in self._believed(run for run in self.runs() if run > begun[0])}
        found = []
        for run in begun:
            with suppress(TamperedError, OSError):
                if self.hash_of(run) not in ends:
                    found.append(self._read_begun(run))
        return tuple(found)

    def _believed(self, runs: Iterable[str]) -> Iterator[Evidence]:
        for run in runs:
            with suppress(TamperedError, OSError):
                yield self.peek(run)

    def _begun(self) -> list[str]:
        return sorted({*self.pieces()} - {*self.runs()})

    def _read_begun(self, run: str) -> Begun:
        begun = open_begun(self._content(run), self.public_key())
        if begun.run != run:
            raise TamperedError(f"it tells of {begun.run}, and not of {run}")
        return begun

    def read(self, run: str) -> Evidence:
        """Return a run's evidence, if it is what was written. TamperedError says what is not."""
        content, files = self.content(run)
        evidence = _of(run, open_sealed(content, files, self.public_key()))
        page = self.folder(run) / PAGE
        # One that was taken away misleads nobody, and can be made anew.
        if evidence.page and page.exists() and hash_of(page.read_bytes()) != evidence.page:
            raise TamperedError(
                f"{PAGE} is not the page that was made of it: take that away, and --pdf FILE makes"
                " one anew"
            )
        return evidence

    def peek(self, run: str) -> Evidence:
        """Return a run's evidence, if it is what was written, whatever lies beside it."""
        return _of(run, open_alone(self._content(run), self.public_key()))

    def content(self, run: str) -> tuple[bytes, dict[str, bytes]]:
        """Return the bytes of a run's evidence, and of the files that lie beside it."""
        files = {
            path.name: path.read_bytes()
            for path in self.folder(run).iterdir()
            if path.is_file() and path.name not in _MADE_OF_IT
        }
        return self._content(run), files

    def whose(self) -> Whose:
        """Return by which key evidence is checked. SigningError: nobody has said. Makes none."""
        return self._given or signing.beside(self.home)

    def public_key(self) -> str:
        """Return whose evidence this is. SigningError: nobody has said."""
        return self.whose().public_key

    def ensure_key(self) -> None:
        """See that evidence can be added: the key is here, or is made now, with its public half.

        SigningError: it is not, and what is here was signed by it. OSError: the disk.
        """
        self._signer()

    def has_room(self) -> bool:
        """Tell whether the disk takes one more piece, as far as that can be known before.

        OSError: it takes nothing. A key that is here says nothing of whether it does.
        """
        (self.home / _ADDING).open("a").close()
        return shutil.disk_usage(self.home).free >= PIECE_BYTES

    def read_all(self) -> Iterator[Evidence]:
        """Yield every run's evidence, oldest first. TamperedError, also for one that is missing."""
        yield from (each for each, _ in self._chain() if isinstance(each, Evidence))

    def verify(self, last_hash: str = "") -> int:
        """Check every piece, every file and the chain; return how many pieces of evidence it has.

        `last_hash`: of what was the newest piece once, by whoever has kept it elsewhere: the chain
        has to come to it. TamperedError says what does not stand, or what is missing.
        """
        count, head, has_come = 0, Head(), last_hash in {"", FIRST}
        for piece, head in self._chain():
            count += isinstance(piece, Evidence)
            has_come = has_come or head.hash == last_hash
        if not has_come:
            newest = f"the newest here is {head.run} ({head.hash})" if head.run else "none is here"
            raise TamperedError(
                f"the piece with the hash {last_hash} is missing: it was the last once, and"
                f" {newest}; it has been taken away with all between, or is of another folder"
            )
        return count

    def _chain(self) -> Iterator[tuple[Evidence | Begun, Head]]:
        """Yield what stands, oldest first, each as the newest so far."""
        before, begun = FIRST, {*self._begun()}
        for run in self.pieces():
            try:
                piece = self._read_begun(run) if run in begun else self.read(run)
            except TamperedError as error:
                raise TamperedError(f"{run}: {error}") from error
            if piece.previous != before:
                raise TamperedError(f"before {run} there was another piece, which is not here")
            before = self.hash_of(run)
            yield piece, Head(run=run, hash=before)

    def _content(self, run: str) -> bytes:
        folder = self.folder(run)
        is_begun = (folder / BEGUN).exists() and not (folder / EVIDENCE).exists()
        return (folder / (BEGUN if is_begun else EVIDENCE)).read_bytes()

    def _signer(self) -> Ed25519PrivateKey:
        return signing.signer(self.home, has_evidence=bool(self.pieces()))


def _of(run: str, evidence: Evidence) -> Evidence:
    """Return evidence if it is of a run. TamperedError: another's lies in its folder."""
    if evidence.run != run:
        raise TamperedError(f"it is the evidence of {evidence.run}, and not of {run}")
    return evidence


class Trial(NamedTuple):
    """What became of bytes that were changed in copies of evidence."""

    tried: int
    """How many were changed."""
    found: int
    """How many of these were noticed."""
    fallen: Mapping[str, str]
    """Runs in which none could be, as their evidence does not stand itself, and why."""


def tamper(shelf: Shelf, runs: Iterable[str]) -> Trial:
    """Change single bytes in copies of evidence that stands, and see whether that is found."""
    tried = found = 0
    fallen: dict[str, str] = {}
    chance = random.Random("tamper")  # noqa: S311 - to be repeated
    try:
        key = shelf.public_key()
    except SigningError as error:
        return Trial(0, 0, dict.fromkeys(runs, str(error)))
    for run in runs:
        try:
            sealed = shelf.read(run)
            content, beside_it = shelf.content(run)
        except FileNotFoundError:
            fallen[run] = "it is not here"
            continue
        except (TamperedError, OSError) as error:
            fallen[run] = str(error)
            continue
        # Whoever has put something else there has changed nothing that was kept.
        files = {name: beside_it[name] for name in sealed.files if beside_it[name]}
        for _ in range(TRIALS_A_RUN):
            changed, beside = bytearray(content), dict(beside_it)
            target = chance.choice(["", *files])
            if target:
                other = bytearray(files[target])
                other[chance.randrange(len(other))] ^= chance.randrange(1, 256)
                beside[target] = bytes(other)
            else:
                changed[chance.randrange(len(changed))] ^= chance.randrange(1, 256)
            tried += 1
            try:
                open_sealed(bytes(changed), beside, key)
            except TamperedError:
                found += 1
    return Trial(tried, found, fallen)
