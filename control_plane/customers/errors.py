"""What can be wrong with customers."""

from __future__ import annotations

from control_plane.errors import Problem

NO_KEYS = Problem(
    status=503, error_id="keys-missing", title="No key store is configured for sensitive fields"
)
UNKNOWN_FIELD = Problem(
    status=422, error_id="field-unknown", title="The tenant has not marked such a field"
)
NOT_SEARCHABLE = Problem(
    status=403, error_id="not-searchable", title="What may not be seen in full cannot be searched"
)
LEGAL_HOLD = Problem(status=409, error_id="legal-hold", title="It has to be kept: a legal hold")
ERASED = Problem(status=410, error_id="customer-erased", title="This customer was erased")
CANNOT_MERGE = Problem(
    status=409, error_id="cannot-merge", title="These two cannot be merged, or parted again"
)
