"""The configuration over the API, on both databases; without a shared state to publish to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from control_plane.configuration.check import check
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import NOTHING, Edit, applied
from control_plane.permissions import Role
from state.configuration import ha1_of
from tests.control_plane.center import Center, Person, Reply

SITE = {"id": "a", "sip": "198.18.1.10:5060", "name": "Alpha"}
QUEUE = {"id": "sales", "needs": {"sales": 3}}
DID = {"id": "4930100", "queue": "sales"}
AGENT = {"id": "anna", "site": "a", "skills": {"sales": 7}, "password": "open sesame 1"}
WORDS = ("open sesame 1", "another word")


async def staff(center: Center, tenant: str = "main") -> Person:
    """Return somebody who may do it all."""
    return await center.person(Role.MANAGER, Role.SRE, tenant=tenant)


async def added(person: Person, section: str, body: dict[str, Any], query: str = "") -> Reply:
    reply = await person.post(f"/v1/{section}{query}", body)
    assert reply.status == 201, reply.body
    return reply


async def whole(center: Center) -> Person:
    """Make a site, a queue, a number and an agent."""
    person = await staff(center)
    for section, body in (("sites", SITE), ("agents", AGENT), ("queues", QUEUE), ("dids", DID)):
        await added(person, section, body)
    return person


async def test_a_table_is_added_shown_replaced_and_deleted(center: Center) -> None:
    person = await whole(center)
    shown = await person.get("/v1/queues/sales")
    etag = shown.headers["ETag"]
    assert (shown.json["needs"], shown.json["ring_timeout_s"]) == ({"sales": 3}, 15.0)
    changed = await person.ask(
        "PUT", "/v1/queues/sales", {"needs": {"sales": 2}, "priority": 4}, {"If-Match": etag}
    )
    assert changed.status == 200, changed.body
    assert changed.json["changes"] == [
        {
            "section": "queues",
            "id": "sales",
            "before": {"needs": {"sales": 3}},
            "after": {"needs": {"sales": 2}, "priority": 4},
        }
    ]
    again = await person.get("/v1/queues/sales")
    assert again.headers["ETag"] == changed.headers["ETag"] == f'"{changed.json["version"]}"'
    await added(person, "queues", {"id": "spare", "needs": {}})
    spare = (await person.get("/v1/queues/spare")).headers["ETag"]
    gone = await person.ask("DELETE", "/v1/queues/spare", headers={"If-Match": spare})
    assert (gone.status, gone.json["changes"][0]["after"]) == (200, None)
    assert (await person.get("/v1/queues/spare")).error_id == "not-found"


async def test_a_queue_of_an_outsourcer_is_shown_to_its_people_alone(center: Center) -> None:
    person = await whole(center)
    await added(person, "queues", {"id": "theirs", "needs": {}, "employer": "x"})
    assert (await person.get("/v1/queues/theirs")).json["employer"] == "x"
    mine = await center.person(Role.OUTSOURCED_AGENT, agent="o1", employer="x")
    other = await center.person(Role.OUTSOURCED_AGENT, agent="o2", employer="y")
    assert (await mine.get("/v1/queues/theirs")).json["id"] == "theirs"
    assert [each["id"] for each in (await mine.get("/v1/queues")).json["items"]] == ["theirs"]
    assert (await other.get("/v1/queues/theirs")).status == 404
    assert (await other.get("/v1/queues")).json["items"] == []
    assert (await mine.get("/v1/queues/sales")).status == 404, "ours"


async def test_of_two_who_edit_at_once_one_is_told_to_read_again(center: Center) -> None:
    person = await whole(center)
    etag = (await person.get("/v1/queues/sales")).headers["ETag"]
    replies = await asyncio.gather(
        *(
            person.ask("PUT", "/v1/queues/sales", {"needs": {}, "priority": n}, {"If-Match": etag})
            for n in (1, 2, 3)
        )
    )
    assert sorted(reply.status for reply in replies) == [200, 412, 412]


async def test_edits_of_different_tables_at_once_all_become_versions(center: Center) -> None:
    person = await staff(center)
    replies = await asyncio.gather(
        *(person.post("/v1/skills", {"id": f"skill{n}"}) for n in range(8))
    )
    assert sorted(reply.json["version"] for reply in replies) == list(range(1, 9))


async def test_what_would_break_the_whole_is_refused_and_says_the_way_out(center: Center) -> None:
    person = await whole(center)
    reply = await person.post("/v1/dids", {"id": "4930200", "queue": "nowhere"})
    assert (reply.status, reply.error_id) == (422, "configuration-broken")
    (finding,) = reply.json["findings"]
    assert (finding["section"], finding["id"], finding["field"]) == ("dids", "4930200", "queue")
    assert finding["remedy"]
    etag = (await person.get("/v1/queues/sales")).headers["ETag"]
    gone = await person.ask("DELETE", "/v1/queues/sales", headers={"If-Match": etag})
    assert gone.error_id == "configuration-broken"
    assert (await person.get("/v1/queues/sales")).status == 200


async def test_a_region_that_is_none_and_one_that_contradicts_are_warnings(center: Center) -> None:
    person = await center.person(Role.MANAGER, Role.SRE)
    for address, name, region, fault in (
        (1, "one", "DE", ""),
        (2, "two", "XX", "XX is no country whose numbers are known"),
        (3, "three", "FR", "the trunk 'one' of the tenant 'main' says DE"),
    ):
        draft = {"id": name, "addresses": [f"198.51.100.{address}"], "region": region}
        draft |= {"tenants": ["t2"]} if name == "two" else {}
        told = (await person.post("/v1/trunks", draft)).json["findings"]
        mine = [each["fault"] for each in told if each["id"] == name]
        assert [each.startswith(fault) for each in mine] == [True] * bool(fault), (name, told)
    queue = {"id": "any", "needs": {}}
    assert (await person.post("/v1/queues", queue)).status == 201
    did = {"id": "+4930100", "queue": "any", "region": "YY"}
    told = (await person.post("/v1/dids", did)).json["findings"]
    faults = {each["id"]: each["fault"] for each in told}
    assert faults["+4930100"] == "YY is no country whose numbers are known"
    assert "three" not in faults, "each DID says its own region"
    refused = await person.post(
        "/v1/trunks", {"id": "four", "addresses": ["198.51.100.7"], "region": "de"}
    )
    assert refused.error_id == "invalid"


@pytest.mark.parametrize("agent", ["-x", ".x"])
def test_an_agent_who_was_given_an_id_under_which_nobody_signs_in_is_a_warning(agent: str) -> None:
    """Their center must still be able to publish, such as a contingency plan."""
    site = Edit(section="sites", id="a", body={"sip": "198.18.1.10:5060"})
    mine = Edit(section="agents", id=agent, body={"site": "a", "skills": {}})
    checked = check(applied(NOTHING, [site, mine], 1))
    (finding,) = checked.findings
    assert (finding.severity, finding.section, finding.id) == ("warning", "agents", agent)
    assert [each.id for each in checked.configuration.agents] == [agent]


async def test_a_queue_that_nobody_can_serve_is_a_warning(center: Center) -> None:
    person = await whole(center)
    reply = await added(person, "queues", {"id": "dutch", "needs": {"dutch": 1}})
    (finding,) = reply.json["findings"]
    assert (finding["severity"], finding["id"], finding["field"]) == ("warning", "dutch", "needs")
    told = await person.get("/v1/configuration")
    assert [each["id"] for each in told.json["findings"]] == ["dutch"]
    assert told.json["counts"]["queues"] == 2


async def test_a_dry_run_tells_all_and_writes_nothing(center: Center) -> None:
    person = await whole(center)
    before = (await person.get("/v1/configuration")).json
    body = {"id": "dutch", "needs": {"dutch": 1}}
    tried = await person.post("/v1/queues?dry_run=true", body)
    assert (tried.status, tried.json["is_written"]) == (200, False)
    assert [each["id"] for each in tried.json["changes"]] == ["dutch"]
    assert [each["id"] for each in tried.json["findings"]] == ["dutch"]
    assert (await person.get("/v1/configuration")).json == before
    assert (await person.get("/v1/queues/dutch")).status == 404
    etag = (await person.get("/v1/queues/sales")).headers["ETag"]
    broken = await person.ask("DELETE", "/v1/queues/sales?dry_run=true", headers={"If-Match": etag})
    assert broken.error_id == "configuration-broken"


async def test_the_history_says_who_when_why_and_what(center: Center) -> None:
    person = await whole(center)
    made = await added(person, "skills", {"id": "dutch"}, "?why=A%20new%20market")
    listed = await person.get("/v1/configuration/versions?limit=2")
    newest = listed.json["items"][0]
    assert (newest["number"], newest["by"], newest["why"]) == (
        made.json["version"],
        person.id,
        "A new market",
    )
    older = await person.get(f"/v1/configuration/versions?limit=2&cursor={listed.json['next']}")
    assert [each["number"] for each in (*listed.json["items"], *older.json["items"])] == [
        5,
        4,
        3,
        2,
    ]
    shown = await person.get(f"/v1/configuration/versions/{newest['number']}")
    assert [(c["section"], c["id"], c["before"]) for c in shown.json["changes"]] == [
        ("skills", "dutch", None)
    ]


async def test_a_rollback_is_a_version_and_can_itself_be_taken_back(center: Center) -> None:
    person = await whole(center)
    good = (await person.get("/v1/configuration")).json["version"]
    etag = (await person.get("/v1/queues/sales")).headers["ETag"]
    await person.ask("PUT", "/v1/queues/sales", {"needs": {}}, {"If-Match": etag})
    await added(person, "queues", {"id": "more", "needs": {}})
    bad = (await person.get("/v1/configuration")).json["version"]
    tried = await person.post("/v1/configuration/rollback?dry_run=true", {"to": good})
    assert (tried.json["is_written"], len(tried.json["changes"])) == (False, 2)
    back = await person.post("/v1/configuration/rollback", {"to": good})
    assert back.json["version"] == bad + 1
    same = await person.get(f"/v1/configuration/difference?before={good}&after={bad + 1}")
    assert same.json == {"changes": []}
    assert (await person.get("/v1/queues/more")).status == 404
    forth = await person.post("/v1/configuration/rollback", {"to": bad})
    assert forth.json["is_written"]
    assert (await person.get("/v1/queues/more")).status == 200
    assert (await person.post("/v1/configuration/rollback", {"to": 99})).error_id == "not-found"


async def test_a_rollback_changes_nothing_that_is_for_others_to_change(center: Center) -> None:
    """Who goes back for a queue lets no calls into a site that somebody has drained since."""
    await whole(center)
    manager, sre = await center.person(Role.MANAGER), await center.person(Role.SRE)
    trunk = {"addresses": ["198.51.100.1"], "sip": "198.51.100.1:5060"}
    await added(sre, "trunks", trunk | {"id": "t", "dial_out": ["+49"]})
    then = {"to": (await manager.get("/v1/configuration")).json["version"]}
    for who, path, body in (
        (sre, "sites/a", {"sip": SITE["sip"], "name": SITE["name"], "draining": True}),
        (sre, "trunks/t", trunk),
        (manager, "queues/sales", {"needs": {}}),
    ):
        seen = {"If-Match": (await who.get(f"/v1/{path}")).headers["ETag"]}
        assert (await who.ask("PUT", f"/v1/{path}", body, seen)).status == 200
    back = await manager.post("/v1/configuration/rollback", then)
    assert [each["section"] for each in back.json["changes"]] == ["queues"], back.body
    assert (await sre.get("/v1/sites/a")).json["draining"]
    rest = await sre.post("/v1/configuration/rollback", then)
    assert [each["section"] for each in rest.json["changes"]] == ["sites", "trunks"], rest.body


async def test_no_answer_tells_a_password_or_what_it_became(center: Center) -> None:
    person = await whole(center)
    etag = (await person.get("/v1/agents/anna")).headers["ETag"]
    new = {"site": "a", "skills": {}, "password": "another word"}
    replies = [
        await person.get("/v1/agents/anna"),
        await person.get("/v1/agents"),
        await person.ask("PUT", "/v1/agents/anna", new, {"If-Match": etag}),
        await person.get("/v1/configuration/difference?before=0&after=5"),
        await person.get("/v1/configuration/versions/5"),
        await person.post("/v1/agents?dry_run=true", AGENT | {"id": "bea"}),
    ]
    for reply in replies:
        assert reply.status == 200, reply.body
        for secret in (*WORDS, *(ha1_of(name, word) for name in ("anna", "bea") for word in WORDS)):
            assert secret.encode() not in reply.body
    (change,) = replies[2].json["changes"]
    assert change["before"]["ha1"] != change["after"]["ha1"]
    assert set(change["after"]["ha1"]) == {"*"}


async def test_replacing_an_agent_without_a_password_keeps_theirs(center: Center) -> None:
    person = await whole(center)
    etag = (await person.get("/v1/agents/anna")).headers["ETag"]
    body = {"site": "a", "skills": {"sales": 9}}
    reply = await person.ask("PUT", "/v1/agents/anna", body, {"If-Match": etag})
    (change,) = reply.json["changes"]
    assert change["before"]["ha1"] == change["after"]["ha1"]


async def test_an_agent_who_has_no_password_can_be_replaced_and_still_has_none(
    center: Center,
) -> None:
    person = await whole(center)
    body = {"site": "a", "skills": {}}
    await added(person, "agents", {"id": "bea", **body})
    etag = (await person.get("/v1/agents/bea")).headers["ETag"]
    more = body | {"skills": {"sales": 3}}
    reply = await person.ask("PUT", "/v1/agents/bea", more, {"If-Match": etag})
    assert reply.status == 200, reply.body
    (change,) = reply.json["changes"]
    assert "ha1" not in change["after"]


async def test_a_rollback_brings_no_password_back_that_was_replaced_since(center: Center) -> None:
    person = await whole(center)
    await added(person, "agents", {"id": "bea", "site": "a", "skills": {}})
    then = (await person.get("/v1/configuration")).json["version"]
    for agent in ("anna", "bea"):  # one had a password that leaked, the other none
        etag = (await person.get(f"/v1/agents/{agent}")).headers["ETag"]
        body = {"site": "a", "skills": {"sales": 1}, "password": f"fresh word of {agent}"}
        await person.ask("PUT", f"/v1/agents/{agent}", body, {"If-Match": etag})
    back = await person.post("/v1/configuration/rollback", {"to": then})
    assert back.json["is_written"], back.body
    async with center.services.database.read() as connection:
        document = (await center.app[DESK].book.newest(connection)).document
    anna, bea = (document["agents", agent].body for agent in ("anna", "bea"))
    assert (anna["skills"], bea["skills"]) == ({"sales": 7}, {})
    assert anna["ha1"] == ha1_of("anna", "fresh word of anna")
    assert bea["ha1"] == ha1_of("bea", "fresh word of bea")


@pytest.mark.parametrize(
    ("section", "body", "where"),
    [
        ("queues", {"id": "q", "needs": {"x": 11}}, "body.needs.x"),
        ("queues", {"id": "q", "needs": {}, "colour": "red"}, "body.colour"),
        ("queues", {"id": "q q", "needs": {}}, "body.id"),
        ("queues", {"id": "q", "needs": {}, "steps": [{"after_s": -1}]}, "body.steps.0.after_s"),
        ("calendars", {"id": "c", "zone": "Mars/Base"}, "body"),
        ("calendars", {"id": "c", "zone": "UTC", "week": {"mon": ["8-17"]}}, "body.week.mon.0"),
        ("trunks", {"id": "t", "addresses": []}, "body.addresses"),
        ("agents", {"id": "-x", "site": "a", "skills": {}}, "body.id"),
        ("agents", {"id": ".x", "site": "a", "skills": {}}, "body.id"),
    ],
)
async def test_a_table_that_makes_no_sense_names_the_field(
    center: Center, section: str, body: dict[str, Any], where: str
) -> None:
    person = await staff(center)
    reply = await person.post(f"/v1/{section}", body)
    assert (reply.status, reply.error_id) == (422, "invalid"), reply.body
    assert [each["where"] for each in reply.json["faults"]] == [where]


async def test_what_is_there_is_not_added_again(center: Center) -> None:
    person = await whole(center)
    assert (await person.post("/v1/queues", QUEUE)).error_id == "id-taken"
    key = {"Idempotency-Key": "once"}
    first = await person.post("/v1/skills", {"id": "dutch"}, key)
    second = await person.post("/v1/skills", {"id": "dutch"}, key)
    assert (first.status, first.body) == (second.status, second.body) == (201, first.body)


async def test_pages_go_on_where_they_ended(center: Center) -> None:
    person = await staff(center)
    for n in range(5):
        await added(person, "skills", {"id": f"s{n}"})
    first = await person.get("/v1/skills?limit=3&sort=-id")
    rest = await person.get(f"/v1/skills?limit=3&sort=-id&cursor={first.json['next']}")
    ids = [each["id"] for each in (*first.json["items"], *rest.json["items"])]
    assert ids == ["s4", "s3", "s2", "s1", "s0"]
    assert rest.json["next"] is None


async def test_another_tenants_tables_look_as_if_they_were_missing(center: Center) -> None:
    ours = await whole(center)
    await center.tenant("acme")
    theirs = await staff(center, "acme")
    assert (await theirs.get("/v1/queues")).json["items"] == []
    etag = {"If-Match": (await ours.get("/v1/queues/sales")).headers["ETag"]}
    for reply in (
        await theirs.get("/v1/queues/sales"),
        await theirs.ask("PUT", "/v1/queues/sales", {"needs": {}}, etag),
        await theirs.ask("DELETE", "/v1/queues/sales", headers=etag),
        await theirs.ask("PUT", "/v1/sites/a", {"sip": "h:1"}, etag),
        await theirs.post("/v1/sites/a/drain", {"draining": True}),
        await theirs.post("/v1/sites", {"id": "b", "sip": "h:1"}),
        await theirs.get("/v1/configuration/versions/1"),
    ):
        assert reply.error_id == "not-found", reply.body
    told = await theirs.get("/v1/configuration/difference?before=0&after=4")
    assert told.json == {"changes": []}
    assert (await theirs.get("/v1/configuration")).json["counts"]["queues"] == 0
    # Whether a foreign id is taken cannot be found out: it is not for them in any case.
    for name in ("sales", "free"):
        refused = await theirs.post("/v1/queues", {"id": name, "needs": {}})
        assert refused.error_id == "id-not-yours"
    for number in ("4930100", "4930999"):
        refused = await theirs.post("/v1/dids", {"id": number, "queue": "acme.q"})
        assert refused.error_id == "did-not-assigned"
    for queue in ("sales", "nowhere"):
        body = {"id": "acme.q", "needs": {}, "steps": [{"after_s": 1, "overflow": queue}]}
        refused = await theirs.post("/v1/queues", body)
        assert refused.json["findings"][0]["fault"] == (
            f"overflow names the queue '{queue}', which is not there"
        )


@pytest.mark.parametrize(("field", "word"), [("teams", "red"), ("employers", "corp")])
async def test_a_scope_names_none_of_another_tenant_and_holds_none_of_theirs_back(
    center: Center, field: str, word: str
) -> None:
    ours = await whole(center)
    await center.tenant("acme")
    theirs = await staff(center, "acme")
    agent = {"id": "acme.bea", "site": "a", "skills": {}, "team": "red", "employer": "corp"}
    await added(theirs, "agents", agent)
    for name in (word, "nobodys"):  # nobody finds out that there is one
        refused = await ours.post("/v1/queues", {"id": "q", "needs": {}, "scope": {field: [name]}})
        (finding,) = refused.json["findings"]
        assert finding["fault"].endswith(f"{name!r}, which nobody is of"), finding
    etag = {"If-Match": (await theirs.get("/v1/agents/acme.bea")).headers["ETag"]}
    assert (await theirs.ask("DELETE", "/v1/agents/acme.bea", headers=etag)).status == 200


async def test_the_center_is_told_of_whom_it_would_break_something(center: Center) -> None:
    """Whoever runs the sites has to know who to ask, and nothing of what those have."""
    ours = await staff(center)
    for name in ("a", "b"):
        await added(ours, "sites", {"id": name, "sip": f"198.18.1.{ord(name)}:5060"})
    for tenant, number in (("acme", 2), ("beta", 1)):
        await center.tenant(tenant)
        theirs = await staff(center, tenant)
        for each in range(number):
            body = {"id": f"{tenant}.x{each}", "site": "b", "skills": {}}
            await added(theirs, "agents", body)
    etag = {"If-Match": (await ours.get("/v1/sites/b")).headers["ETag"]}
    refused = await ours.ask("DELETE", "/v1/sites/b", headers=etag)
    assert (refused.error_id, refused.json["findings"]) == ("configuration-broken", [])
    assert refused.json["detail"] == (
        "What other tenants have would be wrong: agents of acme (2), agents of beta (1)."
        " They have to change that first."
    )


async def test_who_is_held_up_by_what_is_wrong_with_others_is_told_whom_to_turn_to(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await whole(center)
    for tenant in ("acme", "beta"):
        await center.tenant(tenant)
    theirs = await staff(center, "acme")
    with monkeypatch.context() as before:  # a program that looked less closely
        before.setattr("control_plane.configuration.check.dangling", lambda _: ())
        await added(theirs, "queues", {"id": "acme.q", "needs": {}, "scope": {"teams": ["none"]}})
    for who, detail in (
        (ours, "queues of acme (1)"),
        (await staff(center, "beta"), "turn to whoever runs the center"),
    ):
        tenant = (await who.get("/v1/me")).json["tenant"]
        name = "new" if tenant == "main" else f"{tenant}.new"
        refused = await who.post("/v1/skills", {"id": name})
        assert (refused.error_id, refused.json["findings"]) == ("configuration-broken", [])
        assert detail in refused.json["detail"]
        assert tenant == "main" or "acme" not in refused.json["detail"]


async def test_a_number_is_given_to_a_tenant_who_then_routes_it(center: Center) -> None:
    await center.tenant("acme")
    theirs = await staff(center, "acme")
    await added(theirs, "queues", {"id": "acme.sales", "needs": {}})
    ours = await staff(center)
    given = await added(ours, "dids", {"id": "4930300", "queue": "acme.sales", "tenant": "acme"})
    assert given.json["changes"] == []
    assert (await ours.get("/v1/dids/4930300")).error_id == "not-found"
    held = await theirs.get("/v1/dids/4930300")
    await added(theirs, "queues", {"id": "acme.help", "needs": {}})
    moved = await theirs.ask(
        "PUT", "/v1/dids/4930300", {"queue": "acme.help"}, {"If-Match": held.headers["ETag"]}
    )
    assert moved.status == 200, moved.body
    assert (await theirs.get("/v1/dids/4930300")).json["tenant"] == "acme"


async def test_a_number_that_is_another_s_now_is_neither_taken_back_nor_told_of(
    center: Center,
) -> None:
    ours, people = await staff(center), {}
    for name in ("acme", "beta"):
        await center.tenant(name)
        people[name] = await staff(center, name)
        await added(people[name], "queues", {"id": f"{name}.sales", "needs": {}})
    acme, beta = people["acme"], people["beta"]
    number = {"id": "4930300", "queue": "acme.sales", "tenant": "acme"}
    then = (await added(ours, "dids", number)).json["version"]
    etag = {"If-Match": (await acme.get("/v1/dids/4930300")).headers["ETag"]}
    assert (await acme.ask("DELETE", "/v1/dids/4930300", headers=etag)).status == 200
    now = await added(ours, "dids", number | {"queue": "beta.sales", "tenant": "beta"})
    between = f"/v1/configuration/difference?before={then}&after={now.json['version']}"
    (told,) = (await beta.get(between)).json["changes"]
    assert (told["before"], told["after"]["queue"]) == (None, "beta.sales")
    (gone,) = (await acme.get(between)).json["changes"]
    assert (gone["before"]["queue"], gone["after"]) == ("acme.sales", None)
    back = await acme.post("/v1/configuration/rollback", {"to": then})
    assert (back.status, back.json["changes"]) == (200, [])
    assert (await acme.get("/v1/dids/4930300")).error_id == "not-found"
    assert (await beta.get("/v1/dids/4930300")).json["queue"] == "beta.sales"


async def test_who_only_takes_calls_changes_nothing(center: Center) -> None:
    await whole(center)
    agent = await center.person(Role.AGENT)
    assert (await agent.get("/v1/queues/sales")).status == 200
    assert (await agent.post("/v1/queues", {"id": "q", "needs": {}})).error_id == "forbidden"
    colleagues = await agent.get("/v1/agents")
    assert (colleagues.status, colleagues.json["items"]) == (200, [])
    assert (await agent.get("/v1/configuration")).error_id == "forbidden"


async def test_without_a_shared_state_the_answer_says_so(center: Center) -> None:
    person = await whole(center)
    told = await person.get("/v1/configuration/publication")
    assert (told.json["version"], told.json["is_everywhere"]) == (4, False)
    assert "no etcd" in told.json["problem"]


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        ({"id": "orders", "need": {}}, "body.need", "there are id, needs, priority"),
        ({"id": "orders", "needs": {}, "scope": {"site": "a"}}, "body.scope.site", "/docs shows"),
    ],
    ids=["of the queue", "within"],
)
async def test_a_field_that_is_none_is_named_with_the_way_out(
    center: Center, body: dict[str, Any], where: str, said: str
) -> None:
    manager = await center.person(Role.MANAGER)
    refused = await manager.post("/v1/queues", body)
    assert (refused.status, refused.error_id) == (422, "invalid")
    told = {each["where"]: each["fault"] for each in refused.json["faults"]}
    assert said in told[where]
