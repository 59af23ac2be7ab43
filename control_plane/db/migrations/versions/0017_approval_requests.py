"""Requests for approval: what somebody wants to do once, and what a second person has said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    words = (
        "tenant", "act", "things", "digest", "purpose", "ticket", "by", "by_team", "state",
        "decided_by", "decided_by_team",
    )  # fmt: skip
    op.create_table(
        "approval_requests",
        sa.Column("id", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in words),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("made_ms", "until_ms")),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("decided_ms", "used_ms")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_requests")),
    )
    with op.batch_alter_table("approval_requests", schema=None) as batch_op:
        batch_op.create_index(
            "ix_approval_requests_tenant_made_ms", ["tenant", "made_ms"], unique=False
        )
