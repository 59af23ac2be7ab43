"""By which key `./everline drill` checks evidence, and signs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import cyclopts

from drills import signing
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.shelf import PIECE_BYTES, Shelf
from drills.signing import PUBLIC, SigningError, Whose

PublicKey = Annotated[
    str,
    cyclopts.Parameter(
        help="Check by this key, which you have from elsewhere: a file such as key.pub, or its"
        " digits. Default: the folder's own."
    ),
]
LastHash = Annotated[
    str,
    cyclopts.Parameter(
        help="--verify, and that the chain comes to this piece, or past it: the last one's hash,"
        " which you have kept elsewhere."
    ),
]
_HASH = re.compile(r"[0-9a-f]{64}")


def shelf_to_check(keep: Path, public_key: str) -> tuple[Shelf, Whose]:
    """Return a folder's runs, and by which key they are checked. CommandError: by none."""
    try:
        given = signing.given(public_key) if public_key else None
    except SigningError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    shelf = Shelf(keep, given)
    return shelf, checked_by(shelf)


def checked_by(shelf: Shelf) -> Whose:
    """Return by which key evidence is checked. CommandError: nobody has said."""
    try:
        return shelf.whose()
    except SigningError as error:
        raise CommandError(str(error)) from error


def hash_in(words: str) -> str:
    """Return the hash that somebody has kept, or nothing. CommandError: it is none."""
    bare = words.strip().lower()
    if bare and not _HASH.fullmatch(bare):
        raise CommandError(
            f"--last-hash takes all 64 hexadecimal digits of a piece's hash, not {words!r}",
            Exit.USAGE,
        )
    return bare


def see_that_it_signs(shelf: Shelf) -> None:
    """See that evidence can be added, before anything is broken for it. CommandError: it cannot."""
    try:
        shelf.ensure_key()
        has_room = shelf.has_room()
    except SigningError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{shelf.home} takes no evidence: {error.strerror}") from error
    if not has_room:
        raise CommandError(
            f"{shelf.home} takes no evidence: its disk has less than {PIECE_BYTES >> 20} MiB of"
            " room. Make some, or --keep elsewhere"
        )


def tell_key(whose: Whose) -> None:
    """Print by which key evidence was checked, and how far that goes."""
    _say(f"checked by {whose.told()}")
    if whose.is_beside_it:
        _say(
            "That lies beside the evidence, and who could write there could sign all of it anew:"
            f" --public-key checks by a copy of {PUBLIC} that you have from elsewhere."
        )


def tell_head(shelf: Shelf) -> None:
    """Print the hash of the chain's newest piece, to be kept elsewhere."""
    head = shelf.head()
    if head.run:
        _say(f"last hash of the chain ({head.run}):")
        _say(f"  {head.hash}")


def _say(text: str) -> None:
    # Names of files are no markup, and what is to be copied stays on one line.
    console().print(text, markup=False, highlight=False, soft_wrap=True)
