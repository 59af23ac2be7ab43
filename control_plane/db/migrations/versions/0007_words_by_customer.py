"""A search by several words looks at those of a customer in the index alone."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("customer_words", schema=None) as batch_op:
        batch_op.drop_index("ix_customer_words_customer")
        batch_op.create_index(
            "ix_customer_words_customer_tenant_word", ["customer", "tenant", "word"], unique=False
        )
