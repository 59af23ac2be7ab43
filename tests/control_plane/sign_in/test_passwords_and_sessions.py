"""Guessing, changing passwords, and seeing and ending sessions; on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from control_plane.permissions import Role
from control_plane.sign_in import guard, hashing, store
from control_plane.sign_in.guesses import LOGIN_BURST, PAIR_BURST, PAIR_S, Guesses
from control_plane.users.tables import UserRow
from tests.control_plane.center import PASSWORD, Center, Person, Reply

NEW = "another horse, another battery"


async def sign_in(center: Center, password: str = PASSWORD, login: str = "admin") -> Reply:
    said = {"tenant": "main", "login": login, "password": password}
    return await center.ask("POST", "/v1/sessions", said, {"User-Agent": "test/1"})


async def person(center: Center, password: str = PASSWORD) -> Person:
    reply = await sign_in(center, password)
    assert reply.status == 201, reply.body
    return Person(center, reply.json["user"], reply.json["access_token"])


# ---- guessing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["admin", "nobody"])
async def test_after_ten_wrong_passwords_from_one_place_there_is_one_try_each_half_minute(
    center: Center, login: str
) -> None:
    for _ in range(PAIR_BURST):
        assert (await sign_in(center, "guess", login)).status == 401
    refused = await sign_in(center, PASSWORD, login)
    assert (refused.status, refused.error_id) == (429, "too-many-requests")
    assert 0 < int(refused.headers["Retry-After"]) <= PAIR_S + 1
    center.clock.advance(PAIR_S)
    assert (await sign_in(center, PASSWORD, login)).status == (201 if login == "admin" else 401)


async def test_right_passwords_are_never_too_many(center: Center) -> None:
    for _ in range(3 * PAIR_BURST):
        assert (await sign_in(center)).status == 201


def test_many_addresses_together_have_no_more_tries_than_they_should() -> None:
    guesses = Guesses()
    taken = [
        guesses.by_address("main/admin", f"10.0.0.{number}", 0.0)
        or guesses.by_anybody("main/admin", 0.0)
        for number in range(200)
    ]
    assert taken.count(0.0) == LOGIN_BURST
    assert guesses.by_anybody("main/other", 0.0) == 0.0


async def test_others_who_guess_do_not_lock_out_whoever_signed_in_here_before(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person(center)
    guesses = center.app[guard.GUESSES]
    for _ in range(LOGIN_BURST + 5):
        guesses.by_anybody("main/admin", center.clock.now().mono_s)
    # Over a Unix socket there is no address: nobody has been here before.
    assert (await sign_in(center)).status == 429

    async def was_here(*_: object) -> bool:
        return True

    monkeypatch.setattr(store, "was_here", was_here)
    assert (await sign_in(center)).status == 201


async def test_a_long_line_for_the_hash_is_refused_and_not_waited_for() -> None:
    line = hashing.Hashing()
    tries = [line.is_right(None, "x") for _ in range(hashing.MOST_WAITING + 20)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert found.count(False) == hashing.MOST_WAITING
    assert sum(isinstance(each, Exception) for each in found) == 20


async def test_a_hash_of_weaker_parameters_is_made_anew_at_sign_in(center: Center) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with center.services.database.write() as connection:
        await connection.execute(update(UserRow).values(password_hash=weak))
    await person(center)
    async with center.services.database.read() as connection:
        kept = str((await connection.execute(select(UserRow.password_hash))).scalar_one())
    assert kept.startswith("$argon2id$")
    assert "m=19456,t=2,p=1" in kept
    await person(center)


# ---- the password --------------------------------------------------------------------------------


async def change(who: Person, current: str, new: str = NEW) -> Reply:
    return await who.post("/v1/me/password", {"current": current, "new": new})


async def test_changing_the_password_ends_all_other_sessions(center: Center) -> None:
    mine, other = await person(center), await person(center)
    assert (await change(mine, PASSWORD)).status == 204
    assert (await mine.get("/v1/me")).status == 200
    assert (await other.get("/v1/me")).status == 401
    assert (await sign_in(center)).status == 401
    assert (await sign_in(center, NEW)).status == 201


@pytest.mark.parametrize(
    ("current", "new", "error"),
    [
        ("guess", NEW, "password-wrong"),
        (PASSWORD, PASSWORD, "password-unfit"),
        (PASSWORD, "short", "invalid"),
    ],
)
async def test_a_password_is_changed_by_who_knows_it_and_to_another(
    center: Center, current: str, new: str, error: str
) -> None:
    mine = await person(center)
    assert (await change(mine, current, new)).error_id == error
    assert (await sign_in(center)).status == 201


async def test_whoever_has_a_token_alone_cannot_guess_the_password(center: Center) -> None:
    mine = await person(center)
    for _ in range(PAIR_BURST):
        assert (await change(mine, "guess")).error_id == "password-wrong"
    assert (await change(mine, PASSWORD)).error_id == "too-many-requests"


async def test_who_signs_in_elsewhere_has_no_password_to_change(center: Center) -> None:
    somebody = await center.person(Role.MANAGER)
    assert (await change(somebody, PASSWORD)).status == 404


# ---- sessions ------------------------------------------------------------------------------------


async def listed(who: Person, path: str = "/v1/me/sessions") -> list[dict[str, Any]]:
    reply = await who.get(path)
    assert reply.status == 200, reply.body
    return list(reply.json["items"])


async def test_people_see_where_they_are_signed_in_and_end_what_they_do_not_know(
    center: Center,
) -> None:
    mine, stranger = await person(center), await person(center)
    found = await listed(mine)
    assert [each["client"] for each in found] == ["test/1", "test/1"]
    assert [each["is_current"] for each in found].count(True) == 1
    (theirs,) = (each["id"] for each in found if not each["is_current"])
    assert (await mine.ask("DELETE", f"/v1/me/sessions/{theirs}")).status == 204
    assert (await stranger.get("/v1/me")).status == 401
    assert (await mine.get("/v1/me")).status == 200
    assert len(await listed(mine)) == 1
    assert (await mine.ask("DELETE", f"/v1/me/sessions/{theirs}")).status == 404


async def test_nobody_ends_a_session_of_somebody_else_as_their_own(center: Center) -> None:
    mine, other = await person(center), await center.person(Role.MANAGER)
    (session,) = (each["id"] for each in await listed(mine))
    assert (await other.ask("DELETE", f"/v1/me/sessions/{session}")).status == 404
    assert (await mine.get("/v1/me")).status == 200


async def test_an_administrator_sees_and_ends_the_sessions_of_a_user(center: Center) -> None:
    admin, somebody = await person(center), await center.person(Role.MANAGER)
    path = f"/v1/users/{somebody.id}/sessions"
    assert len(await listed(admin, path)) == 1
    assert (await somebody.get(path)).status == 403
    assert (await admin.ask("DELETE", path)).status == 204
    assert (await somebody.get("/v1/me")).status == 401
    assert await listed(admin, path) == []


@pytest.mark.parametrize("sent", [{"password": NEW}, {"is_active": False}])
async def test_who_is_just_signing_in_when_the_password_is_changed_is_not_let_in(
    center: Center, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await person(center)
    draft = {"login": "anna", "name": "Anna", "roles": ["role:manager"], "password": PASSWORD}
    user = (await admin.post("/v1/users", draft)).json["id"]
    plain = hashing.Hashing.is_right

    async def is_right(self: hashing.Hashing, kept: str | None, password: str) -> bool:
        found = await plain(self, kept, password)
        changed = await admin.ask("PATCH", f"/v1/users/{user}", sent, {"If-Match": '"1"'})
        assert changed.status == 200
        return found

    monkeypatch.setattr(hashing.Hashing, "is_right", is_right)
    reply = await sign_in(center, PASSWORD, "anna")
    assert (reply.status, reply.error_id) == (401, "sign-in-refused")
    assert await listed(admin, f"/v1/users/{user}/sessions") == []


@pytest.mark.parametrize("sent", [{"password": NEW}, {"is_active": False}])
async def test_a_password_set_by_others_and_being_disabled_end_all_sessions_for_good(
    center: Center, sent: dict[str, Any]
) -> None:
    admin, somebody = await person(center), await center.person(Role.MANAGER)
    path = f"/v1/users/{somebody.id}"
    assert (await admin.ask("PATCH", path, sent, {"If-Match": '"1"'})).status == 200
    assert (await somebody.get("/v1/me")).status == 401
    await admin.ask("PATCH", path, {"is_active": True}, {"If-Match": '"2"'})
    assert (await somebody.get("/v1/me")).status == 401
