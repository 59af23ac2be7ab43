"""What the API takes and gives of drills on live systems."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant


class DrillDraft(ApiModel):
    """Which drill is about to begin."""

    drill: Id
    """Its name, such as site_killed: the one thing of the request that was approved."""
    plan_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The plan's hash, which was the request's `digest`: `./everline drill show NAME` names it."""


class PermitView(ApiModel):
    """Leave to begin a drill, once: who asked, who approved, and exactly what."""

    request: str
    drill: str
    plan_hash: str
    asked_by: str
    asked_by_name: str
    approved_by: str
    approved_by_name: str
    why: str
    ticket: str
    approved: Instant
    used: Instant
