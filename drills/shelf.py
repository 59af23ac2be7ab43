"""Where drills' evidence is kept, in the order in which it came: `.everline/drills`.

A folder a run: `evidence.json`, `callers.pcap`, `report.html`, `logs/`. The key that signs lies
beside them and is made when it is first needed; evidence is checked against its public half.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drills.evidence import FIRST, Evidence, TamperedError, hash_of, open_sealed, seal
from drills.setup.pyenv import ROOT

HOME = ROOT / ".everline" / "drills"
EVIDENCE, CAPTURE, PAGE = "evidence.json", "callers.pcap", "report.html"


class Shelf:
    """The runs that are kept in one folder."""

    def __init__(self, home: Path = HOME) -> None:
        self.home = home

    def runs(self) -> list[str]:
        """Return the names of the runs, the oldest first: names begin with the time."""
        return sorted(path.parent.name for path in self.home.glob(f"*/{EVIDENCE}"))

    def folder(self, run: str) -> Path:
        """Return a run's folder, which may not be there yet."""
        return self.home / run

    def last_hash(self) -> str:
        """Return the hash of the newest piece, or what stands for none."""
        runs = self.runs()
        return hash_of(self._content(runs[-1])) if runs else FIRST

    def put(self, evidence: Evidence, files: dict[str, bytes], page: str) -> Path:
        """Keep a piece and the files beside it; return its folder."""
        folder = self.folder(evidence.run)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / PAGE).write_text(page)
        (folder / EVIDENCE).write_bytes(seal(evidence, self._key()))
        return folder

    def read(self, run: str) -> Evidence:
        """Return a run's evidence, if it is what was written. TamperedError says what is not."""
        folder = self.folder(run)
        files = {
            path.name: path.read_bytes()
            for path in folder.iterdir()
            if path.is_file() and path.name not in {EVIDENCE, PAGE}
        }
        key = self._key().public_key().public_bytes_raw().hex()
        return open_sealed(self._content(run), files, key)

    def read_all(self) -> Iterator[Evidence]:
        """Yield every run's evidence, oldest first. TamperedError, also for one that is missing."""
        before = FIRST
        for run in self.runs():
            evidence = self.read(run)
            if evidence.previous != before:
                raise TamperedError(f"before {run} there was another piece, which is not here")
            before = hash_of(self._content(run))
            yield evidence

    def _content(self, run: str) -> bytes:
        return (self.folder(run) / EVIDENCE).read_bytes()

    def _key(self) -> Ed25519PrivateKey:
        path = self.home / "key"
        try:
            return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        except FileNotFoundError:
            key = Ed25519PrivateKey.generate()
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(key.private_bytes_raw())
            return key
