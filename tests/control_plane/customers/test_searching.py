"""Every way to search finds who fits, each once, page by page, in the order that was asked for."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from control_plane.customers.numbers import words
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person

NAMES = ("Anna Berg", "Anna Bergmann", "Bert Anders", "Marie Anne Berg", "Zoë Ander", "Bo Li")


async def crowd(center: Center) -> tuple[Person, list[dict[str, Any]]]:
    """Make some people, of whom every second is a VIP, and two share a number."""
    person = await center.person(Role.MANAGER)
    made = []
    for place, name in enumerate(NAMES * 2):
        center.clock.advance(0.01)
        draft = {
            "name": name,
            "numbers": [f"+49301234{place % 11:03}"],
            "tags": ["vip"] if place % 2 else [],
        }
        reply = await person.post("/v1/customers", draft)
        made.append({**draft, "id": reply.json["id"]})
    return person, made


async def found(person: Person, query: str) -> list[str]:
    """Return the ids of all pages, of two each."""
    ids: list[str] = []
    cursor = ""
    while True:
        reply = await person.get(f"/v1/customers?limit=2&{query}{cursor}")
        assert reply.status == 200, reply.body
        ids += [each["id"] for each in reply.json["items"]]
        if reply.json["next"] is None:
            return ids
        cursor = f"&cursor={reply.json['next']}"


def fits(one: dict[str, Any], name: str, number: str, tag: str) -> bool:
    has = words(one["name"])
    return (
        all(any(each.startswith(word) for each in has) for word in words(name))
        and (not number or number in one["numbers"])
        and (not tag or tag in one["tags"])
    )


async def test_all_filters_and_orders_agree_with_looking_at_everybody(center: Center) -> None:
    person, made = await crowd(center)
    for name, number, tag, sort in itertools.product(
        ("", "an", "berg anna", "ber an ma", "an ann", "nobody"),
        ("", "+49301234000"),
        ("", "vip"),
        ("", "created", "-created", "name", "-name"),
    ):
        filters = {"name": name.replace(" ", "+"), "number": number.replace("+", "%2B")}
        filters |= {"tag": tag, "sort": sort}
        query = "&".join(f"{key}={value}" for key, value in filters.items() if value)
        expected = [one for one in made if fits(one, name, number, tag)]
        if sort.endswith("name"):
            expected.sort(key=lambda one: (" ".join(words(one["name"])), one["id"]))
        if sort.startswith("-"):
            expected.reverse()
        assert await found(person, query) == [one["id"] for one in expected], query


@pytest.mark.parametrize("query", ["name=an", "tag=vip", "number=%2B49301234000"])
async def test_a_cursor_of_one_order_is_of_no_other(center: Center, query: str) -> None:
    person, _made = await crowd(center)
    first = await person.get(f"/v1/customers?limit=1&{query}")
    again = await person.get(f"/v1/customers?limit=1&{query}&sort=name&cursor={first.json['next']}")
    assert again.error_id == "cursor-invalid"
