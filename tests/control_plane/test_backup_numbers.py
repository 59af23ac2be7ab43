"""Contingency plans that give calls to a number outside: whose calls, and which numbers may be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from control_plane.configuration.check import Checked, check
from control_plane.configuration.document import NOTHING, Edit, applied, taken_from
from control_plane.configuration.nouns import PlanTable
from control_plane.configuration.plans import misfits, overlaid
from control_plane.permissions import Role
from state.configuration import Configuration, configuration_of
from state.configuration_findings import Severity
from state.configuration_writing import tables_of
from state.model import QueueId
from tests.control_plane.center import Center

OUT, OTHER, THIRD = "+493012345678", "+493012345679", "+498912345678"
OWN = "+493055555555"
TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "sites": {"a": {"sip": "h:1"}, "b": {"sip": "h:2"}},
    "trunks": {
        "t1": {"addresses": ["192.0.2.1"], "region": "DE"},
        "t2": {"addresses": ["192.0.2.2"], "sip": "192.0.2.2:5060", "dial_out": ["+49", "+1"]},
        "t3": {
            "addresses": ["192.0.2.3"],
            "sip": "192.0.2.3:5060",
            "dial_out": ["+43"],
            "tenants": ["acme"],
        },
    },
    "queues": {
        "sales": {"needs": {}},
        "help": {"needs": {}},
        "idle": {"needs": {}},
        "acme.q": {"needs": {}, "tenant": "acme"},
    },
    "dids": {
        "1": {"queue": "sales"},
        "2": {"queue": "sales", "sites": ["a"]},
        "3": {"queue": "help", "sites": ["a"]},
        "4": {"queue": "help", "sites": ["a", "b"]},
        "5": {"queue": "acme.q", "tenant": "acme", "sites": ["a"]},
        "03055555555": {"queue": "help"},
    },
}


def whole(**more: Any) -> Configuration:  # noqa: ANN401 - as written
    configuration, problems = configuration_of(TABLES | more)
    assert problems == ()
    return configuration


def plan(**tables: Any) -> PlanTable:  # noqa: ANN401 - as written
    return msgspec.convert(tables, PlanTable)


def outside(*plans: PlanTable) -> dict[str, str]:
    """Return where calls go outside, by DID."""
    return {did.number: did.forward for did in overlaid(whole(), plans).dids if did.forward}


def test_a_dids_number_is_for_that_did() -> None:
    assert outside(plan(dids={"1": {"number": OUT}})) == {"1": OUT}


def test_a_queues_number_is_for_the_dids_that_lead_to_it() -> None:
    assert outside(plan(queues={"sales": {"number": OUT}})) == {"1": OUT, "2": OUT}
    led = plan(dids={"3": {"queue": "sales"}}, queues={"sales": {"number": OUT}})
    assert outside(led) == {"1": OUT, "2": OUT, "3": OUT}


def test_a_sites_number_is_for_the_tenants_dids_whose_only_site_it_is() -> None:
    assert outside(plan(sites={"a": {"number": OUT}})) == {"2": OUT, "3": OUT}


def test_the_nearest_number_goes_first_in_whatever_order_plans_became_active() -> None:
    plans = (
        plan(sites={"a": {"number": THIRD}}),
        plan(queues={"sales": {"number": OTHER}}),
        plan(dids={"1": {"number": OUT}}),
    )
    wanted = {"1": OUT, "2": OTHER, "3": THIRD}
    assert outside(*plans) == outside(*reversed(plans)) == wanted


def test_a_queue_without_a_backup_keeps_its_steps_and_one_with_both_serves_those_who_wait() -> None:
    alone = overlaid(whole(), [plan(queues={"sales": {"number": OUT}})])
    assert alone.queues == whole().queues
    both = overlaid(whole(), [plan(queues={"sales": {"number": OUT, "backup": "help"}})])
    assert both.queues[0].steps[0].overflow == QueueId("help")
    assert both.dids[0].forward == OUT


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("+4930", "exists"),
        ("+999123456", "exists"),
        ("+499001234567", "costs extra"),
        ("+491801234567", "costs extra"),
        (OWN, "of this center"),
        ("+436601234567", "no trunk of yours"),  # another tenant's may
    ],
)
def test_a_number_that_may_not_be_used_names_the_way_out(number: str, fault: str) -> None:
    tables = plan(dids={"1": {"number": "+49301234567"}})
    tables.dids["1"] = msgspec.structs.replace(tables.dids["1"], number=number)
    (found,) = misfits("p", tables, whole())
    assert found.field == "dids.1.number"
    assert fault in found.fault
    assert found.remedy


def test_no_trunk_dials_unless_it_is_told_to() -> None:
    silent = {"t1": {"addresses": ["192.0.2.1"], "sip": "192.0.2.1:5060"}}
    (found,) = misfits("p", plan(dids={"1": {"number": OUT}}), whole(trunks=silent))
    assert "dial_out" in found.remedy


@pytest.mark.parametrize(
    "did", [OUT, "493012345678", "00493012345678", "03012345678", "3012345678"]
)
def test_a_did_is_a_number_of_the_center_in_every_way_of_writing_it(did: str) -> None:
    dids = TABLES["dids"] | {did: {"queue": "help"}}
    (found,) = misfits("p", plan(dids={"1": {"number": OUT}}), whole(dids=dids))
    assert "of this center" in found.fault


@pytest.mark.parametrize(
    "tables", [{"queues": {"idle": {"number": OUT}}}, {"sites": {"b": {"number": OUT}}}]
)
def test_a_number_that_would_never_be_called_is_told(tables: dict[str, Any]) -> None:
    (found,) = misfits("p", plan(**tables), whole())
    assert "never be called" in found.fault


@pytest.mark.parametrize("text", ["493012345678", "+0301234567", "+49 30 1234567", "+49;x=y", ""])
def test_what_is_not_written_as_e164_is_no_plan(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        plan(dids={"1": {"number": text}})


def active(tables: dict[str, Any], **more: Any) -> Checked:  # noqa: ANN401 - as written
    edits = [
        *taken_from(whole(**more)),
        Edit(section="plans", id="p", body=tables),
        Edit(section="activations", id="p", body={"since_ms": 1}),
    ]
    return check(applied(NOTHING, edits, 1))


def test_while_it_is_active_people_are_told_what_they_will_not_see() -> None:
    checked = active({"dids": {"1": {"number": OUT}}})
    assert checked.errors == ()
    (found,) = (each for each in checked.findings if each.field == "forward")
    assert (found.section, found.id, found.severity) == ("dids", "1", Severity.WARNING)
    assert "neither queued nor recorded, nor in the ledger" in found.fault


def test_an_active_plan_keeps_the_prefix_that_it_rests_on() -> None:
    trunks = TABLES["trunks"] | {"t2": TABLES["trunks"]["t2"] | {"dial_out": ["+1"]}}
    checked = active({"dids": {"1": {"number": OUT}}}, trunks=trunks)
    assert [each.field for each in checked.errors] == ["dids.1.number"]


def test_what_a_plan_says_is_taken_into_no_file() -> None:
    changed = overlaid(whole(), [plan(dids={"1": {"number": OUT}})])
    assert tables_of(changed)["dids"] == tables_of(whole())["dids"]


async def test_a_plan_with_a_number_is_tried_activated_and_reverted(center: Center) -> None:
    person = await center.person(Role.MANAGER, Role.SRE)
    for section, identifier in (
        ("sites", "a"),
        ("trunks", "t2"),
        ("queues", "sales"),
        ("dids", "1"),
    ):
        body = TABLES[section][identifier] | {"id": identifier}
        reply = await person.post(f"/v1/{section}", body)
        assert reply.status == 201, reply.body
    bad = {"id": "bad", "dids": {"1": {"number": "0301234567"}}}
    assert (await person.post("/v1/plans", bad)).status == 422
    dear = {"id": "dear", "dids": {"1": {"number": "+436601234567"}}}
    told = await person.post("/v1/plans", dear)
    assert told.status == 201
    assert "dial_out" in told.json["findings"][0]["remedy"]
    refused = await person.post("/v1/plans/dear/activate", {"why": "x"})
    assert refused.error_id == "configuration-broken"
    plan_ = {"id": "flood", "queues": {"sales": {"number": OUT}}}
    assert (await person.post("/v1/plans", plan_)).status == 201
    tried = await person.post("/v1/plans/flood/activate?dry_run=true", {"why": "a test"})
    assert tried.status == 200
    assert [each["field"] for each in tried.json["findings"] if each["section"] == "dids"] == [
        "forward"
    ]
    assert (await person.post("/v1/plans/flood/activate", {"why": "flooded"})).status == 200
    state = (await person.get("/v1/plans/flood/state")).json
    assert (state["is_active"], state["misfits"]) == (True, [])
    assert (await person.post("/v1/plans/flood/revert", {"why": "over"})).status == 200
