"""The endpoints of the knowledge base."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final, TypeAlias

from sqlalchemy import Row

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Page
from control_plane.api.route import Answer, Check, Feature, Method, Route
from control_plane.api.sight import in_sight
from control_plane.customers import service as customers
from control_plane.errors import NOT_FOUND, VERSION_MISMATCH, ApiError, not_found
from control_plane.ids import fresh
from control_plane.knowledge import search, store
from control_plane.knowledge.schemas import (
    ArticleDraft,
    ArticleListing,
    ArticlePath,
    ArticleSearch,
    ArticlesView,
    ArticleView,
    Suggestion,
    VersionsView,
    VersionView,
)
from control_plane.permissions import Permission
from control_plane.subjects import Thing

Listed: TypeAlias = Ask[Nothing, ArticleListing, Nothing]
Searched: TypeAlias = Ask[Nothing, ArticleSearch, Nothing]
Suggested: TypeAlias = Ask[Nothing, Suggestion, Nothing]
Named: TypeAlias = Ask[ArticlePath, Nothing, Nothing]
Drafted: TypeAlias = Ask[Nothing, Nothing, ArticleDraft]
Changed: TypeAlias = Ask[ArticlePath, Nothing, ArticleDraft]


LOOKED_AT: Final = 1000
"""Articles with the words that are looked at for those that may be shown."""


def _about(article: store.Article) -> Thing:
    return Thing(
        kind="article",
        tenant=article.tenant,
        id=article.id,
        employer=article.employer,
        digest=str(article.version),
    )


async def _article(ask: Named | Changed) -> store.Article:
    found = await store.find_all(ask.db, ask.tenant, (ask.at.article,))
    if not found:
        raise not_found()
    return found[0]


async def _thing(ask: Named | Changed) -> Thing:
    return _about(await _article(ask))


def _view(article: store.Article) -> ArticleView:
    return ArticleView(
        id=article.id,
        language=article.language,
        title=article.title,
        body=article.body,
        tags=article.tags,
        queues=article.queues,
        employer=article.employer,
        version=article.version,
        created=instant(article.created_ms),
        updated=instant(article.updated_ms),
    )


def _seen(ask: Ask[Any, Any, Any], found: Iterable[store.Article]) -> tuple[ArticleView, ...]:
    return tuple(_view(each) for each in found if ask.sees(_about(each)))


async def list_all(ask: Listed) -> Page[ArticleView]:
    """Return those of a page that the policy lets the subject read."""
    seen, after = await in_sight(
        partial(store.page, ask.db, ask.tenant),
        ask.query,
        lambda article: ask.sees(_about(article)),
    )
    return Page[ArticleView](items=tuple(_view(each) for each in seen), next=after)


async def find(ask: Searched) -> ArticlesView:
    """Return what holds all words, the best first: of what the subject reads, in their language."""
    wanted = ask.query.language
    kept: list[ArticleView] = []
    for after in range(0, LOOKED_AT, search.MOST):
        ids = await search.find(ask.db, ask.tenant, ask.query.q, after=after)
        found = await store.find_all(ask.db, ask.tenant, ids)
        kept += _seen(ask, (each for each in found if wanted in (None, each.language)))
        if len(ids) < search.MOST or len(kept) >= search.MOST:
            break
    return ArticlesView(items=tuple(kept[: search.MOST]))


async def suggest(ask: Suggested) -> ArticlesView:
    """Return the queue's articles; those first that share tags and language with the customer.

    Of a customer whom the subject may not see in full, nothing is taken into account: the order
    would tell.
    """
    found = await _of_queue(ask)
    tags: frozenset[str] = frozenset()
    language = ""
    if ask.query.customer is not None:
        customer = await customers.load(ask, ask.query.customer)
        about = customers.about(ask, customer)
        if not ask.sees(about, Permission.CUSTOMER_BASIC_READ_FULL):
            raise not_found()
        tags, language = frozenset(customer.tags), customer.language
        more = await search.find(ask.db, ask.tenant, " ".join(sorted(tags)), is_any=True)
        known = {each.id for each in found}
        found += await store.find_all(ask.db, ask.tenant, [e for e in more if e not in known])

    def rank(article: store.Article) -> tuple[bool, int, bool]:
        shared = len(tags.intersection(article.tags))
        return ask.query.queue not in article.queues, -shared, article.language != language

    return ArticlesView(items=_seen(ask, sorted(found, key=rank))[: search.MOST])


async def _of_queue(ask: Suggested) -> tuple[store.Article, ...]:
    """Return the queue's newest articles that the subject may read: of others there may be more."""
    kept: list[store.Article] = []
    for after in range(0, LOOKED_AT, search.MOST):
        found = await store.of_queue(ask.db, ask.tenant, ask.query.queue, after)
        kept += (each for each in found if ask.sees(_about(each)))
        if len(found) < search.MOST or len(kept) >= search.MOST:
            break
    return tuple(kept)


