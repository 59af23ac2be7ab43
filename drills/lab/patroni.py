"""PURE. The database of a lab that outlives a site: PostgreSQL under Patroni, a member at each.

Patroni keeps who is the primary in the lab's etcd, with the lab's certificates. A write is
acknowledged when a second site has it on its disk (`synchronous_mode`), and only such a site is
made the primary: docs/decisions/0032-database-over-sites.md.

A member runs in a PID namespace of its own, so that to kill it is to kill its PostgreSQL too,
which leaves Patroni's session by itself; as `postgres`, since PostgreSQL refuses to be root.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from drills.lab.paths import Work
from drills.lab.plan import LabPlan
from drills.lab.process import HttpProbe, Identity, ProcessSpec
from drills.lab.site import etcd_endpoints
from state.model import SiteId

PROGRAM: Final = "/usr/bin/patroni"
OWNER: Final = "postgres"
ROOM: Final = Path("/run/everline-database")
"""Beside the lab's run directory, which nobody but root may enter."""
SCOPE: Final = "everline"
PORT, API_PORT = 5432, 8008
SUPERUSER: Final = "postgres"
DATABASE: Final = "everline"
READY_TIMEOUT_S: Final = 90.0
"""The first member makes the cluster, the others copy it, all at once on two cores."""
TTL_S, LOOP_S, RETRY_S = 20, 1, 3
"""The least that Patroni takes: a primary that is gone is missed when its key has run out."""


class Passwords(Struct, frozen=True, kw_only=True):
    """Of the roles by which members and control planes connect."""

    superuser: str
    replication: str
    rewind: str


def process_name(site: SiteId) -> str:
    """Return what the supervisor calls a site's member."""
    return f"patroni-{site}"


def room_of(site: SiteId) -> Path:
    """Return where a site's member keeps all it has."""
    return ROOM / site


def url(plan: LabPlan, ca: Path, passwords: Passwords) -> str:
    """Return the URL by which a control plane finds whichever member takes writes."""
    hosts = "&".join(f"host={plan.host(site).address}:{PORT}" for site in plan.sites)
    secret, file = quote(passwords.superuser, safe=""), quote(str(ca), safe="")
    tls = f"sslmode=verify-full&sslrootcert={file}"
    return f"postgresql://{SUPERUSER}:{secret}@/{DATABASE}?{hosts}&{tls}"


def connection(plan: LabPlan, ca: Path, passwords: Passwords) -> dict[str, str]:
    """Return the same for libpq, to the database that is there from the beginning."""
    addresses = [plan.host(site).address for site in plan.sites]
    return {
        "host": ",".join(addresses),
        "port": str(PORT),
        "user": SUPERUSER,
        "password": passwords.superuser,
        "dbname": SUPERUSER,
        "sslmode": "verify-full",
        "sslrootcert": str(ca),
        "target_session_attrs": "read-write",
        "connect_timeout": "2",
    }


def compose(
    plan: LabPlan,
    identities: Mapping[str, Identity],
    passwords: Passwords,
    programs: Path,
) -> Work:
    """Return the members of all sites. `identities` has one for each, by process name.

    `programs`: where PostgreSQL's are.
    """
    work = Work()
    for site in plan.sites:
        name = process_name(site)
        identity, config = identities[name], room_of(site) / "patroni.json"
        told = _settings(plan, site, identity, passwords, programs)
        process = ProcessSpec(
            name=name,
            host=site,
            cwd=room_of(site),
            argv=(
                *("unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc"),
                *("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"),
                PROGRAM,
                str(config),
            ),
            env={"HOME": str(room_of(site))},
            after=(f"etcd-{site}",),
            ready=HttpProbe(
                address=plan.host(site).address,
                port=API_PORT,
                path="/health",
                ca=identity.ca,
            ),
            ready_timeout_s=READY_TIMEOUT_S,
        )
        content = msgspec.json.format(msgspec.json.encode(told)).decode()
        work = work.plus(Work(processes=(process,), files={config: content}))
    return work


def _settings(
    plan: LabPlan, site: SiteId, identity: Identity, passwords: Passwords, programs: Path
) -> dict[str, object]:
    """Return Patroni's settings; JSON is YAML, which it reads."""
    address, room = plan.host(site).address, room_of(site)
    tls = {"certfile": str(identity.cert), "keyfile": str(identity.key)}
    return {
        "scope": SCOPE,
        "namespace": "/patroni/",
        "name": str(site),
        "log": {"level": "INFO"},
        "restapi": {
            "listen": f"{address}:{API_PORT}",
            "connect_address": f"{address}:{API_PORT}",
            **tls,
            "cafile": str(identity.ca),
            # Whoever changes anything shows a certificate; health may be asked by all.
            "verify_client": "optional",
        },
        "ctl": {**tls, "cacert": str(identity.ca)},
        "etcd3": {
            "hosts": list(etcd_endpoints(plan, first=site)),
            "protocol": "https",
            "cacert": str(identity.ca),
            "cert": str(identity.cert),
            "key": str(identity.key),
        },
        "bootstrap": {
            "dcs": _shared(),
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
        },
        "postgresql": {
            "listen": f"{address}:{PORT}",
            # Patroni itself comes by the socket in its room, and not over the network.
            "use_unix_socket": True,
            "connect_address": f"{address}:{PORT}",
            "data_dir": str(room / "data"),
            "bin_dir": str(programs),
            "pgpass": str(room / "pgpass"),
            "pg_hba": [
                "local all all peer",
                "hostssl replication replicator 198.18.0.0/16 scram-sha-256",
                "hostssl all all 198.18.0.0/16 scram-sha-256",
            ],
            "parameters": {
                "unix_socket_directories": str(room),
                "ssl": "on",
                "ssl_cert_file": str(identity.cert),
                "ssl_key_file": str(identity.key),
                "ssl_ca_file": str(identity.ca),
            },
            "authentication": _roles(identity, passwords),
        },
    }


def _shared() -> dict[str, object]:
    """Return what stands in etcd for all members."""
    return {
        "ttl": TTL_S,
        "loop_wait": LOOP_S,
        "retry_timeout": RETRY_S,
        "maximum_lag_on_failover": 1_048_576,
        "synchronous_mode": True,
        # Without etcd the primary goes on for as long as every member says that it may.
        "failsafe_mode": True,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "synchronous_commit": "on",
                "max_connections": 100,
                "shared_buffers": "32MB",
                "wal_keep_size": "64MB",
                "min_wal_size": "32MB",
                "wal_log_hints": "on",
                "wal_sender_timeout": "5s",
                "wal_receiver_timeout": "5s",
                "wal_receiver_status_interval": "1s",
                "password_encryption": "scram-sha-256",
            },
        },
    }


def _roles(identity: Identity, passwords: Passwords) -> dict[str, dict[str, str]]:
    known = {
        "superuser": (SUPERUSER, passwords.superuser),
        "replication": ("replicator", passwords.replication),
        "rewind": ("rewinder", passwords.rewind),
    }
    return {
        role: {
            "username": name,
            "password": password,
            "sslmode": "verify-ca",
            "sslrootcert": str(identity.ca),
        }
        for role, (name, password) in known.items()
    }
