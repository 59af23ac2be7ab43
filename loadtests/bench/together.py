"""`bench all`: the figures of several benchmarks as one object. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PARTS: Final = ("relay", "edge", "queue", "site", "growth", "memory")
"""In this order: what is quick and most telling first."""


def figures(found: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    """Return what has been measured so far, each part under its name.

    `site` measures overload, too. `growth` is by number of agents; what etcd is asked for a call,
    and what an agent takes of memory, are by-products of its slices and stand under `etcd` and
    `memory`.
    """
    told: dict[str, Any] = {name: dict(each) for name, each in found.items()}
    machine = next((each.pop("machine", None) for each in told.values()), None)
    for each in told.values():
        each.pop("machine", None)
    if "site" in told:
        told |= told.pop("site")
    if "growth" in told:
        growth = told.pop("growth")
        told["growth"] = growth["growth"]
        told["etcd"] = growth["etcd"]
        told["memory"] = told.get("memory", {}) | {"per_agent": growth["bytes_per_agent"]}
    return told | {"machine": machine}
