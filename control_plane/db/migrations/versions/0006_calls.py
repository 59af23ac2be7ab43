"""Calls that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "calls",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("did", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("agent_site", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("employer", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("arrived_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.create_index(
            "ix_calls_tenant_arrived_ms_id", ["tenant", "arrived_ms", "id"], unique=False
        )
        batch_op.create_index("ix_calls_tenant_caller", ["tenant", "caller"], unique=False)
    op.create_table(
        "carried",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_carried")),
    )
