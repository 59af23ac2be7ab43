"""Tags of recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "recording_tags",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("call", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["call"],
            ["calls.id"],
            name=op.f("fk_recording_tags_call"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "tag", "call", name=op.f("pk_recording_tags")),
    )
    with op.batch_alter_table("recording_tags", schema=None) as batch_op:
        batch_op.create_index("ix_recording_tags_call", ["call"], unique=False)
