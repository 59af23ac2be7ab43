"""Why signing in by a provider fails. Whoever tries learns no more than this."""

from __future__ import annotations

from control_plane.errors import Problem

REFUSED = Problem(
    status=401, error_id="oidc-refused", title="The provider's answer does not open a session"
)
NO_PROVIDER = Problem(
    status=404, error_id="oidc-no-provider", title="This tenant has no such provider"
)
AWAY = Problem(
    status=503, error_id="oidc-provider-away", title="The provider does not answer as it should"
)
ISSUER_CLOSED = Problem(
    status=403,
    error_id="oidc-issuer-closed",
    title="This issuer is not among those that the operators have opened (oidc_issuers)",
)
NO_SECRETS = Problem(
    status=503,
    error_id="oidc-secrets-off",
    title="No customer_keys are named in the settings: a client's secret cannot be kept",
)
