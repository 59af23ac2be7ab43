"""A search in order of names reads them from the index alone."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.drop_index("ix_customers_tenant_id")
        batch_op.create_index(
            "ix_customers_tenant_id_name_key", ["tenant", "id", "name_key"], unique=False
        )
