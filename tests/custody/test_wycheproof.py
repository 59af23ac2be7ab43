"""The primitives under recordings, manifests and keys against the vectors of Project Wycheproof."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from custody.stream import KEY_BYTES

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "wycheproof.json").read_text())
ACCEPTABLE = "acceptable"
"""A library may take it, or refuse it."""


def wrong(name: str, tried: Callable[..., bool]) -> list[int]:
    """Return the vectors that are not as they have to be; `tried` gets hex as bytes."""
    found = []
    for number, *fields, result in VECTORS[name]:
        given = [bytes.fromhex(each) if isinstance(each, str) else each for each in fields]
        if result != ACCEPTABLE and tried(*given) is not (result == "valid"):
            found.append(number)
    return found


def test_frames_are_sealed_by_an_aead_that_takes_nothing_wrong() -> None:
    def opens(*given: bytes) -> bool:
        key, nonce, aad, message, sealed = given
        assert len(key) == KEY_BYTES
        try:
            return AESGCM(key).decrypt(nonce, sealed, aad) == message
        except (InvalidTag, ValueError):
            return False

    assert len(VECTORS["aes_gcm"]) == 66
    assert wrong("aes_gcm", opens) == []


def test_the_same_message_is_sealed_the_same() -> None:
    for number, *fields, result in VECTORS["aes_gcm"]:
        key, nonce, aad, message, sealed = map(bytes.fromhex, fields)
        if result == "valid":
            assert AESGCM(key).encrypt(nonce, message, aad) == sealed, number


def test_frame_keys_are_derived_as_rfc_5869_says() -> None:
    def derives(ikm: bytes, salt: bytes, info: bytes, size: int, okm: bytes) -> bool:
        try:
            return HKDF(SHA256(), size, salt, info).derive(ikm) == okm
        except ValueError:
            return False

    assert wrong("hkdf_sha256", derives) == []


def test_a_recording_key_that_would_make_every_secret_the_same_is_refused() -> None:
    def refuses_or_agrees(public: bytes, private: bytes, shared: bytes) -> bool:
        try:
            other = X25519PublicKey.from_public_bytes(public)
            made = X25519PrivateKey.from_private_bytes(private).exchange(other)
        except ValueError:
            return not any(shared)
        return made == shared and any(shared)

    lists = VECTORS["x25519"]
    assert sum(not any(bytes.fromhex(each[3])) for each in lists) > 20
    for number, *fields, _ in lists:
        assert refuses_or_agrees(*map(bytes.fromhex, fields)), number


def test_a_manifest_s_signature_is_taken_only_if_it_is_one() -> None:
    def holds(public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    assert len(VECTORS["ed25519"]) > 100
    assert wrong("ed25519", holds) == []
