"""Contingency plans: what they make of a configuration, when they fit, what they leave behind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from control_plane.configuration.check import check
from control_plane.configuration.document import (
    NOTHING,
    Document,
    Edit,
    applied,
    difference,
    restoring,
    taken_from,
)
from control_plane.configuration.nouns import PlanTable
from control_plane.configuration.plans import misfits, overlaid
from control_plane.permissions import Role
from state.configuration import Configuration, configuration_of
from state.model import QueueId, SiteId, Step
from tests.control_plane.center import Center, Person
from tests.state.records import unhurried

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "sites": {
        "a": {"sip": "h:1"},
        "b": {"sip": "h:2", "backups": ["c"]},
        "c": {"sip": "h:3"},
    },
    "queues": {
        "sales": {"needs": {}, "steps": [{"after_s": 9, "overflow": "help", "raise_priority": 2}]},
        "help": {"needs": {}},
        "acme.q": {"needs": {}, "tenant": "acme"},
    },
    "dids": {"1": {"queue": "sales"}, "2": {"queue": "acme.q", "tenant": "acme"}},
    "calendars": {"night": {"zone": "UTC"}},
    "agents": {"anna": {"site": "a", "skills": {}, "ha1": "0" * 32}},
}


def whole() -> Configuration:
    configuration, problems = configuration_of(TABLES)
    assert problems == ()
    return configuration


def plan(**tables: Any) -> PlanTable:  # noqa: ANN401 - as written
    return msgspec.convert(tables, PlanTable)


def test_a_numbers_changes_take_the_place_of_what_it_said() -> None:
    change = {"queue": "help", "greeting": "sorry", "sites": ["c", "b"], "calendar": "night"}
    (did, other) = overlaid(whole(), [plan(dids={"1": change})]).dids
    assert (did.queue, did.greeting, did.sites, did.calendar) == (
        "help",
        "sorry",
        ("c", "b"),
        "night",
    )
    assert other == whole().dids[1]


def test_a_queues_backup_serves_it_at_once_and_for_as_long() -> None:
    sales = overlaid(whole(), [plan(queues={"sales": {"backup": "help"}})]).queues[0]
    assert sales.steps == (
        Step(after_s=0.0, overflow=QueueId("help")),
        Step(after_s=9.0, raise_priority=2),
    )


def test_a_site_drains_to_its_backups() -> None:
    changed = overlaid(whole(), [plan(sites={"a": {"backups": ["c"]}, "b": {}})])
    a, b, c = changed.sites
    assert (a.draining, a.backups) == (True, (SiteId("c"),))
    assert (b.draining, b.backups) == (True, (SiteId("c"),))
    assert c == whole().sites[2]


def test_one_plan_moves_calls_by_the_percent_and_agents_with_them() -> None:
    move = plan(sites={"a": {"shares": {"a": 63, "b": 37}}}, agents={"anna": {"site": "b"}})
    changed = overlaid(whole(), [move])
    assert changed.sites[0].shares == {"a": 63, "b": 37}
    assert not changed.sites[0].draining
    assert changed.agents[0].site == "b"
    assert changed.agents[0].skills == whole().agents[0].skills


@pytest.mark.parametrize(
    ("tables", "field"),
    [
        ({"sites": {"a": {"shares": {"a": 63, "b": 36}}}}, "sites.a.shares"),
        ({"sites": {"a": {"shares": {"a": 63, "z": 37}}}}, "sites.a.shares"),
        ({"agents": {"nobody": {"site": "b"}}}, "agents.nobody"),
        ({"agents": {"anna": {"site": "z"}}}, "agents.anna.site"),
        ({}, ""),
        ({"dids": {"3": {"queue": "help"}}}, "dids.3"),
        ({"dids": {"2": {"queue": "help"}}}, "dids.2"),
        ({"dids": {"1": {"queue": "acme.q"}}}, "dids.1.queue"),
        ({"dids": {"1": {"closed_queue": "x"}}}, "dids.1.closed_queue"),
        ({"dids": {"1": {"calendar": "x"}}}, "dids.1.calendar"),
        ({"dids": {"1": {"sites": ["z"]}}}, "dids.1.sites"),
        ({"queues": {"x": {"backup": "help"}}}, "queues.x"),
        ({"queues": {"sales": {"backup": "x"}}}, "queues.sales.backup"),
        ({"queues": {"sales": {"backup": "sales"}}}, "queues.sales.backup"),
        ({"sites": {"z": {}}}, "sites.z"),
        ({"sites": {"a": {"backups": ["z"]}}}, "sites.a.backups"),
        ({"sites": {"a": {}, "b": {}, "c": {}}}, "sites"),
        ({"sites": {"a": {}}, "tenant": "acme"}, "sites.a"),
        ({"queues": {"sales": {}}}, "queues.sales"),
    ],
)
def test_what_does_not_fit_names_the_field(tables: dict[str, Any], field: str) -> None:
    found = list(misfits("p", plan(**tables), whole()))
    assert [each.field for each in found] == [field]
    assert all(each.remedy for each in found)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "dids": st.dictionaries(
            st.just("1"),
            st.fixed_dictionaries(
                {},
                optional={
                    "queue": st.sampled_from(["help", "sales"]),
                    "sites": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
                    "calendar": st.just("night"),
                    "closed_queue": st.just("help"),
                },
            ),
        ),
        "queues": st.dictionaries(st.just("sales"), st.just({"backup": "help"})),
        "sites": st.dictionaries(
            st.sampled_from(["a", "b"]),
            st.sampled_from([{"backups": ["c"]}, {"shares": {"a": 99, "c": 1}}]),
        ),
        "agents": st.dictionaries(st.just("anna"), st.just({"site": "c"})),
    },
)


@unhurried
@given(CHANGES)
def test_a_plan_that_fits_can_be_activated_and_leaves_nothing_when_reverted(
    tables: dict[str, Any],
) -> None:
    if not any(tables.values()):
        return
    bare = applied(NOTHING, [*taken_from(whole()), Edit(section="plans", id="p", body=tables)], 1)
    before = check(bare)
    assert [each for each in before.findings if each.section == "plans"] == []
    activation = Edit(section="activations", id="p", body={"since_ms": 1})
    active = check(applied(bare, [activation], 2))
    assert active.errors == ()
    assert active.configuration == msgspec.structs.replace(
        overlaid(before.configuration, [plan(**tables)]),
        contingencies=active.configuration.contingencies,
    )
    reverted = applied(
        applied(bare, [activation], 2), [Edit(section="activations", id="p", body=None)], 3
    )
    assert check(reverted) == before
    assert reverted == bare


EDITS = st.lists(
    st.builds(
        Edit,
        section=st.just("skills"),
        id=st.sampled_from(["x", "y", "z"]),
        body=st.none() | st.fixed_dictionaries({"name": st.sampled_from(["n", "m"])}),
    ),
    max_size=6,
)


@unhurried
@given(EDITS, EDITS)
def test_going_back_undoes_whatever_was_done(first: list[Edit], second: list[Edit]) -> None:
    then = _after(NOTHING, first, 1)
    now = _after(then, second, 100)
    back = applied(now, restoring(now, then, "main", but=frozenset()), 200)
    assert difference(back, then) == ()


def _after(document: Document, edits: list[Edit], number: int) -> Document:
    for at, edit in enumerate(edits, number):
        document = applied(document, [edit], at)
    assert isinstance(document, Map)
    return document


async def ready(center: Center) -> Person:
    """Make the tables of this module, and a plan."""
    person = await center.person(Role.MANAGER, Role.SRE)
    for section in ("sites", "agents", "calendars", "queues", "dids"):
        for identifier, table in reversed(TABLES[section].items()):
            if table.get("tenant", "main") != "main":
                continue
            body = {k: v for k, v in table.items() if k not in ("ha1", "backups")}
            if section == "agents":
                body["password"] = "open sesame 1"  # noqa: S105 - of a test
            reply = await person.post(f"/v1/{section}", body | {"id": identifier})
            assert reply.status == 201, reply.body
    body = {"id": "flood", "queues": {"sales": {"backup": "help"}}}
    assert (await person.post("/v1/plans", body)).status == 201
    return person


async def test_a_plan_is_activated_and_reverted_once_each(center: Center) -> None:
    person = await ready(center)
    tried = await person.post("/v1/plans/flood/activate?dry_run=true", {"why": "a test"})
    assert (tried.status, tried.json["is_written"]) == (200, False)
    done = await person.post("/v1/plans/flood/activate", {"why": "flooded"})
    assert (done.status, done.json["is_written"]) == (200, True)
    again = await person.post("/v1/plans/flood/activate", {"why": "flooded"})
    assert again.error_id == "plan-active"
    state = (await person.get("/v1/plans/flood/state")).json
    assert (state["is_active"], state["by"], state["why"]) == (True, person.id, "flooded")
    assert (await person.post("/v1/plans/flood/revert", {"why": "over"})).status == 200
    last = await person.post("/v1/plans/flood/revert", {"why": "over"})
    assert last.error_id == "plan-not-active"
    history = (await person.get("/v1/configuration/versions?limit=2")).json["items"]
    assert [(each["what"], each["why"]) for each in history] == [
        ("reverted", "over"),
        ("activated", "flooded"),
    ]


async def test_what_an_active_plan_rests_on_cannot_be_taken_away(center: Center) -> None:
    person = await ready(center)
    await person.post("/v1/queues", {"id": "spare", "needs": {}})
    body = {"id": "other", "queues": {"sales": {"backup": "spare"}}}
    assert (await person.post("/v1/plans", body)).status == 201
    etag = {"If-Match": (await person.get("/v1/queues/spare")).headers["ETag"]}
    # A plan that sleeps is told of, and keeps nobody from changing things.
    tried = await person.ask("DELETE", "/v1/queues/spare?dry_run=true", headers=etag)
    assert [(each["section"], each["id"]) for each in tried.json["findings"]] == [
        ("plans", "other")
    ]
    await person.post("/v1/plans/other/activate", {"why": "x"})
    refused = await person.ask("DELETE", "/v1/queues/spare", headers=etag)
    assert refused.error_id == "configuration-broken"
    center.clock.advance(1.0)
    both = await person.post("/v1/plans/flood/activate", {"why": "x"})
    assert both.error_id == "configuration-broken"
    assert "other" in both.json["findings"][0]["fault"]
    plan_etag = {"If-Match": (await person.get("/v1/plans/other")).headers["ETag"]}
    held = await person.ask("DELETE", "/v1/plans/other", headers=plan_etag)
    assert held.error_id == "plan-active"


async def test_a_rollback_does_not_revert_a_plan(center: Center) -> None:
    person = await ready(center)
    good = (await person.get("/v1/configuration")).json["version"]
    await person.post("/v1/plans/flood/activate", {"why": "x"})
    await person.post("/v1/skills", {"id": "dutch"})
    back = await person.post("/v1/configuration/rollback", {"to": good})
    assert [each["section"] for each in back.json["changes"]] == ["skills"]
    assert (await person.get("/v1/plans/flood/state")).json["is_active"]


async def test_a_rollback_changes_nothing_of_a_plan_that_is_active(center: Center) -> None:
    """One that was changed since is in force as it is; one that is newer stands in no way."""
    person = await ready(center)
    good = (await person.get("/v1/configuration")).json["version"]
    seen = {"If-Match": (await person.get("/v1/plans/flood")).headers["ETag"]}
    table = {"name": "As of today", "queues": {"sales": {"backup": "help"}}}
    assert (await person.ask("PUT", "/v1/plans/flood", table, seen)).status == 200
    added = {"id": "fresh", "dids": {"1": {"greeting": "sorry"}}}
    assert (await person.post("/v1/plans", added)).status == 201
    assert (await person.post("/v1/plans", added | {"id": "asleep"})).status == 201
    for plan in ("flood", "fresh"):
        assert (await person.post(f"/v1/plans/{plan}/activate", {"why": "x"})).status == 200
    back = await person.post("/v1/configuration/rollback", {"to": good})
    assert back.status == 200, back.body
    assert [each["id"] for each in back.json["changes"]] == ["asleep"]
    assert (await person.get("/v1/plans/flood")).json["name"] == "As of today"
    for plan in ("flood", "fresh"):
        assert (await person.get(f"/v1/plans/{plan}/state")).json["is_active"]


async def test_only_who_may_activates(center: Center) -> None:
    await ready(center)
    supervisor = await center.person(Role.SUPERVISOR)
    assert (await supervisor.get("/v1/plans/flood")).status == 200
    refused = await supervisor.post("/v1/plans/flood/activate", {"why": "x"})
    assert refused.error_id == "forbidden"
    await center.tenant("acme")
    stranger = await center.person(Role.MANAGER, tenant="acme")
    missing = await stranger.post("/v1/plans/flood/activate", {"why": "x"})
    assert missing.error_id == "not-found"
