"""Articles in the database. Every statement names the tenant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.knowledge import search
from control_plane.knowledge.schemas import ArticleListing
from control_plane.knowledge.tables import ArticleRow, ArticleVersionRow


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    id: str
    tenant: str
    language: str
    title: str
    body: str
    tags: tuple[str, ...]
    queues: tuple[str, ...]
    employer: str
    created_ms: int
    updated_ms: int
    version: int


_JSON = ("tags", "queues")
_COLUMNS = [getattr(ArticleRow, name) for name in Article.__struct_fields__]


async def page(
    connection: AsyncConnection, tenant: str, listing: ArticleListing
) -> tuple[list[Article], str | None]:
    """Return one page of a tenant's articles."""
    statement: Select[Any] = select(*_COLUMNS).where(ArticleRow.tenant == tenant)
    if listing.language is not None:
        statement = statement.where(ArticleRow.language == listing.language)
    # Titles may be for one outsourcer only: the order in which they were made tells nothing.
    rows, after = await paging.fetch(
        connection,
        statement,
        listing,
        columns={"created": ArticleRow.id.expression},
        id_column=ArticleRow.id.expression,
        default="created",
    )
    return [_read(row) for row in rows], after


async def find_all(
    connection: AsyncConnection, tenant: str, ids: Iterable[str]
) -> tuple[Article, ...]:
    """Return those that there are, in the order of `ids`."""
    wanted = tuple(ids)
    statement = select(*_COLUMNS).where(ArticleRow.tenant == tenant, ArticleRow.id.in_(wanted))
    found = {row.id: _read(row) for row in await connection.execute(statement)}
    return tuple(found[each] for each in wanted if each in found)


async def of_queue(
    connection: AsyncConnection, tenant: str, queue: str, after: int = 0
) -> tuple[Article, ...]:
    """Return the articles of a queue, the newest first.

    `search.MOST` of them at most, without the first `after`.
    """
    statement = (
        select(*_COLUMNS)
        .where(ArticleRow.tenant == tenant)
        .where(ArticleRow.queues.contains(f'"{queue}"', autoescape=True))
        .order_by(ArticleRow.id.desc())
        .limit(search.MOST)
        .offset(after)
    )
    return tuple(_read(row) for row in await connection.execute(statement))


async def save(connection: AsyncConnection, article: Article, by: str) -> bool:
    """Add version 1, or put a newer one in the place of the one before; False if it has changed."""
    values = msgspec.structs.asdict(article)
    values |= {name: msgspec.json.encode(values[name]).decode() for name in _JSON}
    if article.version == 1:
        await connection.execute(insert(ArticleRow).values(**values))
    else:
        mine = (
            ArticleRow.id == article.id,
            ArticleRow.tenant == article.tenant,
            ArticleRow.version == article.version - 1,
        )
        done = await connection.execute(update(ArticleRow).where(*mine).values(**values))
        if done.rowcount != 1:
            return False
    await connection.execute(
        insert(ArticleVersionRow).values(
            article=article.id,
            version=article.version,
            tenant=article.tenant,
            title=article.title,
            body=article.body,
            by=by,
            at_ms=article.updated_ms,
        )
    )
    words = {"article": article.id, "tenant": article.tenant, "title": article.title}
    await search.put(connection, words | {"tags": " ".join(article.tags), "body": article.body})
    return True


async def remove(connection: AsyncConnection, article: Article) -> bool:
    """Delete one with its versions; False if it has changed."""
    mine = ArticleRow.id == article.id, ArticleRow.version == article.version
    done = await connection.execute(
        delete(ArticleRow).where(ArticleRow.tenant == article.tenant, *mine)
    )
    if done.rowcount != 1:
        return False
    await search.take_out(connection, article.id)
    return True


async def versions(connection: AsyncConnection, tenant: str, article: str) -> list[Row[Any]]:
    """Return all versions, the newest first."""
    row = ArticleVersionRow
    columns = [getattr(row, name) for name in ("version", "title", "body", "by", "at_ms")]
    statement = (
        select(*columns)
        .where(row.tenant == tenant, row.article == article)
        .order_by(row.version.desc())
        .limit(100)
    )
    return list((await connection.execute(statement)).all())


def _read(row: Any) -> Article:  # noqa: ANN401 - a row of the columns above
    values = dict(row._mapping)  # noqa: SLF001 - its documented way
    values |= {name: msgspec.json.decode(values[name], type=tuple[str, ...]) for name in _JSON}
    return Article(**values)
