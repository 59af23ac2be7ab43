"""What can be wrong with the audit log.

AuditError
├── NoteError       a checkpoint or a key that is none
├── SealError       entries cannot be put under a signed checkpoint here and now
└── TamperedError   the log is not the one that was there before
"""

from __future__ import annotations

from control_plane.errors import ControlPlaneError, Problem

AUDIT_UNAVAILABLE = Problem(
    status=503,
    error_id="audit-unavailable",
    title="The audit log cannot be written and signed: this is not done without it",
)
NO_PROOF = Problem(
    status=409, error_id="audit-entry-not-sealed", title="No signed checkpoint covers it yet"
)


NOT_SEARCHABLE = Problem(
    status=403,
    error_id="not-searchable",
    title="Whoever may not see addresses in full may not search by them",
)


class AuditError(ControlPlaneError):
    """The base of what goes wrong with the log itself."""


class NoteError(AuditError):
    """Not a checkpoint, or not a key."""


class SealError(AuditError):
    """Entries cannot be sealed here: no key, or what there is does not fit together."""


class TamperedError(AuditError):
    """The log has been cut, or changed, since it was last signed."""
