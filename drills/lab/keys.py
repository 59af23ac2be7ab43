"""Makes the secrets that a lab's control planes share: new ones for every lab."""

from __future__ import annotations

import base64
import secrets

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from drills.lab.certs import write_secret
from drills.lab.site import Secrets


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
