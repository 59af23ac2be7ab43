"""Legal holds on calls and their recordings, and how long a tenant keeps recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "recording_holds",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("call", sa.String(), nullable=False),
        sa.Column("has_legal_hold", sa.Boolean(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "call", name=op.f("pk_recording_holds")),
    )
    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("recording_retention_days", sa.Integer(), server_default="0", nullable=False)
        )
