"""Makes the secrets of a lab, new ones for every lab: of its control planes and its recordings."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import keyfile, keyring
from custody.keyring import Keyring
from custody.providers import LocalFile
from drills.lab import recorders
from drills.lab.certs import write_secret
from drills.lab.paths import Secrets


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


def make_recording_keys(
    runs: Mapping[str, Path], tenants: Sequence[str], now_ms: int
) -> Mapping[str, bytes]:
    """Give each site (name -> run directory) a provider, a signing key and the recording keys.

    Return the public halves of the signing keys, by site.
    """
    signers = {}
    for site, run in runs.items():
        secret = keyfile.make(run / recorders.SIGNING)
        private = Ed25519PrivateKey.from_private_bytes(secret)
        signers[site] = private.public_key().public_bytes_raw()
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
    return signers
