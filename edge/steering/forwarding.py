"""Backup numbers outside the center: through which trunk a DID's calls are handed on. PURE.

Owns which trunk may do it: one of the DID's tenant whose `dial_out` lets it dial the number as it
is written, with +. What no trunk may dial has no row, and its calls stay with the edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from state.model import TenantId, Trunk
from state.snapshot import Snapshot


def trunk_for(number: str, tenant: TenantId, trunks: Iterable[Trunk]) -> Trunk | None:
    """Return the trunk, the first by id, through which `tenant` may dial an E.164 number."""
    allowed = (
        trunk
        for trunk in trunks
        if trunk.sip and tenant in trunk.tenants and number.startswith(trunk.dial_out)
    )
    return min(allowed, key=lambda trunk: trunk.id, default=None)


def forwards(snapshot: Snapshot) -> Mapping[str, str]:
    """Return `TRUNK NUMBER` for each DID whose calls are handed on."""
    trunks = [entry.value for entry in snapshot.trunks.values()]
    rows: dict[str, str] = {}
    for number, entry in snapshot.dids.items():
        did = entry.value
        trunk = trunk_for(did.forward, did.tenant, trunks) if did.forward else None
        if trunk is not None:
            rows[number] = f"{trunk.id} {did.forward}"
    return rows
