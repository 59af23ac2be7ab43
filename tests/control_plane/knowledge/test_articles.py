"""Articles: versions, full-text search on both databases, and who may read which."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.knowledge import search
from control_plane.knowledge.search import query
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person

REFUND: dict[str, Any] = {
    "language": "en", "title": "Refunds", "body": "Money goes back to the card within a week.",
    "tags": ["billing"], "queues": ["sales"],
}  # fmt: skip
MODEM: dict[str, Any] = {
    "language": "en", "title": "Modem lights", "body": "Refunds are not for modems.",
    "tags": ["gold"], "queues": ["support"], "employer": "x",
}  # fmt: skip


async def _write(center: Center) -> tuple[Person, str, str]:
    manager = await center.person(Role.MANAGER)
    made = [await manager.post("/v1/articles", each) for each in (REFUND, MODEM)]
    assert [each.status for each in made] == [201, 201], made
    return manager, made[0].json["id"], made[1].json["id"]


async def _found(person: Person, path: str) -> list[str]:
    reply = await person.get(path)
    assert reply.status == 200, reply.body
    return [each["id"] for each in reply.json["items"]]


async def test_articles_are_found_by_beginnings_of_words_the_title_first(center: Center) -> None:
    manager, refund, modem = await _write(center)
    path = "/v1/article-search?q="
    assert await _found(manager, f"{path}refund") == [refund, modem]
    assert await _found(manager, f"{path}card%20wee") == [refund]
    assert await _found(manager, f"{path}billing") == [refund]
    assert await _found(manager, f"{path}refund&language=de") == []
    assert await _found(manager, f"{path}elephant") == []


@pytest.mark.parametrize("said", ["%22", "NEAR(a", "a*%20OR%20b", "%27:*%20%7C", "title:x", "-"])
async def test_what_people_type_is_no_operator(center: Center, said: str) -> None:
    manager, _, _ = await _write(center)
    assert await _found(manager, f"/v1/article-search?q={said}") == []


@given(st.text())
def test_a_query_holds_quoted_words_only(said: str) -> None:
    for dialect, quote in (("sqlite", '"'), ("postgresql", "'")):
        made = query(said, dialect) or ""
        parts = made.split(quote)
        assert [word for word in parts[1::2] if not word.isalnum()] == []
        assert set(parts[::2]) <= {"", "* AND ", "*", ":* & ", ":*"}


async def test_each_version_is_kept_and_search_knows_the_newest(center: Center) -> None:
    manager, refund, _ = await _write(center)
    where = f"/v1/articles/{refund}"
    newer = REFUND | {"body": "Vouchers only."}
    changed = await manager.ask("PUT", where, newer, {"If-Match": '"1"'})
    assert (changed.status, changed.json["version"]) == (200, 2)
    stale = await manager.ask("PUT", where, newer, {"If-Match": '"1"'})
    assert stale.error_id == "version-mismatch"
    kept = (await manager.get(f"{where}/versions")).json["items"]
    assert [each["body"] for each in kept] == ["Vouchers only.", REFUND["body"]]
    assert await _found(manager, "/v1/article-search?q=vouchers") == [refund]
    assert await _found(manager, "/v1/article-search?q=money") == []


async def test_an_outsourced_agent_reads_only_what_is_for_their_employer(center: Center) -> None:
    _, refund, modem = await _write(center)
    outsourced = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    assert await _found(outsourced, "/v1/article-search?q=refund") == [modem]
    assert await _found(outsourced, "/v1/articles") == [modem]
    assert (await outsourced.get(f"/v1/articles/{refund}")).status == 404
    assert (await outsourced.get(f"/v1/articles/{refund}/versions")).status == 403
    # What was for our own people once is not told by a version that is for others, too.
    assert (await outsourced.get(f"/v1/articles/{modem}/versions")).status == 403
    assert (await outsourced.post("/v1/articles", REFUND)).status == 403


async def test_what_may_not_be_shown_takes_nobodys_place_in_a_search(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST", 2)
    manager = await center.person(Role.MANAGER)
    for number in range(5):
        await manager.post("/v1/articles", REFUND | {"title": f"Refund {number}"})
    german = {"language": "de", "title": "Geld", "body": "refund", "employer": "x"}
    wanted = (await manager.post("/v1/articles", german)).json["id"]
    outsourced = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    assert len(await _found(manager, "/v1/article-search?q=refund")) == 2
    assert await _found(manager, "/v1/article-search?q=refund&language=de") == [wanted]
    assert await _found(outsourced, "/v1/article-search?q=refund") == [wanted]


async def test_an_article_that_is_withdrawn_is_found_and_suggested_no_more(center: Center) -> None:
    manager, refund, _ = await _write(center)
    where = f"/v1/articles/{refund}"
    agent = await center.person(Role.AGENT, agent="a1")
    assert (await agent.ask("DELETE", where, headers={"If-Match": '"1"'})).status == 403
    late = await manager.ask("DELETE", where, headers={"If-Match": '"7"'})
    assert late.error_id == "version-mismatch"
    assert (await manager.ask("DELETE", where, headers={"If-Match": '"1"'})).status == 204
    assert (await manager.get(where)).status == 404
    for path in ("/v1/article-search?q=billing", "/v1/article-suggestions?queue=sales"):
        assert await _found(manager, path) == []
    async with center.services.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT count(*) FROM article_versions")
        assert rows.scalar_one() == 1


async def test_a_call_is_suggested_its_queues_articles_and_those_for_the_customer(
    center: Center,
) -> None:
    manager, refund, modem = await _write(center)
    path = "/v1/article-suggestions?queue=sales"
    assert await _found(manager, path) == [refund]
    made = await manager.post("/v1/customers", {"name": "Anna", "tags": ["gold"]})
    assert await _found(manager, f"{path}&customer={made.json['id']}") == [refund, modem]
    outsourced = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    hidden = await outsourced.get(f"{path}&customer={made.json['id']}")
    assert hidden.status == 404


async def test_an_outsourcers_agent_is_suggested_theirs_behind_many_that_are_ours(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST", 2)
    manager = await center.person(Role.MANAGER)
    theirs = await manager.post("/v1/articles", MODEM | {"queues": ["sales"]})
    for number in range(5):
        await manager.post("/v1/articles", REFUND | {"title": f"Refunds {number}"})
    outsourced = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    path = "/v1/article-suggestions?queue=sales"
    assert await _found(outsourced, path) == [theirs.json["id"]]
    assert len(await _found(manager, path)) == 2


async def test_another_tenant_finds_nothing(center: Center) -> None:
    _, refund, _ = await _write(center)
    await center.tenant("other")
    stranger = await center.person(Role.MANAGER, tenant="other")
    for path in ("/v1/articles", "/v1/article-search?q=refund"):
        assert await _found(stranger, path) == []
    assert (await stranger.get(f"/v1/articles/{refund}")).status == 404
