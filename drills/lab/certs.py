"""Certificates of a lab: one authority, and a certificate for each member and client of etcd.

Keys are EC P-256, live as long as the lab's run directory, and are readable by their owner alone.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from drills.lab.process import Identity

LIFETIME = dt.timedelta(days=14)
_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
"""What an authority's key is for; strict readers (Python 3.13) want it said."""
EARLIER = dt.timedelta(hours=1)
"""Valid from a little before now, for readers whose clocks are behind."""


class Authority(Struct, frozen=True, kw_only=True):
    """A certificate authority that exists in this process only: its key is never written."""

    directory: Path
    now: dt.datetime
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def ca(self) -> Path:
        """Where its certificate is."""
        return self.directory / "ca.pem"

    def issue(
        self, name: str, *, addresses: Sequence[str] = (), is_expired: bool = False
    ) -> Identity:
        """Write a certificate and key called `name`, for servers at `addresses` and for clients.

        Those of that name, if there are any, are replaced.

        etcd members need both uses: they call each other, and their own gateway.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _begin(name, key, self.now - LIFETIME if is_expired else self.now)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
        )
        vouched = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(vouched, critical=False)
        if addresses:
            names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        cert_path, key_path = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_secret(
            key_path,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        return Identity(ca=self.ca, cert=cert_path, key=key_path)


def make_authority(directory: Path, *, now: dt.datetime) -> Authority:
    """Make a new authority that keeps its certificates in `directory` (created, 0700)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _begin("everline lab", key, now)
        .issuer_name(_subject("everline lab"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_SIGNS, critical=True)
        .sign(key, hashes.SHA256())
    )
    authority = Authority(directory=directory, now=now, key=key, certificate=certificate)
    authority.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return authority


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begin(name: str, key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFETIME)
    )


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
