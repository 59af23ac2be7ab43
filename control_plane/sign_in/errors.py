"""Why a sign-in is refused: one answer, whatever was wrong."""

from __future__ import annotations

from control_plane.errors import Problem

WRONG = Problem(status=401, error_id="sign-in-refused", title="Tenant, login or password is wrong")
