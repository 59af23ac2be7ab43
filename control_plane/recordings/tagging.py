"""The endpoints by which people tag recordings: one tag a request, as often as they like."""

from __future__ import annotations

from typing import TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes
from control_plane.errors import ApiError
from control_plane.permissions import Permission
from control_plane.recordings import finding, tags
from control_plane.recordings.errors import TOO_MANY_TAGS
from control_plane.recordings.schemas import TagPath

Tagged: TypeAlias = Ask[TagPath, Nothing, Nothing]


async def tag(ask: Tagged) -> None:
    """Let a recording bear a tag."""
    if not await tags.add(ask.db, ask.tenant, ask.at.recording, ask.at.tag):
        raise ApiError(TOO_MANY_TAGS)
    await ask.audit(ask.at.recording, detail={"added": ask.at.tag})


async def untag(ask: Tagged) -> None:
    """Let it bear it no longer."""
    await tags.remove(ask.db, ask.tenant, ask.at.recording, ask.at.tag)
    await ask.audit(ask.at.recording, detail={"removed": ask.at.tag})


ROUTES: Routes = (
    Route(
        method=Method.PUT,
        path="/v1/recordings/{recording}/tags/{tag}",
        summary="Tag a recording",
        access=Permission.RECORDING_TAG,
        handler=tag,
        thing=finding.thing,
        at=TagPath,
        status=204,
        problems=(TOO_MANY_TAGS,),
    ),
    Route(
        method=Method.DELETE,
        path="/v1/recordings/{recording}/tags/{tag}",
        summary="Take a tag from a recording",
        access=Permission.RECORDING_TAG,
        handler=untag,
        thing=finding.thing,
        at=TagPath,
        status=204,
    ),
)
