"""Walks the OpenAPI document: what creates takes an Idempotency-Key, what can be edited If-Match.

Whoever is left out stands below with the reason; one that has it after all, or is gone, fails too.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from control_plane.api.route import AnyRoute
from control_plane.app import ROUTES
from control_plane.permissions import Role
from tests.control_plane.center import Center, running, settings
from tests.control_plane.outside.crawl import DOCUMENT, one
from tests.policies.doors import FITTING

TOLD_ONCE = "the answer holds a secret, which is told once and not kept for a day"
READS = "it creates nothing: it reads, or reckons"
SAME_AGAIN = "it says how a thing is to be: said again, it is so already"
LAST_COUNTS = "it obeys the last word, whoever else spoke meanwhile: people hang on it"
ENDS = "it ends what somebody may sign in with: whatever it has become, it has to end"

WITHOUT_KEY = {
    "sign_in_start": TOLD_ONCE,
    "sign_in_refresh": "a refresh token is good once, and its client has the same answer again",
    "oidc_begin": TOLD_ONCE,
    "oidc_complete": "what the provider gave is good once",
    "service_tokens_create": TOLD_ONCE,
    "phones_sign_in": TOLD_ONCE,
    "sign_in_change_password": SAME_AGAIN,
    "customers_mark_field": SAME_AGAIN,
    "customers_export": "it takes an approval, which is good once",
    "customers_give": "it takes an approval, which is good once",
    "recordings_give": "it takes an approval, which is good once",
    "approvals_break_glass": "it takes an approval, which is good once",
    "drills_begin": "it takes an approval, which is good once",
    "policies_test": READS,
    "policies_apply": "it takes an approval, which is good once",
    "configuration_publish_again": SAME_AGAIN,
    "configuration_roll_back": SAME_AGAIN,
    "configuration_drain": SAME_AGAIN,
    "configuration_activate": "active already, it answers plan-active",
    "configuration_revert": "reverted already, it answers plan-not-active",
    "live_pause": SAME_AGAIN,
    "live_resume": SAME_AGAIN,
    "live_begin": "while one is under way, and once another agent talks, it is refused",
    "live_change_wrap_up": "it creates nothing, and a rest has an upper limit",
}
WITHOUT_VERSION = {
    "customers_erase": "its approval names the very version that was looked at",
    "recordings_delete": "its approval names the very manifest that was looked at",
    "recordings_tag": SAME_AGAIN,
    "recordings_untag": SAME_AGAIN,
    "live_set_code": LAST_COUNTS,
    "live_set_state": LAST_COUNTS,
    "sign_in_end_mine": ENDS,
    "sign_in_end_of_user": ENDS,
    "sign_in_end": ENDS,
    "service_tokens_revoke": ENDS,
}
LONG = "k" * 129
WORDS = {
    **FITTING,
    "thing": "customers",
    "number": "+4930333334",
    "did": "15550100",
    "version": "1",
}


def _operations(*methods: str) -> Iterator[tuple[AnyRoute, dict[str, Any]]]:
    for route in ROUTES:
        if route.method.lower() in methods:
            yield route, DOCUMENT["paths"][route.path][route.method.lower()]


def _takes(operation: dict[str, Any], header: str) -> bool:
    named = [each for each in operation["parameters"] if each["in"] == "header"]
    return any(each["name"] == header for each in named)


def test_whatever_creates_takes_an_idempotency_key_or_says_why_not() -> None:
    without = {r.name for r, told in _operations("post") if not _takes(told, "Idempotency-Key")}
    assert without == WITHOUT_KEY.keys()


def test_whatever_can_be_edited_takes_if_match_or_says_why_not() -> None:
    without = {
        r.name for r, told in _operations("put", "patch", "delete") if not _takes(told, "If-Match")
    }
    assert without == WITHOUT_VERSION.keys()


def test_an_etag_is_to_be_had_of_all_that_asks_for_one() -> None:
    for route, told in _operations("put", "patch", "delete"):
        if not _takes(told, "If-Match"):
            continue
        # Of the thing itself, or, where only a part of it is set, of the whole.
        whole = (route.path, route.path.rpartition("/")[0])
        shown = [DOCUMENT["paths"].get(path, {}).get("get") for path in whole]
        answers = [each["responses"]["200"] for each in shown if each is not None]
        assert any("ETag" in each.get("headers", {}) for each in answers), route.name


@pytest.fixture
async def center(tmp_path: Path) -> AsyncIterator[Center]:
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        async with running(settings(Path(folder), f"sqlite:///{tmp_path / 'e.db'}")) as made:
            yield made


class _Ids(dict[str, str]):
    """Of things that are not there: who asks is told of the header first."""

    def __missing__(self, _name: str) -> str:
        return "0" * 24


async def test_what_should_come_with_a_version_is_refused_without_one(center: Center) -> None:
    person = await center.person(*(set(Role) - {Role.OUTSOURCED_AGENT}))
    asked = [route for route in ROUTES if route.needs_version]
    for route in asked:
        sent = one(route, _Ids(WORDS))
        headers = {k: v for k, v in sent.headers.items() if k != "If-Match"}
        reply = await person.ask(route.method, sent.path, sent.body, headers)
        assert reply.error_id == "version-needed", (route.name, reply.body)
    assert len(asked) > 30


async def test_a_key_that_is_none_is_refused_wherever_one_is_taken(center: Center) -> None:
    person = await center.person(*(set(Role) - {Role.OUTSOURCED_AGENT}))
    asked = [route for route in ROUTES if route.is_idempotent]
    for route in asked:
        sent = one(route, _Ids(WORDS))
        headers = {**sent.headers, "Idempotency-Key": LONG}
        reply = await person.ask(route.method, sent.path, sent.body, headers)
        assert (reply.error_id, b"Idempotency-Key" in reply.body) == ("bad-request", True), (
            route.name, reply.body,
        )  # fmt: skip
    assert len(asked) > 15
