"""The lab's certificates: who can speak TLS with whom."""

from __future__ import annotations

import datetime as dt
import ssl
import time
from pathlib import Path

import pytest

from drills.lab.certs import Authority, make_authority
from drills.lab.process import Identity

SERVER = "198.18.1.10"


@pytest.fixture
def now() -> dt.datetime:
    return dt.datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), dt.UTC)


@pytest.fixture
def authority(tmp_path: Path, now: dt.datetime) -> Authority:
    return make_authority(tmp_path / "certs", now=now)


def shake_hands(server: Identity, client: Identity, *, address: str = SERVER) -> None:
    """Do a mutual TLS handshake in memory; SSLError when one refuses the other."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(server.ca))
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_cert_chain(server.cert, server.key)
    asking = ssl.create_default_context(cafile=str(client.ca))
    asking.load_cert_chain(client.cert, client.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        asking.wrap_bio(to_client, to_server, server_hostname=address),
        serving.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


def test_a_member_and_a_client_of_one_lab_know_each_other(authority: Authority) -> None:
    shake_hands(authority.issue("etcd-a", addresses=[SERVER]), authority.issue("edge-a1"))


def test_a_member_may_also_be_a_client(authority: Authority) -> None:
    member = authority.issue("etcd-a", addresses=[SERVER])
    shake_hands(member, member)


def test_a_client_of_another_lab_is_refused(
    authority: Authority, tmp_path: Path, now: dt.datetime
) -> None:
    other = make_authority(tmp_path / "other", now=now).issue("edge-a1")
    stranger = Identity(ca=authority.ca, cert=other.cert, key=other.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority.issue("etcd-a", addresses=[SERVER]), stranger)


def test_a_member_elsewhere_than_its_certificate_says_is_refused(authority: Authority) -> None:
    member = authority.issue("etcd-a", addresses=[SERVER])
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(member, authority.issue("edge-a1"), address="198.18.2.10")


def test_certificates_of_last_month_are_refused(tmp_path: Path, now: dt.datetime) -> None:
    old = make_authority(tmp_path / "old", now=now - dt.timedelta(days=30))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(old.issue("etcd-a", addresses=[SERVER]), old.issue("edge-a1"))


def test_keys_are_for_their_owner_alone_and_the_authority_has_none_on_disk(
    authority: Authority,
) -> None:
    identity = authority.issue("edge-a1")
    assert identity.key.stat().st_mode & 0o777 == 0o600
    assert authority.directory.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in authority.directory.glob("*.key")] == ["edge-a1.key"]


def test_a_whole_lab_has_its_certificates_in_a_second(authority: Authority) -> None:
    began = time.process_time()
    for number in range(10):
        authority.issue(f"member-{number}", addresses=[SERVER])
    assert time.process_time() - began < 1
