"""The key provider whose private keys never leave a PKCS#11 token (an HSM, or SoftHSM2).

Each generation is an RSA key pair in the token, not extractable. Needs the extra `hsm`
(`python-pkcs11`), which is imported only here and only when such a provider is configured.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from custody.errors import KeyFileError, NoKeyError, TamperedError
from custody.wrapping import Recipient, RsaRecipient, Wrapped, id_of, open_inner

if TYPE_CHECKING:
    import pkcs11

LABEL: Final = "everline recording keys"
BITS: Final = 3072


class Token:
    """A token with one key pair a generation, numbered by their CKA_ID."""

    def __init__(self, module: Path, token: str, pin: str) -> None:
        """Use the token of that label through the PKCS#11 library `module`."""
        self._pkcs11 = _library()
        self._pin = pin
        try:
            self._token = self._pkcs11.lib(str(module)).get_token(token_label=token)
        except (self._pkcs11.PKCS11Error, RuntimeError) as error:
            raise NoKeyError(f"no token {token!r} through {module}: {_said(error)}") from error
        self._lock = threading.Lock()
        """One session at a time: a token's objects are not safe to be used by two threads."""
        with self._session(write=True) as session:
            if not _generations(self._pkcs11, session):
                self._generate(session, 1)

    @classmethod
    def load(cls, module: Path, token: str, pin_file: Path) -> Token:
        """Open it with the PIN in a file. Raise `KeyFileError`, `NoKeyError`."""
        return cls(module, token, _pin(pin_file))

    def recipient(self) -> Recipient:
        """Return the newest generation's public half."""
        with self._session() as session:
            return self._recipient(session, _generations(self._pkcs11, session)[-1])

    async def unwrap(self, tenant: str, subject: str, wrapped: Wrapped) -> bytes:
        """Have the token decrypt it. Raise `TamperedError`."""
        return await asyncio.to_thread(self._unwrap, tenant, subject, wrapped)

    @property
    def is_rotating(self) -> bool:
        """Tell whether there is more than one generation."""
        with self._session() as session:
            return len(_generations(self._pkcs11, session)) > 1

    def begin_rotation(self) -> None:
        """Have the token make another key pair."""
        with self._session(write=True) as session:
            numbers = _generations(self._pkcs11, session)
            if len(numbers) == 1:
                self._generate(session, numbers[0] + 1)

    def end_rotation(self) -> None:
        """Have the token destroy all key pairs but the newest."""
        with self._session(write=True) as session:
            for number in _generations(self._pkcs11, session)[:-1]:
                for each in list(session.get_objects(self._named(number))):
                    each.destroy()

    def _unwrap(self, tenant: str, subject: str, wrapped: Wrapped) -> bytes:
        with self._session() as session:
            for number in reversed(_generations(self._pkcs11, session)):
                if id_of(self._recipient(session, number).text) == wrapped.under:
                    inner = self._decrypt(session, number, wrapped.sealed[: BITS // 8])
                    return open_inner(inner, tenant, subject, wrapped.sealed[BITS // 8 :])
        raise TamperedError("a key is wrapped under a generation that this token has not")

    def _decrypt(self, session: pkcs11.Session, number: int, sealed: bytes) -> bytes:
        p = self._pkcs11
        private = self._one(session, number, p.ObjectClass.PRIVATE_KEY)
        try:
            found: bytes = private.decrypt(
                sealed,
                mechanism=p.Mechanism.RSA_PKCS_OAEP,
                mechanism_param=(p.Mechanism.SHA_1, p.MGF.SHA1, None),
            )
        except p.PKCS11Error as error:
            raise TamperedError("a wrapped key does not open with this token") from error
        return found

    def _recipient(self, session: pkcs11.Session, number: int) -> RsaRecipient:
        from pkcs11.util.rsa import encode_rsa_public_key  # noqa: PLC0415 - the extra `hsm`

        public = self._one(session, number, self._pkcs11.ObjectClass.PUBLIC_KEY)
        return RsaRecipient(encode_rsa_public_key(public))

    def _generate(self, session: pkcs11.Session, number: int) -> None:
        session.generate_keypair(
            self._pkcs11.KeyType.RSA, BITS, id=number.to_bytes(4), label=LABEL, store=True
        )

    def _named(self, number: int) -> dict[Any, Any]:
        attribute = self._pkcs11.Attribute
        return {attribute.LABEL: LABEL, attribute.ID: number.to_bytes(4)}

    def _one(self, session: pkcs11.Session, number: int, kind: Any) -> Any:  # noqa: ANN401 - the library's
        asked = self._named(number) | {self._pkcs11.Attribute.CLASS: kind}
        return next(iter(list(session.get_objects(asked))))

    @contextmanager
    def _session(self, *, write: bool = False) -> Iterator[pkcs11.Session]:
        with self._lock:
            try:
                session = self._token.open(rw=write, user_pin=self._pin)
            except self._pkcs11.PKCS11Error as error:
                raise NoKeyError(f"the token does not open: {_said(error)}") from error
            with session:
                yield session


def _generations(library: Any, session: pkcs11.Session) -> list[int]:  # noqa: ANN401 - the module
    attribute, kind = library.Attribute, library.ObjectClass.PRIVATE_KEY
    found = list(session.get_objects({attribute.LABEL: LABEL, attribute.CLASS: kind}))
    return sorted(int.from_bytes(each[attribute.ID]) for each in found)


def _library() -> Any:  # noqa: ANN401 - a module
    try:
        import pkcs11  # noqa: PLC0415 - the extra `hsm`
    except ImportError as error:
        raise NoKeyError(
            "a PKCS#11 token needs python-pkcs11: pip install 'everline[hsm]'"
        ) from error
    return pkcs11


def _pin(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "r") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise KeyFileError(f"{path}: others may read it; chmod 600")
        return file.read(200).strip()


def _said(error: Exception) -> str:
    """Return what the library says; many of its errors are nothing but their name."""
    return str(error) or type(error).__name__
