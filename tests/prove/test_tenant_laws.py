"""Two tenants in one center: nobody serves the other's callers, whatever is configured."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from drills.prove.center import DIDS, QUEUES, SHOP, agents, configuration
from drills.prove.laws_tenants import check_tenants
from drills.prove.laws_waiting import SERVED_S
from drills.prove.violations import Law
from edge.acd.transfer import No, ToAgent, ToQueue
from edge.calls import transfers
from state.configuration_findings import dangling
from state.model import MAIN, AgentId, Outcome, TenantId, TicketState
from tests.acd.worlds import NOW, World, ticket
from tests.edge.virtual_time import in_virtual_time
from tests.prove.consulting import colleague, consults
from tests.prove.histories import Tale
from tests.prove.planting import plant
from tests.prove.play import broken_laws
from tests.prove.replacing import of
from tests.prove.tale_center import BOTH, RELAXED_S, TALK

SITES = dict.fromkeys("abc", "198.18.1.10:5060")


def _two_tenants(**tenants: TenantId) -> Tale:
    tale = Tale()
    for agent, tenant in tenants.items():
        tale.can(agent, BOTH, tenant=tenant)
        tale.presence(agent)
    return tale


def test_in_the_center_each_site_has_agents_of_both_who_could_do_it_all() -> None:
    made = configuration(SITES)
    for site in SITES:
        here = [agent for agent in made.agents if agent.site == site]
        assert [agent.tenant for agent in here] == [MAIN] * 9 + [SHOP] * 2
    assert len(made.agents) == len(agents(tuple(SITES)))
    of_queues = {queue.id: queue.tenant for queue in QUEUES}
    assert all(did.tenant == of_queues[did.queue] for did in made.dids)
    assert len(made.dids) == len(DIDS)


def test_it_is_configured_as_nobody_may_publish_it_in_one_thing_alone() -> None:
    (found,) = dangling(configuration(SITES))
    assert (found.section, found.id) == ("queues", "shop.line")
    assert "'help'" in found.fault


@pytest.mark.parametrize("queue", ["q", "shop.line"])
@pytest.mark.parametrize("tenant", [MAIN, SHOP])
def test_the_line_gives_a_caller_nobody_of_the_other_tenant(queue: str, tenant: TenantId) -> None:
    tale = _two_tenants(a01=tenant)
    tale.waits("c1", queue=queue)
    tale.gets("c1", "a01")
    tale.rings("c1")
    is_right = (queue == "shop.line") is (tenant == SHOP)
    found = list(check_tenants(tale.events))
    assert [each.text.split(", ")[2] for each in found] == (
        [] if is_right else [f"was given a01 of {tenant}", f"rang a01 of {tenant}"]
    )
    assert set(tale.laws()) == (set() if is_right else {Law.OTHER_TENANT, Law.UNSKILLED})


def test_it_is_told_once_however_often_an_offer_is_written() -> None:
    tale = _two_tenants(a01=SHOP)
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    tale.connects("c1")
    assert len(list(check_tenants(tale.events))) == 1


@pytest.mark.parametrize("agent", ["a02", "b02"])
def test_nobody_passes_a_caller_on_to_another_tenants_agent(agent: str) -> None:
    tale = _two_tenants(a01=MAIN, a02=MAIN, b02=SHOP)
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    tale.is_passed_on("c1")
    tale.target("c1", agent)
    assert tale.laws() == ([Law.OTHER_TENANT] if agent == "b02" else [])


def test_nor_asks_one_about_them() -> None:
    tale = _two_tenants(a01=MAIN, b02=SHOP)
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    consults(tale, "c1", "a01", "b02")
    colleague(tale, "c1", "b02")
    assert tale.laws() == [Law.OTHER_TENANT]


@pytest.mark.parametrize(("queue", "laws"), [("tech", []), ("shop.line", [Law.OTHER_TENANT])])
def test_nor_lets_them_wait_in_another_tenants_queue(queue: str, laws: list[Law]) -> None:
    tale = _two_tenants(a01=MAIN)
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    tale.is_passed_on("c1")
    there = next(each.id for each in QUEUES if each.id == queue)
    moved = replace(tale.ticket_of("c1"), queue=there, state=TicketState.QUEUED, agent=None)
    tale.store(tale.ticket(moved))
    found = list(check_tenants(tale.events))
    assert [each.law for each in found] == laws


def test_a_call_is_whose_number_it_dialled_whatever_its_ticket_says() -> None:
    tale = _two_tenants(a01=SHOP)
    came = replace(tale.arrives("c1"), tenant=SHOP)
    tale.store(tale.ticket(came))
    tale.gets("c1", "a01")
    assert Law.OTHER_TENANT in tale.laws()


@pytest.mark.parametrize("tenant", [MAIN, SHOP])
def test_nobody_is_overtaken_or_forgotten_beside_the_other_tenants_agents(
    tenant: TenantId,
) -> None:
    tale = Tale()
    tale.waits("c1", holder="b1", queue="shop.line")
    tale.can("a01", BOTH, tenant=tenant)
    tale.presence("a01")
    tale.now(RELAXED_S + SERVED_S + 1.0)
    seen = tale.waits("c2")
    tale.can("b01", BOTH)
    tale.presence("b01")
    tale.gets("c2", "b01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen)
    tale.ends("c1")
    assert (Law.FORGOTTEN in tale.laws()) is (tenant == SHOP)


@pytest.mark.parametrize(("waits_s", "laws"), [(0.0, [Law.UNSKILLED]), (RELAXED_S + 1.0, [])])
def test_a_step_gives_up_a_skill_in_its_time(waits_s: float, laws: list[Law]) -> None:
    tale = Tale()
    tale.can("a01", {TALK: 2}, tenant=SHOP)
    tale.presence("a01")
    tale.waits("c1", queue="shop.line")
    tale.now(waits_s)
    tale.gets("c1", "a01")
    assert tale.laws() == laws


@pytest.mark.parametrize(("waits_s", "laws"), [(0.0, []), (RELAXED_S + 1.0, [Law.FORGOTTEN])])
def test_who_could_do_it_once_a_step_has_given_up_a_skill_has_to(
    waits_s: float, laws: list[Law]
) -> None:
    tale = Tale()
    tale.can("a01", {TALK: 2}, tenant=SHOP)
    tale.presence("a01")
    tale.waits("c1", queue="shop.line")
    tale.now(SERVED_S + 0.5 + waits_s)
    tale.ends("c1")
    assert tale.laws() == laws


@in_virtual_time
@pytest.mark.parametrize(
    ("bug", "must", "may"),
    [
        ("tenant_ignored", Law.OTHER_TENANT, {Law.UNSKILLED, Law.OVERTAKEN}),
        ("tenant_ignored_by_overflow", Law.OTHER_TENANT, {Law.UNSKILLED, Law.OVERTAKEN}),
        ("drop_ignored", Law.OVERTAKEN, {Law.FORGOTTEN}),
    ],
)
async def test_a_bug_of_tenants_or_of_dropping_breaks_these_laws_alone(
    bug: str, must: Law, may: set[Law], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, bug)
    found = await broken_laws(seed=2, seconds=4.0, wanted=20, must=must)
    assert must in found
    assert found <= {must, *may}


def test_a_bug_of_transfers_finds_the_other_tenants_people(monkeypatch: pytest.MonkeyPatch) -> None:
    world, made = World(), configuration(SITES)
    for agent in made.agents:
        world.set_agent(agent)
    for queue in made.queues:
        world.set_queue(queue)
    talks = ticket(1, state=TicketState.CONNECTED, agent="a01")

    def where(to: str) -> Any:  # noqa: ANN401 - as the edge finds it
        return of(transfers, "destination")(world.snapshot, talks, AgentId("a01"), to, NOW)

    assert isinstance(where("b11"), No)
    assert isinstance(where("shop.line"), No)
    plant(monkeypatch, "tenant_ignored_by_transfers")
    assert where("b11") == ToAgent(agent=AgentId("b11"))
    assert isinstance(where("shop.line"), ToQueue)
