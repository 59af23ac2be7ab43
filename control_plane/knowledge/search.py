"""Full-text search: SQLite's FTS5, PostgreSQL's tsvector, behind one function each way.

Both hold the title, the tags and the body; words are found by their beginnings.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 50
MAX_WORDS: Final = 10

_PUT: Final = {
    "sqlite": "INSERT INTO article_text (article, tenant, title, tags, body)"
    " VALUES (:article, :tenant, :title, :tags, :body)",
    "postgresql": "INSERT INTO article_text (article, tenant, words) VALUES (:article, :tenant,"
    " setweight(to_tsvector('simple', :title), 'A') || setweight(to_tsvector('simple', :tags), 'B')"
    " || to_tsvector('simple', :body))",
}
_FIND: Final = {
    "sqlite": "SELECT article FROM article_text WHERE article_text MATCH :query"
    " AND tenant = :tenant ORDER BY bm25(article_text, 0, 0, 10, 5, 1), article"
    " LIMIT :most OFFSET :after",
    "postgresql": "SELECT article FROM article_text WHERE tenant = :tenant"
    " AND words @@ to_tsquery('simple', :query)"
    " ORDER BY ts_rank(words, to_tsquery('simple', :query)) DESC, article"
    " LIMIT :most OFFSET :after",
}


def query(said: str, dialect: str, *, is_any: bool = False) -> str | None:
    """PURE. Return `said` in the words of the database; None if there is nothing to look for.

    Only letters and digits of it are left: nothing that people type is taken for an operator.
    """
    kept = "".join(each if each.isalnum() else " " for each in said).split()[:MAX_WORDS]
    if not kept:
        return None
    if dialect == "sqlite":
        return (" OR " if is_any else " AND ").join(f'"{word}"*' for word in kept)
    return (" | " if is_any else " & ").join(f"'{word}':*" for word in kept)


async def put(connection: AsyncConnection, values: dict[str, str]) -> None:
    """Make an article findable: `article`, `tenant`, `title`, `tags`, `body`."""
    await take_out(connection, values["article"])
    await connection.execute(text(_PUT[connection.dialect.name]), values)


async def take_out(connection: AsyncConnection, article: str) -> None:
    """Let an article be found no more."""
    await connection.execute(
        text("DELETE FROM article_text WHERE article = :article"), {"article": article}
    )


async def find(
    connection: AsyncConnection, tenant: str, said: str, *, is_any: bool = False, after: int = 0
) -> tuple[str, ...]:
    """Return the ids of articles that hold all words (`is_any`: one of them), the best first.

    `MOST` of them at most, without the first `after`.
    """
    dialect = connection.dialect.name
    wanted = query(said, dialect, is_any=is_any)
    if wanted is None:
        return ()
    values = {"tenant": tenant, "query": wanted, "most": MOST, "after": after}
    return tuple((await connection.execute(text(_FIND[dialect]), values)).scalars())
