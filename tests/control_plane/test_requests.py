"""What holds for every request: tokens, problems, limits, health."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from control_plane.api import openapi
from control_plane.api.health import Document
from control_plane.api.route import Public
from control_plane.app import ROUTES
from control_plane.audit.tables import AuditRow
from control_plane.permissions import Permission, Role
from control_plane.settings import Limits
from control_plane.tokens import TokenKeys, make_key
from tests.control_plane.center import Center, running, settings


async def test_without_a_good_token_nothing_is_answered(center: Center) -> None:
    person = await center.person(Role.TENANT_ADMIN)
    head, claims, seal = person.token.split(".")
    bad = ["", "Bearer", "Basic YTpi", f"Bearer {head}.{claims}.", f"Bearer {head}.{claims}.AAAA"]
    bad += [f"Bearer {claims}.{claims}.{seal}", "Bearer é", f"Bearer {center.token('usr_gone')}"]
    for authorization in bad:
        headers = {"Authorization": authorization} if authorization else {}
        for route in ROUTES:
            if isinstance(route.access, Public):
                continue
            path = route.path.replace("{", "").replace("}", "")
            reply = await center.ask(route.method, path, headers=headers)
            assert reply.error_id == "sign-in-needed", (route.name, authorization)
            assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_another_key_or_gone_by_is_none(center: Center, tmp_path: Path) -> None:
    person = await center.person(Role.TENANT_ADMIN)
    other = tmp_path / "other.pem"
    other.touch(mode=0o600)
    other.write_bytes(make_key())
    forged = TokenKeys.load(other)
    now_s = center.clock.now().wall_ms // 1000
    person.token = forged.sign(center.services.tokens.read(person.token, now_s=now_s), now_s=now_s)
    assert (await person.get("/v1/me")).error_id == "sign-in-needed"
    whole = await center.person(Role.TENANT_ADMIN)
    session = center.services.tokens.read(whole.token, now_s=now_s).session
    person.token = center.token(whole.id, session=session, lives_s=60)
    assert (await person.get("/v1/me")).status == 200
    center.clock.advance(63.0)
    assert (await person.get("/v1/me")).error_id == "sign-in-needed"


@pytest.mark.parametrize(
    ("body", "media", "error_id"),
    [
        (b"{", "application/json", "invalid"),
        (b'{"login": 1}', "application/json", "invalid"),
        (b'{"login":"a","name":"b","rank":1}', "application/json", "invalid"),
        (b'{"login":"a","name":"\\u0000"}', "application/json", "invalid"),
        (b'{"login":"a","name":"\\ud800"}', "application/json", "invalid"),
        (b'{"login":"a","name":"b"}', "text/plain", "media-type-unsupported"),
        (b"\xff", "application/json", "invalid"),
        (b"x" * 2_000_000, "application/json", "body-too-large"),
    ],
)
async def test_a_bad_body_is_a_problem_that_quotes_nothing(
    center: Center, body: bytes, media: str, error_id: str
) -> None:
    admin = await center.person(Role.TENANT_ADMIN)
    reply = await admin.ask("POST", "/v1/users", body, {"Content-Type": media})
    assert reply.error_id == error_id
    assert reply.json["request_id"] == reply.headers["X-Request-Id"]


async def test_a_request_is_called_as_its_client_calls_it_unless_that_may_be_a_number(
    center: Center,
) -> None:
    for sent, is_taken in (("my-own-id-7", True), ("4930123456789", False), ("x y", False)):
        reply = await center.ask("GET", "/v1/nowhere", None, {"X-Request-Id": sent})
        assert (reply.json["request_id"] == sent) is is_taken


async def test_a_fault_names_no_types_of_python(center: Center) -> None:
    manager = await center.person(Role.MANAGER)
    asked = {"act": "customer:export", "things": [], "why": "x"}
    reply = await manager.post("/v1/approval-requests", asked)
    assert reply.json["faults"] == [
        {"where": "body.things", "fault": "should have at least 1 item"}
    ]


async def test_every_change_stands_in_the_audit_log(center: Center) -> None:
    admin = await center.administrator()
    made = await admin.post("/v1/users", {"login": "a", "name": "A"})
    refused = await admin.post("/v1/users", {"login": "a", "name": "A"})
    assert refused.status == 409
    async with center.services.database.read() as connection:
        rows = (await connection.execute(select(AuditRow.__table__).order_by("number"))).all()
    assert [row.action for row in rows] == ["center:begin", "session:begin", "user:create"]
    assert rows[2].actor == admin.id
    assert rows[2].thing == made.json["id"]
    assert rows[2].request_id == made.headers["X-Request-Id"]
    assert rows[2].policy_version == center.services.authz.policy_of("main").version


async def test_health_readiness_and_metrics_answer(center: Center) -> None:
    assert (await center.ask("GET", "/health")).json == {"status": "up"}
    assert (await center.ask("GET", "/ready")).json["parts"] == {"database": "up"}
    await center.ask("GET", "/v1/me")
    figures = (await center.ask("GET", "/metrics")).body.decode()
    assert (
        'everline_api_requests_total{method="GET",route="sign_in_me",status="401"} 1.0' in figures
    )


async def test_readiness_and_metrics_cost_no_more_for_being_asked_often(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, figures = center.services.database, center.services.metrics
    looks, renderings = 0, 0
    is_up, render = database.is_up, figures.render

    async def looked() -> bool:
        nonlocal looks
        looks += 1
        return await is_up()

    def rendered() -> bytes:
        nonlocal renderings
        renderings += 1
        return render()

    monkeypatch.setattr(database, "is_up", looked)
    monkeypatch.setattr(figures, "render", rendered)
    for seconds in (1, 2):
        paths = ("/ready", "/metrics") * 20
        replies = await asyncio.gather(*(center.ask("GET", path) for path in paths))
        assert {reply.status for reply in replies} == {200}
        assert (looks, renderings) == (seconds, seconds)
        center.clock.advance(1)


async def test_a_database_that_goes_is_told_a_second_later(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await center.ask("GET", "/ready")).status == 200

    async def down() -> bool:
        return False

    monkeypatch.setattr(center.services.database, "is_up", down)
    center.clock.advance(0.9)
    assert (await center.ask("GET", "/ready")).status == 200
    center.clock.advance(0.1)
    assert (await center.ask("GET", "/ready")).status == 503
    assert (await center.ask("GET", "/ready")).json["parts"] == {"database": "down"}


async def test_no_answer_tells_which_software_this_is(center: Center) -> None:
    assert (await center.ask("GET", "/health")).headers["Server"] == "Everline"
    refused = await center.ask("GET", "/health", headers={"Expect": "the unexpected"})
    assert (refused.status, refused.headers["Server"]) == (417, "Everline")
    assert refused.headers["X-Request-Id"]


def test_the_openapi_document_names_every_route_with_its_permission() -> None:
    document = openapi.document(ROUTES, "1")
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        if isinstance(route.access, Permission):
            assert operation["x-permission"] == route.access.value
        else:
            assert operation["security"] == []
        names = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", route.path)), route.name


async def test_the_openapi_document_is_made_once_and_not_before_somebody_asks() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(threading.get_ident())
        return b"{}"

    document = Document(make)
    assert made == []
    assert await asyncio.gather(*(document.read() for _ in range(3))) == [b"{}"] * 3
    assert len(made) == 1
    assert made[0] != threading.get_ident()  # others are served meanwhile


async def test_whoever_asks_gets_the_openapi_document(center: Center) -> None:
    reply = await center.ask("GET", "/openapi.json")
    assert set(reply.json["paths"]) == {route.path for route in ROUTES}


def test_every_route_has_a_name_of_its_own() -> None:
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))


@pytest.fixture
async def strict() -> AsyncIterator[Center]:
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        limits = Limits(
            subject_rate=1, subject_burst=3, stranger_rate=1, stranger_burst=2, header_s=0.3,
            body_s=0.3,
        )  # fmt: skip
        made = settings(Path(folder), f"sqlite:///{folder}/e.db", limits=limits)
        async with running(made) as center:
            yield center


async def test_whoever_asks_too_often_is_told_when_to_come_again(strict: Center) -> None:
    person = await strict.person()
    other = await strict.person()
    replies = [await person.get("/v1/me") for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert replies[-1].headers["Retry-After"] == "2"
    assert (await other.get("/v1/me")).status == 200
    strict.clock.advance(2.0)
    assert (await person.get("/v1/me")).status == 200


async def test_guessing_passwords_is_slowed_down(strict: Center) -> None:
    said = {"tenant": "main", "login": "admin", "password": "a guess"}
    replies = [await strict.ask("POST", "/v1/sessions", said) for _ in range(3)]
    assert [reply.status for reply in replies] == [401, 401, 429]


async def test_a_client_that_sends_no_request_is_cut_off(strict: Center) -> None:
    for sent in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"):
        reader, writer = await asyncio.open_unix_connection(str(strict.socket))
        writer.write(sent)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_a_client_that_dribbles_its_body_is_cut_off(strict: Center) -> None:
    reader, writer = await asyncio.open_unix_connection(str(strict.socket))
    writer.write(
        b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n")
        assert head.startswith(b"HTTP/1.1 408")
    writer.close()
