"""The one registry of tables. A feature's `tables.py` adds its own.

Times are milliseconds since 1970 in UTC; ids are text; every row that belongs to a tenant says so.
"""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import BigInteger, MetaData, String
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""So that a migration can name what it drops, on both databases."""

Ms = Annotated[int, mapped_column(BigInteger)]
Ordered = Annotated[str, mapped_column(String().with_variant(String(collation="C"), "postgresql"))]
"""Text in the order of its code points on both databases: beginnings are found by a range."""


class Table(DeclarativeBase):
    """The base of every table; used for its columns, not for objects."""

    metadata = MetaData(naming_convention=NAMES)
