"""The key that signs a folder's evidence, and its public half: the files `key` and `key.pub`.

Whoever adds the first piece makes both; whoever only reads makes neither, and needs the public half
alone. What is signed is not known here.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Struct

from custody.disk import write_whole
from drills.sealing import fingerprint

PRIVATE, PUBLIC = "key", "key.pub"
_DIGITS: Final = re.compile(r"[0-9a-fA-F]{64}")
_PRIVATE_SIZE: Final = 32
_READABLE: Final = 0o644


class SigningError(ValueError):
    """A key is not there, or is not what it should be; the text names it and the way out."""


class Whose(Struct, frozen=True, kw_only=True):
    """By which key evidence is checked, and where that was found."""

    public_key: str
    """64 hexadecimal digits, in small letters."""
    source: str
    """A file, or `--public-key`."""
    is_beside_it: bool
    """It was found beside the evidence: who could write that could write this, too."""

    def told(self) -> str:
        """Return it in words."""
        return f"key {self.public_key}, fingerprint {fingerprint(self.public_key)}, {self.source}"


def parse(text: str) -> str:
    """Return a public key's 64 digits, in small letters. ValueError: it is none.

    `text`: the digits, as `key.pub` has them, or PEM.
    """
    bare = text.strip()
    if _DIGITS.fullmatch(bare):
        return bare.lower()
    try:
        key = load_pem_public_key(bare.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no public key: neither 64 hexadecimal digits nor PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a public key of another kind than Ed25519")  # noqa: TRY004 - of its text
    return key.public_bytes_raw().hex()


def given(words: str) -> Whose:
    """Return the key that somebody has from elsewhere: a file's name, or the digits themselves.

    SigningError says what is wrong with it.
    """
    if _DIGITS.fullmatch(words.strip()):
        return Whose(public_key=parse(words), source="--public-key", is_beside_it=False)
    key = _public(Path(words))
    if key is None:
        raise SigningError(
            f"there is no file {words}: --public-key takes a file such as {PUBLIC}, or the 64"
            " hexadecimal digits in it"
        )
    return Whose(public_key=key, source=words, is_beside_it=False)


def beside(home: Path) -> Whose:
    """Return whose the evidence in a folder is, by the folder itself. SigningError: it is not said.

    Folders of earlier versions have the private half only.
    """
    public, private = _public(home / PUBLIC), _private(home / PRIVATE)
    own = None if private is None else private.public_key().public_bytes_raw().hex()
    if public is not None and own not in {None, public}:
        raise SigningError(_differ(home))
    if public is not None:
        return Whose(public_key=public, source=str(home / PUBLIC), is_beside_it=True)
    if own is not None:
        return Whose(public_key=own, source=str(home / PRIVATE), is_beside_it=True)
    raise SigningError(
        f"{home} has neither {PUBLIC} nor {PRIVATE}, so nobody knows whose evidence this is: copy"
        f" {PUBLIC} from where it was made, or give what you have from elsewhere by --public-key"
    )


def signer(home: Path, *, has_evidence: bool) -> Ed25519PrivateKey:
    """Return the key of a folder that evidence is added to; make it, with its public half.

    `has_evidence`: as it was before this call. SigningError: what is there was signed by a key that
    is not, so that this one's would never stand beside it. OSError: the disk does not take it.
    """
    # In this order: whoever makes a key at the same time writes the private half first.
    is_anothers = has_evidence or (home / PUBLIC).exists()
    path = home / PRIVATE
    if not path.exists():
        if is_anothers:
            raise SigningError(
                f"{home} is kept by a key that is not there ({path}), so nothing can be added to"
                " its chain: put the key back, or keep what is new in another folder (--keep)"
            )
        _make(path)
    key = _private(path)
    if key is None:
        raise SigningError(f"{path} may not be read: drill as whoever owns it, or --keep elsewhere")
    own = key.public_key().public_bytes_raw().hex()
    public = _public(home / PUBLIC)
    if public is None:
        write_whole(home / PUBLIC, f"{own}\n".encode(), mode=_READABLE)
    elif public != own:
        raise SigningError(_differ(home))
    return key


def _differ(home: Path) -> str:
    return (
        f"{home / PUBLIC} is not the public half of {home / PRIVATE}: one of them is not the one"
        " that was made here; put it back, or check against what you have from elsewhere by"
        " --public-key"
    )


def _public(path: Path) -> str | None:
    """Return the key in a file; None: there is no such file."""
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SigningError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        # What is no text is no key either.
        why = "no text" if isinstance(error, UnicodeDecodeError) else error
        raise SigningError(
            f"{path} holds {why}; put the right one there, or give another by --public-key"
        ) from error


def _private(path: Path) -> Ed25519PrivateKey | None:
    """Return the key in a file; None: it is not there, or not for us to read."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, PermissionError):
        return None
    if len(content) != _PRIVATE_SIZE:
        raise SigningError(
            f"{path} is no key: {len(content)} bytes in place of {_PRIVATE_SIZE}; put the right one"
            f" back, or take it away, if {PUBLIC} is there, to check only"
        )
    return Ed25519PrivateKey.from_private_bytes(content)


def _make(path: Path) -> None:
    """Make a key, whole; of two who do so at once, both go by the first one's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_whole(own, Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        with suppress(FileExistsError):
            path.hardlink_to(own)
    finally:
        own.unlink()
