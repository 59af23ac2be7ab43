"""Tenants' own lines of the policy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "policy_versions",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("applied_by", sa.String(), nullable=False),
        sa.Column("applied_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_policy_versions")),
    )
