"""What the API takes and gives of articles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Line, Name
from control_plane.api.paging import Listing

Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Language = Annotated[str, Field(max_length=12, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
Body = Annotated[str, Field(max_length=200_000)]


class ArticlePath(ApiModel):
    """Which one."""

    article: Id


class ArticleListing(Listing):
    """Filters; left out, they do not matter."""

    language: Language | None = None


class ArticleSearch(ApiModel):
    """What is looked for: beginnings of words."""

    q: Annotated[str, Field(min_length=1, max_length=200)]
    language: Language | None = None


class Suggestion(ApiModel):
    """For what call articles are wanted."""

    queue: Id
    customer: Id | None = None


class ArticleDraft(ApiModel):
    """An article, or what it is to be from now on."""

    language: Language
    title: Name
    body: Body
    tags: Annotated[tuple[Tag, ...], Field(max_length=50)] = ()
    queues: Annotated[tuple[Id, ...], Field(max_length=50)] = ()
    """For whose calls it is suggested."""
    employer: Line = ""
    """Whose people may read it; empty: ours."""


class ArticleView(ArticleDraft):
    """An article."""

    id: str
    version: int
    created: Instant
    updated: Instant


class ArticlesView(ApiModel):
    """The best first."""

    items: tuple[ArticleView, ...]


class VersionView(ApiModel):
    """An article as it stood."""

    version: int
    title: str
    body: str
    by: str
    at: Instant


class VersionsView(ApiModel):
    """The newest first."""

    items: tuple[VersionView, ...]
