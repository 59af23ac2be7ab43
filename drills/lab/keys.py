"""Makes the secrets of a lab, new ones for every lab: of its control planes and its recordings."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.audit.note import public_of
from custody import keyfile, keyring
from custody.keyring import Keyring
from custody.providers import LocalFile
from drills.lab import recorders
from drills.lab.certs import write_secret
from drills.lab.control_plane import AUDIT_KEY
from drills.lab.paths import Secrets
from drills.lab.recorders import Trusted


def make_secrets(made: Secrets) -> None:
    """Write them into a folder of their own (created, 0700), for its owner alone."""
    made.signing_key.parent.mkdir(mode=0o700)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_secret(made.signing_key, pem)
    write_secret(made.customer_keys, base64.b64encode(secrets.token_bytes(32)) + b"\n")
    write_secret(made.first_password, secrets.token_urlsafe(18).encode() + b"\n")
    write_secret(made.phone_secrets, secrets.token_urlsafe(32).encode() + b"\n")


def make_audit_keys(runs: Mapping[str, Path]) -> tuple[str, ...]:
    """Give each site (name -> run directory) its key of the audit log; return the public ones."""
    made = []
    for site, run in runs.items():
        private = Ed25519PrivateKey.from_private_bytes(keyfile.make(run / AUDIT_KEY))
        made.append(public_of(site, private).text)
    return tuple(made)


def make_recording_keys(runs: Mapping[str, Path], tenants: Sequence[str], now_ms: int) -> Trusted:
    """Give each site (name -> run directory) a provider, signing keys and the recording keys.

    Those of further tenants, and of customers, are made by the control planes.
    """
    signers = {site: _signing_key(run / recorders.SIGNING) for site, run in runs.items()}
    keepers = {site: _signing_key(run / recorders.KEEPING) for site, run in runs.items()}
    providers = {
        site: LocalFile(keyfile.make(run / recorders.PROVIDER)) for site, run in runs.items()
    }
    if len(providers) < keyring.FEWEST:
        # A lab of one site: somebody elsewhere has the other, and nobody here.
        providers["elsewhere"] = LocalFile(secrets.token_bytes(keyfile.SECRET_BYTES))
    for tenant in tenants:
        key = keyring.make(tenant, keyring.recipients(providers), now_ms)
        for run in runs.values():
            Keyring(recorders.keyring_of(run)).add(key)
    others = {name: each for name, each in providers.items() if name not in runs}
    texts = {name: each.text for name, each in keyring.recipients(others).items()}
    return Trusted(recorders=signers, keepers=keepers, recipients=texts)


def _signing_key(path: Path) -> bytes:
    """Make one; return its public half."""
    private = Ed25519PrivateKey.from_private_bytes(keyfile.make(path))
    return private.public_key().public_bytes_raw()
