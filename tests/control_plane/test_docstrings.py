"""What stands below a field in the source is what the OpenAPI document says of it."""

from __future__ import annotations

from typing import Any

from control_plane.api import docstrings
from control_plane.api.openapi import document
from control_plane.api.paging import Listing
from control_plane.app import ROUTES
from control_plane.live.call_schemas import CallListing
from state.model import Queue

DOCUMENT: dict[str, Any] = document(ROUTES, "1", docstrings.of_fields)


def about(schema: str, field: str) -> str:
    """Return what the document says of a field."""
    return str(DOCUMENT["components"]["schemas"][schema]["properties"][field].get("description"))


def test_a_class_tells_of_its_fields_and_of_those_of_its_bases() -> None:
    told = docstrings.of_fields(CallListing)
    assert told["code"] == "What they were about: a wrap-up code."
    assert told["cursor"] == docstrings.of_fields(Listing)["cursor"]
    assert "priority" not in told
    assert docstrings.of_fields(int) == {}


def test_lines_become_one() -> None:
    assert "\n" not in docstrings.of_fields(Queue)["employer"]


def test_the_document_says_it_of_bodies_answers_and_parameters() -> None:
    assert about("RequestDraft", "why").startswith("The purpose")
    assert about("RequestView", "until") == "To be decided until then, or to be used."
    listed = DOCUMENT["paths"]["/v1/calls"]["get"]["parameters"]
    (code,) = [each for each in listed if each["name"] == "code"]
    assert code["description"] == "What they were about: a wrap-up code."


def test_a_table_says_what_the_noun_says_that_it_becomes() -> None:
    assert about("QueueDraft", "priority") == "Higher is served first."
    assert about("StepTable", "overflow").startswith("From now on the caller is served")
    assert about("DidChange", "queue") == "The backup queue."
