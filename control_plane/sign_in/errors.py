"""Why a sign-in is refused: one answer, whatever was wrong."""

from __future__ import annotations

from control_plane.errors import Problem

REFRESH_REFUSED = Problem(
    status=401, error_id="refresh-refused", title="Sign in again: this refresh token is not taken"
)
WRONG = Problem(status=401, error_id="sign-in-refused", title="Tenant, login or password is wrong")
PASSWORD_WRONG = Problem(
    status=403, error_id="password-wrong", title="The present password is another"
)
PASSWORD_SAME = Problem(
    status=422, error_id="password-unfit", title="The new password is the old one, or the login"
)
