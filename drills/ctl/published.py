"""How far a change of the configuration has come: asked after it, and told in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drills.ctl.client import Api, ProblemError

PUBLICATION: Final = "publication"
WAIT_S: Final = 2
"""So soon every edge goes by a version, or one is named."""


async def followed(
    api: Api,
    told: Any,  # noqa: ANN401 - JSON
    headers: Mapping[str, str],
) -> Any:  # noqa: ANN401 - the same
    """Return an answer with how far the version that it made has come, where that may be seen.

    What waits for it by itself (a drain, a plan) has said so already in its answer.
    """
    if not (isinstance(told, Mapping) and told.get("is_written") and "version" in told):
        return told
    if PUBLICATION in told:
        return told
    path = f"/v1/configuration/publication?version={told['version']}&wait_s={WAIT_S}"
    own = {name: value for name, value in headers.items() if name.startswith("Everline-")}
    try:
        found = (await api.ask("GET", path, headers=own)).json
    except ProblemError:
        return told  # it is not for their eyes: the change itself is made
    return {**told, PUBLICATION: found}


def words(publication: Mapping[str, Any]) -> str:
    """PURE. Return how far a version has come."""
    version, edges = publication["version"], publication["edges"]
    if publication["is_everywhere"]:
        where = f"all {len(edges)} edges" if edges else "no edge, as there is none"
        return f"Version {version} is applied at {where}."
    why = f": {publication['problem']}" if publication.get("problem") else ""
    if publication["stands"] < version:
        return f"Version {version} is NOT published yet{why}."
    return f"Version {version} is NOT applied at {', '.join(publication['missing'])} yet{why}."
