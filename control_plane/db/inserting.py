"""`INSERT ... ON CONFLICT`, which SQLAlchemy has for each database apart."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def inserting(connection: AsyncConnection, table: Any) -> Any:  # noqa: ANN401 - two types of each
    """Return the connection's own insert into a table, which knows `on_conflict_do_nothing`."""
    is_sqlite = connection.dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)
