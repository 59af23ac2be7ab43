"""Of which calls the caller's number was erased, so that nobody writes it there again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("is_caller_erased", sa.Boolean(), nullable=False, server_default=sa.false())
        )
