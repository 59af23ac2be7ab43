"""Where sessions come from, and when they were last gone on with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("used_ms", sa.BigInteger(), nullable=True))
        for name in ("address", "client"):
            batch_op.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
