"""PURE. The control planes of a lab: one at every site, over one database.

They share their keys and their database, as the instances of one center do.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from drills.lab import recorders
from drills.lab.paths import Paths, Secrets, Work
from drills.lab.plan import LabPlan
from drills.lab.process import HttpProbe, Identity, ProcessSpec
from drills.lab.recorders import Trusted
from drills.lab.site import etcd_endpoints
from state.model import SiteId

API_PORT: Final = 8443
SAMPLE_S: Final = 30.0
"""A lab lives for minutes, and a day is longer than that."""
READY_TIMEOUT_S: Final = 60.0
"""Each loads two seconds of Python, all at once, on a machine that may be busy with calls."""


AUDIT_KEY: Final = "audit.key"
AUDIT_MEMORY: Final = "audit.seen"


def process_name(site: SiteId) -> str:
    """Return what the supervisor calls a site's control plane."""
    return f"control-plane-{site}"


def api_address(plan: LabPlan, site: SiteId) -> str:
    """Return where a site's API is, as host:port."""
    return f"{plan.host(site).address}:{API_PORT}"


def api_url(plan: LabPlan, site: SiteId) -> str:
    """Return where a site's API is, for those who trust the lab's authority."""
    return f"https://{api_address(plan, site)}"


def compose(  # noqa: PLR0913 - what each is told
    plan: LabPlan,
    paths: Paths,
    identities: Mapping[str, Identity],
    database: str,
    trusted: Trusted | None = None,
    *,
    audit: Sequence[str] = (),
) -> Work:
    """Return the control planes of all sites. `identities` has one for each, by process name.

    `database` is the URL of one that is not the lab's own; empty: a file of the lab. `trusted`:
    whose recordings are to be heard, where any are. `audit`: the sites' keys of the audit log.
    """
    work, secrets = Work(), paths.secrets
    for site in plan.sites:
        name = process_name(site)
        config = config_of(paths, site)
        content = _settings(plan, site, identities[name], secrets, database or _file(secrets))
        content += f'run = "{paths.of(site)}"\n'
        if audit:
            content += _audit(paths.of(site), audit)
        if trusted is not None and trusted.recorders:
            content += _recordings(paths.of(site), site, trusted)
        process = ProcessSpec(
            name=name,
            host=site,
            cwd=paths.project,
            argv=(str(paths.python), "-m", "control_plane", "--config", str(config)),
            after=(f"etcd-{site}",),
            ready=HttpProbe(
                address=plan.host(site).address,
                port=API_PORT,
                path="/ready",
                ca=identities[name].ca,
            ),
            ready_timeout_s=READY_TIMEOUT_S,
        )
        work = work.plus(Work(processes=(process,), files={config: content}))
    return work


def _file(secrets: Secrets, name: str = "everline") -> str:
    return f"sqlite:///{secrets.signing_key.parent / name}.db"


def _settings(
    plan: LabPlan, site: SiteId, identity: Identity, secrets: Secrets, database: str
) -> str:
    endpoints = ", ".join(f'"{endpoint}"' for endpoint in etcd_endpoints(plan, first=site))
    return f"""\
site = "{site}"
listen = "{api_address(plan, site)}"
tls_cert = "{identity.cert}"
tls_key = "{identity.key}"
database = "{database}"
keys_database = "{_file(secrets, "keys")}"
customer_keys = "{secrets.customer_keys}"
signing_key = "{secrets.signing_key}"
first_password = "{secrets.first_password}"
phone_secrets = "{secrets.phone_secrets}"
etcd = [{endpoints}]
etcd_ca = "{identity.ca}"
etcd_cert = "{identity.cert}"
etcd_key = "{identity.key}"
"""


def _audit(run: Path, keys: Sequence[str]) -> str:
    known = ", ".join(f'"{each}"' for each in keys)
    return f"""\
[audit]
key = "{run / AUDIT_KEY}"
memory = "{run / AUDIT_MEMORY}"
sites = [{known}]
"""


def config_of(paths: Paths, site: SiteId) -> Path:
    """Return where a site's control plane has its settings."""
    return paths.of(site) / f"{process_name(site)}.toml"


def _recordings(run: Path, site: SiteId, trusted: Trusted) -> str:
    recipients = "".join(f'{name} = "{text}"\n' for name, text in trusted.recipients.items())
    return f"""\
[recordings]
store = "{recorders.store_of(run)}"
keyring = "{recorders.keyring_of(run)}"
provider = "{site}"
provider_file = "{run / recorders.PROVIDER}"
signing_key = "{run / recorders.KEEPING}"
sample_s = {SAMPLE_S}
[recordings.recorders]
{_publics(trusted.recorders)}[recordings.keepers]
{_publics(trusted.keepers)}[recordings.recipients]
{recipients}"""


def _publics(known: Mapping[str, bytes]) -> str:
    return "".join(
        f'{name} = "{base64.b64encode(public).decode()}"\n' for name, public in known.items()
    )
