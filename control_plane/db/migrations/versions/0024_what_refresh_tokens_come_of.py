"""Of what a session's present refresh token was made, so that a lost one can be given again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        for name in ("salt", "renewed_by"):
            batch_op.add_column(sa.Column(name, sa.String(), nullable=True))
