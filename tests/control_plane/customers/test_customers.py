"""Customers over the API: what is kept, found, masked, merged."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from control_plane.customers import files, lines, secrets
from control_plane.permissions import Role
from tests.control_plane.center import Center, Reply
from tests.control_plane.customers.stage import ANNA, SAID, WHY, add, approval, chain, talk


async def test_a_customer_is_added_shown_changed_and_found(center: Center) -> None:
    manager, made = await add(center)
    where = made.headers["Location"]
    assert made.json["contact"]["numbers"] == ["+49301234567", "+493098765"]
    assert made.json["sensitive"] is None, "a manager sees not even which are filled"
    sent = {"name": "Anna Berg", "numbers": ["+493011111"]}
    changed = await manager.ask("PATCH", where, sent, {"If-Match": '"1"'})
    assert (changed.status, changed.json["basic"]["name"]) == (200, "Anna Berg")
    assert changed.json["notes"] == ANNA["notes"]
    for query, count in {
        "name=ber": 1, "name=ANNA be": 1, "name=osterreich": 0, "number=%2B493011111": 1,
        "number=%2B49301234567": 0, "tag=gold": 1, "tag=silver": 0,
    }.items():  # fmt: skip
        found = await manager.get(f"/v1/customers?{query}")
        assert (query, len(found.json["items"])) == (query, count)


async def test_since_when_there_is_a_consent_and_who_took_it_down_is_in_the_history(
    center: Center,
) -> None:
    manager, made = await add(center)
    other = await center.person(Role.MANAGER)
    where, seen = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    body = {"consent": {"marketing": False, "recording": True}}
    changed = await other.ask("PATCH", where, body, seen)
    seen = {"If-Match": changed.headers["ETag"]}
    assert (await other.ask("PATCH", where, {"consent": {"recording": True}}, seen)).status == 200
    history = (await manager.get(f"{where}/history")).json["items"]
    assert {(each["reference"], each["what"], each["by"]) for each in history} == {
        ("marketing", "given", manager.id), ("marketing", "refused", other.id),
        ("recording", "given", other.id), ("marketing", "taken out", other.id),
    }  # fmt: skip


async def test_the_pop_shows_who_may_be_calling(center: Center) -> None:
    manager, made = await add(center)
    pop = await manager.get("/v1/customers/by-number/+493098765")
    assert [each["id"] for each in pop.json["customers"]] == [made.json["id"]]
    assert (await manager.get("/v1/customers/by-number/+4930555")).json == {"customers": []}


async def test_an_outsourced_agent_gets_their_caller_masked_and_no_forbidden_byte(
    center: Center,
) -> None:
    manager, made = await add(center)
    where = made.headers["Location"]
    outsourced = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    paths = (
        "/v1/customers/by-number/+493098765", where, f"{where}/history", f"{where}/sensitive",
        f"{where}/duplicates", "/v1/customers", "/v1/customers?name=anna",
        "/v1/customers?sort=name", "/v1/customers?field=national_id&value=AB1234cd",
    )  # fmt: skip
    for talking in ((), ("o2",), ("o1",)):
        talk(center, "+493098765", *talking)
        for path in paths:
            reply = await outsourced.get(path, **WHY)
            for value in SAID:
                assert value.encode() not in reply.body, (path, talking)
            if talking != ("o1",):
                assert made.json["id"].encode() not in reply.body, path
    pop = (await outsourced.get(paths[0])).json["customers"][0]
    assert pop["basic"]["name"] == "A. Ö."
    assert pop["contact"]["numbers"] == ["+49••••67", "+49••••65"]
    assert (pop["notes"], pop["sensitive"], pop["has_legal_hold"]) == (None, None, None)
    assert (await manager.get(paths[0])).json["customers"][0]["contact"]["is_masked"] is False


async def test_a_caller_of_a_colleague_looks_like_nobody(center: Center) -> None:
    _, made = await add(center)
    outsourced = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    talk(center, "+493098765", "o2")
    theirs = await outsourced.get(made.headers["Location"])
    nobody = await outsourced.get("/v1/customers/cus_nobody")
    assert theirs.status == nobody.status == 404
    assert theirs.json | {"request_id": ""} == nobody.json | {"request_id": ""}


@pytest.mark.parametrize(
    "query",
    [
        "number=%2B493098765", "field=national_id&value=AB1234cd", "value=x",
    ],
)  # fmt: skip
async def test_what_is_masked_can_be_neither_searched_nor_counted(
    center: Center, query: str
) -> None:
    await add(center)
    supervisor = await center.person(Role.SUPERVISOR)
    found = await supervisor.get(f"/v1/customers?{query}")
    assert (found.status, found.error_id) == (403, "not-searchable")
    assert (await supervisor.get("/v1/customers?name=anna&sort=-name")).status == 200


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR])
async def test_a_masked_number_cannot_be_guessed_by_looking_numbers_up(
    center: Center, role: Role
) -> None:
    _, made = await add(center)
    person = await center.person(role, agent="a1", team="t")
    where = "/v1/customers/by-number/+493098765"
    for talking in ((), ("a2",)):
        talk(center, "+493098765", *talking)
        assert (await person.get(where)).json == {"customers": []}
    talk(center, "+493098765", "a1")
    told = (await person.get(where)).json["customers"]
    assert [each["id"] for each in told] == [made.json["id"]]


async def test_an_agent_cannot_put_masked_names_in_order(center: Center) -> None:
    await add(center)
    agent = await center.person(Role.AGENT, agent="a1")
    talk(center, "+493098765", "a2")
    listed = await agent.get("/v1/customers")
    assert [each["basic"]["name"] for each in listed.json["items"]] == ["A. Ö."]
    for query in ("sort=name", "sort=-name", "name=an", "tag=gold"):
        assert (await agent.get(f"/v1/customers?{query}")).error_id == "not-searchable"


async def test_an_agent_on_the_call_may_change_the_address_and_no_sensitive_field(
    center: Center,
) -> None:
    _, made = await add(center)
    agent = await center.person(Role.AGENT, agent="a1")
    where = made.headers["Location"]
    change = {"address": "Elsewhere 1"}
    talk(center, "+493098765", "a2")
    refused = await agent.ask("PATCH", where, change, {"If-Match": '"1"'})
    assert refused.status == 403
    talk(center, "+493098765", "a1")
    assert (await agent.ask("PATCH", where, change, {"If-Match": '"1"'})).status == 200
    secret = {"sensitive": {"payment_card": "5555"}}
    assert (await agent.ask("PATCH", where, secret, {"If-Match": '"2"'})).status == 403


async def test_a_foreign_tenants_customer_looks_exactly_like_a_missing_one(center: Center) -> None:
    _, made = await add(center)
    await center.tenant("other")
    stranger = await center.person(Role.MANAGER, Role.PRIVACY_OFFICER, tenant="other")
    missing = "/v1/customers/cus_nobody"
    for tail in ("", "/history", "/sensitive", "/duplicates"):
        theirs = await stranger.get(made.headers["Location"] + tail, **WHY)
        nobody = await stranger.get(missing + tail, **WHY)
        assert theirs.status == 404
        assert theirs.json | {"request_id": ""} == nobody.json | {"request_id": ""}
    assert (await stranger.get("/v1/customers/by-number/+493098765")).json["customers"] == []
    assert (await stranger.get("/v1/customers")).json["items"] == []


async def test_faults_of_a_customer_never_quote_a_value(center: Center) -> None:
    manager, _ = await add(center)
    wrong = ANNA | {"numbers": ["0049-not-a-number"], "email": "anna at example", "language": "DE!"}
    reply = await manager.post("/v1/customers", wrong)
    assert reply.status == 422
    assert {each["where"] for each in reply.json["faults"]} >= {"body.email", "body.numbers.0"}
    for value in ("not-a-number", "anna at", "DE!"):
        assert value.encode() not in reply.body


async def test_sensitive_fields_are_found_exactly_and_read_with_a_purpose(center: Center) -> None:
    _, made = await add(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    where = f"{made.headers['Location']}/sensitive"
    assert (await officer.get(where)).status in (403, 404)
    assert (await officer.get(where, **WHY)).json == {"fields": ANNA["sensitive"]}
    search = "/v1/customers?field=national_id&value=ab1234CD"
    found = await officer.get(search, **WHY)
    assert [each["id"] for each in found.json["items"]] == [made.json["id"]]
    assert (await officer.get(search + "x", **WHY)).json["items"] == []
    card = await officer.get("/v1/customers?field=payment_card&value=4111111111111111", **WHY)
    assert card.error_id == "invalid"


async def test_a_tenant_marks_a_field_as_sensitive(center: Center) -> None:
    admin = await center.person(Role.TENANT_ADMIN)
    secret = {"sensitive": {"patient_no": "P-77"}}
    manager = await center.person(Role.MANAGER)
    refused = await manager.post("/v1/customers", ANNA | secret)
    assert refused.error_id == "field-unknown"
    marked = await admin.post("/v1/customer-fields", {"name": "patient_no", "is_searchable": True})
    assert marked.json["fields"]["patient_no"] is True
    assert (await manager.post("/v1/customers", ANNA | secret)).status == 201
    async with center.services.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT sealed FROM customer_sealed")
        assert {b"P-77" in bytes(row[0]) for row in rows} == {False}


async def test_a_sensitive_field_is_emptied_and_found_no_more(center: Center) -> None:
    manager, made = await add(center)
    officer = await center.person(Role.PRIVACY_OFFICER)
    where, seen = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    body = {"sensitive": {"national_id": None, "payment_card": "5500"}}
    assert (await manager.ask("PATCH", where, body, seen)).status == 200
    left = await officer.get(f"{where}/sensitive", **WHY)
    assert left.json["fields"] == {"payment_card": "5500"}
    found = await officer.get("/v1/customers?field=national_id&value=ab1234CD", **WHY)
    assert found.json["items"] == []
    assert (await officer.get(where, **WHY)).json["sensitive"] == ["payment_card"]


async def test_a_field_that_becomes_searchable_finds_who_has_had_it(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "IN_ONE", 2)
    admin = await center.person(Role.TENANT_ADMIN)
    officer = await center.person(Role.PRIVACY_OFFICER)
    for number in range(5):
        await add(center, sensitive={"payment_card": f"card {number}"})

    async def mark(*, is_searchable: bool) -> Reply:
        draft = {"name": "payment_card", "is_searchable": is_searchable}
        return await admin.post("/v1/customer-fields", draft)

    async def find() -> list[Reply]:
        query = "/v1/customers?field=payment_card&value=card%20"
        return [await officer.get(f"{query}{number}", **WHY) for number in range(5)]

    assert {each.error_id for each in await find()} == {"invalid"}
    assert (await mark(is_searchable=True)).status == 200
    assert [len(each.json["items"]) for each in await find()] == [1] * 5
    assert (await mark(is_searchable=False)).status == 200
    assert {each.error_id for each in await find()} == {"invalid"}
    async with center.app[secrets.KEYS]._database.read() as connection:  # noqa: SLF001
        rows = await connection.exec_driver_sql("SELECT count(*) FROM blind_index")
        assert rows.scalar_one() == 0, "what nobody may search by any more is forgotten"


@pytest.mark.parametrize("name", ["name", "numbers", "sensitive"])
async def test_what_every_customer_has_anyway_is_marked_by_nobody(
    center: Center, name: str
) -> None:
    admin = await center.person(Role.TENANT_ADMIN)
    assert (await admin.post("/v1/customer-fields", {"name": name})).error_id == "invalid"


async def test_duplicates_are_merged_and_parted_again(center: Center) -> None:
    manager, made = await add(center)
    other = {"name": "A. Österreich", "numbers": ["+493098765", "+4930222"], "tags": ["vip"]}
    second = await manager.post("/v1/customers", other)
    where, gone = made.headers["Location"], second.json["id"]
    found = await manager.get(f"{where}/duplicates")
    assert [each["id"] for each in found.json["customers"]] == [gone]
    merged = await manager.post(f"{where}/merge", {"gone": gone})
    kept = (await manager.get(where)).json
    assert kept["contact"]["numbers"] == ["+49301234567", "+493098765", "+4930222"]
    pop = await manager.get("/v1/customers/by-number/+4930222")
    assert [each["id"] for each in pop.json["customers"]] == [made.json["id"]]
    again = await manager.post(f"{where}/merge", {"gone": gone})
    assert again.error_id == "cannot-merge"
    undone = await manager.ask("POST", f"/v1/customer-merges/{merged.json['id']}/undo")
    assert undone.status == 200
    kept = (await manager.get(where)).json
    assert kept["contact"]["numbers"] == ["+49301234567", "+493098765"]
    assert kept["basic"]["tags"] == ["gold"]
    pop = await manager.get("/v1/customers/by-number/+4930222")
    assert [each["id"] for each in pop.json["customers"]] == [gone]
    history = (await manager.get(f"{where}/history")).json["items"]
    told = {each["what"] for each in history if each["kind"] == "merge"}
    assert told == {"merged", "parted"}


@pytest.mark.parametrize("name", ["X", "Y" * 150, "\N{EM DASH}", "Ünï 漢字"])
async def test_the_duplicates_of_any_name_are_found(center: Center, name: str) -> None:
    manager = await center.person(Role.MANAGER)
    ids = [
        (await manager.post("/v1/customers", {"name": each})).json["id"]
        for each in (name, name.upper(), f"{name} a")
    ]
    found = await manager.get(f"/v1/customers/{ids[0]}/duplicates")
    assert [each["id"] for each in found.json["customers"]] == [ids[1]]


async def test_numbers_that_several_have_are_listed_page_by_page(center: Center) -> None:
    manager, _ = await add(center)
    await manager.post("/v1/customers", {"name": "Anna", "numbers": ["+493098765"]})
    for name in ("Bo", "Bob", "Bobby"):
        await manager.post("/v1/customers", {"name": name, "numbers": ["+4930222"]})
    first = (await manager.get("/v1/customer-duplicates?limit=1")).json
    assert [each["number"] for each in first["items"]] == ["+4930222"]
    names = {each["basic"]["name"] for each in first["items"][0]["customers"]}
    assert names == {"Bo", "Bob", "Bobby"}
    second = (await manager.get(f"/v1/customer-duplicates?cursor={first['next']}")).json
    assert [each["number"] for each in second["items"]] == ["+493098765"]
    assert second["next"] is None
    await center.tenant("t2")
    stranger = await center.person(Role.MANAGER, tenant="t2")
    assert (await stranger.get("/v1/customer-duplicates")).json["items"] == []


async def test_merges_are_parted_in_the_order_in_which_they_can_be(center: Center) -> None:
    manager, (ada, bo, cy), (first, second) = await chain(center)

    async def numbers(customer: str) -> list[str]:
        return list((await manager.get(f"/v1/customers/{customer}")).json["contact"]["numbers"])

    early = await manager.post(f"/v1/customer-merges/{first}/undo", None)
    assert early.error_id == "cannot-merge"
    assert "first" in early.json["detail"]
    assert len(await numbers(cy)) == 3
    for merge in (second, first):
        assert (await manager.post(f"/v1/customer-merges/{merge}/undo", None)).status == 200
    assert [await numbers(each) for each in (ada, bo, cy)] == [
        ["+493055500"], ["+493055501"], ["+493055502"],
    ]  # fmt: skip


async def test_an_import_tells_each_fault_by_line_and_field_and_adds_the_rest(
    center: Center,
) -> None:
    manager = await center.person(Role.MANAGER)
    file = (
        b'name,numbers,notes,national_id\r\n"Berg, Bo",030 5551234,"two\r\nlines",X1\r\n'
        b",+4930777,,\r\nCleo,not-a-number,,\r\nDora,+4930888\r\nEmil,+4930999;+4930998,,\r\n"
    )
    sent = {"Content-Type": "text/csv"}
    for dry, kept in (("true", 0), ("false", 2)):
        reply = await manager.post(f"/v1/customer-import?dry_run={dry}&region=DE", file, sent)
        lines = [json.loads(each) for each in reply.body.splitlines()]
        assert [(each["line"], each["field"]) for each in lines[:-1]] == [
            (4, "name"), (5, "numbers"), (6, ""),
        ]  # fmt: skip
        assert lines[-1] == {
            "records": 5, "added": 2, "known": 0, "faulty": 3, "done": True,
        }  # fmt: skip
        assert b"not-a-number" not in reply.body
        assert len((await manager.get("/v1/customers")).json["items"]) == kept
    found = await manager.get("/v1/customers/by-number/+49305551234")
    assert found.json["customers"][0]["notes"] == "two\r\nlines"
    officer = await center.person(Role.PRIVACY_OFFICER)
    shown = await officer.get(f"/v1/customers/{found.json['customers'][0]['id']}", **WHY)
    assert shown.json["sensitive"] == ["national_id"]


@pytest.mark.parametrize(
    "file", [b"", b"x" * 200_000, b"name;numbers\n", "name\n".encode("utf-16")]
)
async def test_a_file_that_is_none_is_a_problem_that_says_what_it_should_be(
    center: Center, file: bytes
) -> None:
    manager = await center.person(Role.MANAGER)
    reply = await manager.post("/v1/customer-import", file, {"Content-Type": "text/csv"})
    assert reply.error_id == "bad-request"
    assert "UTF-8 with commas" in reply.json["detail"]


async def test_a_line_that_is_too_long_is_told_and_the_rest_is_added(center: Center) -> None:
    manager = await center.person(Role.MANAGER)
    file = b"name\nAda\n" + b"x" * 5_000_000 + b"\nBo\n"
    reply = await manager.post("/v1/customer-import", file, {"Content-Type": "text/csv"})
    told = [json.loads(each) for each in reply.body.splitlines()]
    assert (told[0]["line"], told[-1]["added"]) == (3, 2)
    assert "64 KiB" in told[0]["fault"]


async def test_others_have_their_turn_while_an_import_looks_at_its_records(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a batch comes at once: each record takes a while to judge."""
    turns, draft, in_turn = 0, lines.draft, Counter[int]()

    def counted(*about: Any) -> Any:  # noqa: ANN401 - as it is there
        in_turn[turns] += 1
        return draft(*about)

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(files, "draft", counted)
    manager = await center.person(Role.MANAGER)
    file = b"name\n" + b"".join(b"Ada %d\n" % number for number in range(files.BATCH - 1))
    taking = asyncio.create_task(take_turns())
    reply = await manager.post("/v1/customer-import", file, {"Content-Type": "text/csv"})
    taking.cancel()
    assert json.loads(reply.body.splitlines()[-1])["added"] == files.BATCH - 1
    assert max(in_turn.values()) <= files.IN_A_ROW


