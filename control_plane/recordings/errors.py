"""What can be wrong with recordings."""

from __future__ import annotations

from control_plane.errors import Problem

NOT_SERVED = Problem(
    status=503, error_id="recordings-not-served", title="No store of recordings is configured here"
)
NO_KEY = Problem(
    status=410, error_id="recording-locked", title="Its key is gone, or is not to be had here"
)
DAMAGED = Problem(
    status=409, error_id="recording-damaged", title="It is not as it was written: nothing is played"
)
DELETED = Problem(
    status=410, error_id="recording-deleted", title="It was ordered to be deleted, for ever"
)
STORE_AWAY = Problem(
    status=503, error_id="recording-store-away", title="The store of recordings did not answer"
)
BAD_RANGE = Problem(status=416, error_id="range-not-satisfiable", title="It is not as long as that")
TOO_MANY_TAGS = Problem(
    status=409, error_id="too-many-tags", title="It bears as many tags as a recording may"
)