async def show(ask: Named) -> Answer[ArticleView]:
    """Return one."""
    article = await _article(ask)
    return Answer(body=_view(article), version=article.version)


async def show_versions(ask: Named) -> VersionsView:
    """Return how one stood before."""
    rows = await store.versions(ask.db, ask.tenant, ask.at.article)
    return VersionsView(items=tuple(_version(row) for row in rows))


def _version(row: Row[Any]) -> VersionView:
    return VersionView(
        version=row.version, title=row.title, body=row.body, by=row.by, at=instant(row.at_ms)
    )


async def create(ask: Drafted) -> Answer[ArticleView]:
    """Add one."""
    article = store.Article(
        id=fresh("art", ask.now_ms),
        tenant=ask.tenant,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
        **ask.body.model_dump(),
    )
    await store.save(ask.db, article, ask.subject.id)
    await ask.audit(article.id)
    headers = {"Location": f"/v1/articles/{article.id}"}
    return Answer(body=_view(article), version=1, headers=headers)


async def change(ask: Changed) -> Answer[ArticleView]:
    """Write the next version."""
    before = await _article(ask)
    if before.version != ask.version:
        raise ApiError(VERSION_MISMATCH)
    article = store.Article(
        id=before.id,
        tenant=before.tenant,
        created_ms=before.created_ms,
        updated_ms=ask.now_ms,
        version=before.version + 1,
        **ask.body.model_dump(),
    )
    if not await store.save(ask.db, article, ask.subject.id):
        raise ApiError(VERSION_MISMATCH)
    await ask.audit(article.id, detail={"version": article.version})
    return Answer(body=_view(article), version=article.version)


async def withdraw(ask: Named) -> None:
    """Take an article back, with all its versions: nobody is to go by it any more."""
    article = await _article(ask)
    if article.version != ask.version or not await store.remove(ask.db, article):
        raise ApiError(VERSION_MISMATCH)
    await ask.audit(article.id, detail={"title": article.title})


FEATURE = Feature(
    name="knowledge",
    routes=(
        Route(
            method=Method.GET,
            path="/v1/articles",
            summary="List articles",
            access=Permission.ARTICLE_READ,
            check=Check.EACH,
            handler=list_all,
            query=ArticleListing,
            answer=Page[ArticleView],
        ),
        Route(
            method=Method.GET,
            path="/v1/article-search",
            summary="Search articles by their words",
            access=Permission.ARTICLE_READ,
            check=Check.EACH,
            handler=find,
            query=ArticleSearch,
            answer=ArticlesView,
        ),
        Route(
            method=Method.GET,
            path="/v1/article-suggestions",
            summary="Suggest articles for a call",
            access=Permission.ARTICLE_READ,
            check=Check.EACH,
            handler=suggest,
            query=Suggestion,
            answer=ArticlesView,
            problems=(NOT_FOUND,),
        ),
        Route(
            method=Method.POST,
            path="/v1/articles",
            summary="Add an article",
            access=Permission.ARTICLE_WRITE,
            handler=create,
            body=ArticleDraft,
            answer=ArticleView,
            status=201,
            is_versioned=True,
            is_idempotent=True,
        ),
        Route(
            method=Method.GET,
            path="/v1/articles/{article}",
            summary="Show an article",
            access=Permission.ARTICLE_READ,
            handler=show,
            thing=_thing,
            at=ArticlePath,
            answer=ArticleView,
            is_versioned=True,
        ),
        Route(
            method=Method.GET,
            path="/v1/articles/{article}/versions",
            summary="Show how an article stood before, perhaps for other readers",
            access=Permission.ARTICLE_WRITE,
            handler=show_versions,
            thing=_thing,
            at=ArticlePath,
            answer=VersionsView,
        ),
        Route(
            method=Method.PUT,
            path="/v1/articles/{article}",
            summary="Write the next version of an article",
            access=Permission.ARTICLE_WRITE,
            handler=change,
            thing=_thing,
            at=ArticlePath,
            body=ArticleDraft,
            answer=ArticleView,
            is_versioned=True,
        ),
        Route(
            method=Method.DELETE,
            path="/v1/articles/{article}",
            summary="Withdraw an article",
            access=Permission.ARTICLE_WRITE,
            handler=withdraw,
            thing=_thing,
            at=ArticlePath,
            status=204,
            is_versioned=True,
        ),
    ),
)