@pytest.mark.parametrize("batch", [1, 500])
async def test_who_is_known_by_number_is_counted_and_left_out_if_so_wanted(
    center: Center, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(files, "BATCH", batch)
    manager, _ = await add(center)
    file = b"name,numbers\nAnna,+493098765\nBo,+4930222\nBob,+4930333;+4930222\nCy,\nDa,\n"
    sent = {"Content-Type": "text/csv", "Idempotency-Key": "k"}

    async def report(query: str) -> list[dict[str, Any]]:
        reply = await manager.post(f"/v1/customer-import?{query}", file, sent)
        told = [json.loads(each) for each in reply.body.splitlines()]
        return [each for each in told if each.get("done", True)]

    *none, counted = await report("dry_run=true")
    assert (none, counted["added"], counted["known"]) == ([], 5, 2)
    asked = (("known=skip&dry_run=true", False), ("known=skip", False), ("known=skip", True))
    for query, is_again in asked:
        *left_out, counted = await report(query)
        assert (counted["added"], counted["known"], counted["faulty"]) == (3, 2, 0)
        told = [(each["line"], each["field"]) for each in left_out]
        assert told == ([] if is_again else [(2, "numbers"), (4, "numbers")])
    names = (await manager.get("/v1/customers?number=%2B4930222")).json["items"]
    assert [each["basic"]["name"] for each in names] == ["Bo"]


async def test_an_import_that_was_cut_off_goes_on_where_it_was_with_its_key(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH", 2)
    manager = await center.person(Role.MANAGER)
    file = b"name\n" + b"".join(b"Person %d\n" % number for number in range(5))
    sent = {"Content-Type": "text/csv", "Idempotency-Key": "spring"}

    async def report(body: bytes) -> list[dict[str, object]]:
        reply = await manager.post("/v1/customer-import", body, sent)
        return [json.loads(each) for each in reply.body.splitlines()]

    cut = b"\n".join(file.split(b"\n")[:3]) + b"\n"
    done = {"known": 0, "faulty": 0, "done": True}
    assert (await report(cut))[-1] == {"records": 2, "added": 2, **done}
    for _ in range(2):
        whole = await report(file)
        assert whole[-1] == {"records": 5, "added": 5, **done}
        assert len((await manager.get("/v1/customers")).json["items"]) == 5
    other = (await report(file.replace(b"Person 1", b"Person 7")))[-1]
    assert (other["line"], other["fault"]) == (6, files.OTHER_FILE)
    shorter = (await report(cut))[-1]
    assert shorter["fault"] == files.OTHER_FILE
    assert len((await manager.get("/v1/customers")).json["items"]) == 5


async def test_a_merge_that_is_sent_twice_with_one_key_is_done_once(center: Center) -> None:
    manager, one = await add(center)
    gone = (await manager.post("/v1/customers", {"name": "Anna A."})).json["id"]
    path, sent = f"/v1/customers/{one.json['id']}/merge", {"Idempotency-Key": "k"}
    told = [await manager.post(path, {"gone": gone}, sent) for _ in range(2)]
    assert [each.status for each in told] == [200, 200]
    assert told[0].json == told[1].json
    assert told[1].headers["Idempotent-Replayed"] == "true"


async def test_an_export_takes_a_purpose_and_a_second_person_once(center: Center) -> None:
    manager, made = await add(center)
    path = "/v1/customer-export"
    assert (await manager.ask("POST", path, headers=WHY)).status == 403
    sent = await approval(center, "customer:export", "customers", "customers")
    given = await manager.ask("POST", path, headers=sent)
    assert [json.loads(each)["id"] for each in given.body.splitlines()] == [made.json["id"]]
    for secret in ANNA["sensitive"].values():  # type: ignore[attr-defined]
        assert secret.encode() not in given.body
    assert (await manager.ask("POST", path, headers=sent)).status == 403
    own = await manager.post(
        "/v1/approvals", {"act": "customer:export", "thing": "customers", "digest": "customers"}
    )
    mine = WHY | {"Everline-Approval": own.json["id"]}
    assert (await manager.ask("POST", path, headers=mine)).status == 403
