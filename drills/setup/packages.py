"""The Debian packages Everline stands on: the one list, and what of it is missing.

Knows dpkg's files and nothing of apt.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

DPKG_INFO = Path("/var/lib/dpkg/info")


class Package(NamedTuple):
    """A Debian package and what it is here for."""

    name: str
    use: str


PACKAGES = (
    Package("kamailio", "the SIP proxy of every site and of the carrier"),
    Package("kamailio-python3-modules", "KEMI: routing written in Python"),
    Package("kamailio-extra-modules", "evapi: events to the edges; jansson"),
    Package("rtpengine-daemon", "the media relay, in user space"),
    Package("libopus0", "what telephones speak in Opus, for recording it"),
    Package("etcd-server", "the shared state"),
    Package("etcd-client", "etcdctl, to look at it"),
    Package(
        "postgresql-15", "the control plane's database across sites; the tests start their own"
    ),
    Package("patroni", "which site's PostgreSQL takes writes, kept in etcd: for its drill"),
    Package("sip-tester", "SIPp: callers in volume"),
    Package("baresip-core", "a SIP phone of somebody else's, for the tests"),
    Package("softhsm2", "a PKCS#11 token in software, for the tests of key providers"),
    Package("chromium", "a browser: the tests look at the pages with it"),
    Package("libfaketime", "sets the clocks of our own processes wrong, in drills"),
    Package("nftables", "cuts links of the lab"),
    Package("iproute2", "builds the lab's links"),
    Package("util-linux", "unshare: namespaces"),
    Package("mount", "mounts inside the lab"),
    Package("python3-venv", "the Python environment"),
)


def missing(info: Path = DPKG_INFO) -> list[str]:
    """Name the packages that dpkg does not have, in the list's order.

    Reads one directory: dpkg keeps NAME.md5sums (or NAME:ARCH.md5sums) while a package is unpacked
    and takes it away when the package goes.
    """
    try:
        names = {
            file.name.removesuffix(".md5sums").partition(":")[0]
            for file in info.iterdir()
            if file.name.endswith(".md5sums")
        }
    except OSError:
        names = set()
    return [package.name for package in PACKAGES if package.name not in names]
