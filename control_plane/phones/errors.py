"""Why a phone gets no credentials."""

from __future__ import annotations

from control_plane.errors import Problem

NOT_ISSUED = Problem(
    status=503,
    error_id="phone-credentials-off",
    title="No phone_secrets are named in this control plane's settings",
)
