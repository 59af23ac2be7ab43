"""Alembic's entry: migrates over the connection that `control_plane.db.migrate` hands it."""

from __future__ import annotations

from alembic import context

import control_plane.features  # noqa: F401 - so that every feature's tables are known
from control_plane.db.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    # SQLite cannot alter a column: Alembic copies the table.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
