"""Keeps packages' services from being started or enabled by their installation.

Debian's maintainer scripts ask /usr/sbin/policy-rc.d before they start anything, and enable units
and init scripts without asking. So: a policy that says no while we install, and a disabling after.

The policy refuses only scripts that descend from our own apt (they carry `MARK` in the environment)
and hands everybody else to the policy that stood there before. If we are killed it therefore does
no harm, and the next set-up takes it away.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = Path("/usr/sbin/policy-rc.d")
SAVED_SUFFIX = ".before-everline"
MARK = "EVERLINE_SETUP"
SIGNATURE = "# Everline's, for the length of one installation."

UNIT_SUFFIXES = (".service", ".socket", ".timer", ".path")


def policy_text(saved: Path) -> str:
    """Return the policy script: 101 (refused) to our own apt's scripts, else what stood before."""
    return f"""#!/bin/sh
{SIGNATURE} Harmless if left behind; safe to delete.
if [ -n "${{{MARK}:-}}" ]; then exit 101; fi
if [ -x {saved} ]; then exec {saved} "$@"; fi
exit 0
"""


def _is_ours(policy: Path) -> bool:
    try:
        return SIGNATURE in policy.read_text(errors="replace")
    except FileNotFoundError:
        return False


@contextmanager
def services_held_back(policy: Path = POLICY) -> Iterator[dict[str, str]]:
    """Stand our policy in for the machine's; yield what apt's environment must carry.

    There is a policy in place at every moment: the swap in and the swap back are renames.
    """
    saved = policy.with_name(policy.name + SAVED_SUFFIX)
    if policy.exists() and not _is_ours(policy):
        saved.unlink(missing_ok=True)
        os.link(policy, saved, follow_symlinks=False)
    fresh = policy.with_name(policy.name + ".new")
    fresh.write_text(policy_text(saved))
    fresh.chmod(0o755)
    fresh.replace(policy)
    try:
        yield {MARK: "1"}
    finally:
        restore(policy)


def restore(policy: Path = POLICY) -> None:
    """Put back what stood there before us, also after a run that was killed."""
    saved = policy.with_name(policy.name + SAVED_SUFFIX)
    if not _is_ours(policy):
        return
    if saved.exists() or saved.is_symlink():
        saved.replace(policy)
    else:
        policy.unlink()


def disable(package: str) -> None:
    """Take a package's units and init scripts out of the boot, with or without systemd running."""
    listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        path = Path(line)
        folder = str(path.parent)
        if folder.endswith("/lib/systemd/system") and path.suffix in UNIT_SUFFIXES:
            # The helper also remembers the wish, so that an upgrade does not enable the unit again.
            _run(package, "deb-systemd-helper", "disable", path.name)
        elif folder == "/etc/init.d":
            _run(package, "update-rc.d", path.name, "disable")


def _run(package: str, *command: str) -> None:
    # deb-systemd-helper does nothing unless it believes that a maintainer script calls it.
    env = {**os.environ, "DPKG_MAINTSCRIPT_PACKAGE": package}
    subprocess.run(command, check=False, env=env, capture_output=True)
