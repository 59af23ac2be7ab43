"""The audit log: why and from where, its tree and checkpoints; entries are not changed again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SQLITE = (
    """
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are not deleted'); END""",
    """
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OF {columns} ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are not changed'); END""",
    """
CREATE TRIGGER audit_is_placed_once BEFORE UPDATE OF place ON audit WHEN OLD.place IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are not moved'); END""",
)
_POSTGRESQL = (
    """
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'entries of the audit log are neither changed nor deleted'; END $$""",
    """
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_stays()""",
    """
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OF {columns} ON audit
FOR EACH ROW EXECUTE FUNCTION audit_stays()""",
    """
CREATE TRIGGER audit_is_placed_once BEFORE UPDATE OF place ON audit
FOR EACH ROW WHEN (OLD.place IS NOT NULL) EXECUTE FUNCTION audit_stays()""",
)
_COLUMNS = (
    "number, tenant, at_ms, actor, action, kind, thing, policy_version, request_id, site, "
    "purpose, origin, session, decision, detail"
)


def upgrade() -> None:
    """Change the schema."""
    waiting = {
        "sqlite_where": sa.text("place IS NULL"),
        "postgresql_where": sa.text("place IS NULL"),
    }
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.add_column(sa.Column("place", sa.BigInteger(), nullable=True))
        for name in ("purpose", "origin", "session"):
            batch_op.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column("decision", sa.String(), nullable=False, server_default="allowed")
        )
        batch_op.create_index("ix_audit_tenant_thing", ["tenant", "thing"], unique=False)
        batch_op.create_index("uq_audit_place", ["place"], unique=True)
        batch_op.create_index("ix_audit_waiting", ["number"], unique=False, **waiting)
    op.create_table(
        "audit_tiles",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_audit_tiles")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_cosignatures",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size", "site", name=op.f("pk_audit_cosignatures")),
    )
    for each in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(each.format(columns=_COLUMNS))
