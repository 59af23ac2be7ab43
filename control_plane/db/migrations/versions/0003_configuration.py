"""The configuration: its versions, and what stood from which to which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "configuration_items",
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("since", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("section", "id", "since", name=op.f("pk_configuration_items")),
    )
    with op.batch_alter_table("configuration_items", schema=None) as batch_op:
        batch_op.create_index(
            "ix_configuration_items_tenant_section_until_id",
            ["tenant", "section", "until", "id"],
            unique=False,
        )
        batch_op.create_index("ix_configuration_items_until", ["until"], unique=False)
    op.create_table(
        "configuration_versions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_configuration_versions")),
        sa.UniqueConstraint("id", name=op.f("uq_configuration_versions_id")),
    )
    with op.batch_alter_table("configuration_versions", schema=None) as batch_op:
        batch_op.create_index(op.f("ix_configuration_versions_tenant"), ["tenant"], unique=False)
