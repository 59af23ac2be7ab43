"""What can be wrong with a change of users."""

from __future__ import annotations

from control_plane.errors import Problem

LOGIN_TAKEN = Problem(status=409, error_id="login-taken", title="Somebody has this login already")
GRANT_TOO_HIGH = Problem(
    status=403,
    error_id="grant-too-high",
    title="A role can be granted only by who may do all that it allows, in the same tenant",
)
