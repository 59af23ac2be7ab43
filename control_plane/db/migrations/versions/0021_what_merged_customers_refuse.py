"""What either of two merged customers has refused, the one who was kept refuses, too."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema, and let the refusals of those who were merged away be heard."""
    with op.batch_alter_table("customer_merges", schema=None) as batch_op:
        batch_op.add_column(sa.Column("consent", sa.String(), nullable=False, server_default="{}"))
    names = ("id", "kept", "gone", "at_ms", "undone_ms", "consent")
    merges = sa.table("customer_merges", *map(sa.column, names))
    customers = sa.table("customers", *map(sa.column, ("id", "consent", "version")))
    connection = op.get_bind()
    standing = sa.select(merges).where(merges.c.undone_ms.is_(None))
    # In the order of their time: who was kept may have been merged away themselves since.
    for merge in connection.execute(standing.order_by(merges.c.at_ms, merges.c.id)).all():
        both = customers.c.id.in_((merge.kept, merge.gone))
        found = connection.execute(sa.select(customers.c.id, customers.c.consent).where(both))
        said = {row.id: json.loads(row.consent) for row in found}
        if len(said) != len({merge.kept, merge.gone}):
            continue
        kept, gone = said[merge.kept], said[merge.gone]
        refused = [name for name, consents in gone.items() if not consents]
        before = {name: kept.get(name) for name in refused if kept.get(name) is not False}
        if not before:
            continue
        connection.execute(
            sa.update(customers)
            .where(customers.c.id == merge.kept)
            .values(
                consent=json.dumps(kept | dict.fromkeys(before, False)),
                version=customers.c.version + 1,
            )
        )
        connection.execute(
            sa.update(merges).where(merges.c.id == merge.id).values(consent=json.dumps(before))
        )
