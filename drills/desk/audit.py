"""The audit log of a lab's control planes, and what each of its sites remembers of it."""

from __future__ import annotations

from msgspec.structs import replace

from control_plane import settings
from control_plane.audit import source
from control_plane.audit.errors import AuditError
from control_plane.audit.source import Source
from control_plane.errors import ControlPlaneError
from drills.desk.errors import RefusedError
from drills.lab.control_plane import AUDIT_MEMORY, config_of
from drills.lab.lab import Lab
from drills.lab.plan import Part


async def look(lab: Lab) -> Source:
    """Read the log of the first site's control plane, with the memories of all sites."""
    sites = lab.plan.sites
    config = config_of(lab.paths, sites[0])
    if Part.CONTROL_PLANE not in lab.plan.parts or not config.exists():
        raise RefusedError("the lab runs no control plane: it has no audit log")
    memories = [lab.paths.of(site) / AUDIT_MEMORY for site in sites]
    before = [path.read_text(encoding="utf-8") for path in memories if path.exists()]
    try:
        # What sites remembered before the log was read has to be in it.
        return replace(await source.load(settings.load(config)), seen=tuple(before))
    except (ControlPlaneError, AuditError) as error:
        raise RefusedError(str(error)) from error
