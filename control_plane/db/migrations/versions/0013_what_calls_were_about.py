"""What calls were about, what they called back, and who has carried them over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("calls", schema=None) as batch_op:
        for name in ("callback_of", "code"):
            batch_op.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        zero = sa.Column("code_revision", sa.BigInteger(), nullable=False, server_default="0")
        batch_op.add_column(zero)
        batch_op.create_index("ix_calls_ended_ms_revision", ["ended_ms", "revision"], unique=False)
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    told = (
        "json_extract(record, '$.callback_of')" if is_sqlite else "record::json ->> 'callback_of'"
    )
    op.execute(f"UPDATE calls SET callback_of = coalesce({told}, '')")  # noqa: S608 - of ours alone
    with op.batch_alter_table("carried", schema=None) as batch_op:
        at_ms = sa.Column("at_ms", sa.BigInteger(), nullable=False, server_default="0")
        batch_op.add_column(at_ms)
