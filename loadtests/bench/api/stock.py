"""PURE. What the database holds while the API is measured, as statements that make it quickly.

A hundred tenants, the first with half of all customers: averages over equal tenants would flatter.
Rows are made by the database itself from a series of numbers; both dialects make the same ones.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Final

import msgspec

from control_plane.conditions import REGISTERED
from control_plane.permissions import Permission, Role

CUSTOMERS: Final = 1_000_000
TENANTS: Final = 100
POLICY_LINES: Final = 10_000
QUEUES_EACH: Final = 5
AGENTS_EACH: Final = 10
CHUNK: Final = 50_000
STRIDE: Final = 7919
"""Last names do not come in the order of first names."""
STANDING: Final = 2**31 - 1
EPOCH_MS: Final = 1_700_000_000_000
LOGIN: Final = "manager"
_SYLLABLES: Final = ("an", "be", "co", "da", "el", "fi", "go", "ha", "ir", "jo", "ka", "lu", "mar")


class Dialect(StrEnum):
    """Whose SQL."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def tenant(number: int) -> str:
    """Return a tenant's id."""
    return f"t{number:03}"


def telephone(customer: int) -> str:
    """Return the number of a customer, by their place in the series."""
    return f"+4930{customer:08}"


@cache
def first_names() -> list[str]:
    """Return 169 first names."""
    return [f"{a}{b}".title() for a, b in itertools.product(_SYLLABLES, repeat=2)]


@cache
def last_names() -> list[str]:
    """Return 2197 last names."""
    return ["".join(each).title() for each in itertools.product(_SYLLABLES, repeat=3)]


def name_of(customer: int) -> tuple[str, str]:
    """Return the first and the last name of a customer."""
    firsts, lasts = first_names(), last_names()
    place = customer // 2
    return firsts[place % len(firsts)], lasts[place % len(lasts) * STRIDE % len(lasts)]


def names(dialect: Dialect) -> list[str]:
    """Return the statements that make two temporary tables of names."""
    made = ["CREATE TEMPORARY TABLE firsts (i INTEGER PRIMARY KEY, word TEXT)"]
    made += ["CREATE TEMPORARY TABLE lasts (i INTEGER PRIMARY KEY, word TEXT)"]
    for table, words in (("firsts", first_names()), ("lasts", last_names())):
        rows = ", ".join(f"({place}, '{word}')" for place, word in enumerate(words))
        made.append(f"INSERT INTO {table} VALUES {rows}")  # noqa: S608 - names of ours
    if dialect is Dialect.POSTGRESQL:
        made.append("ANALYZE firsts, lasts")
    return made


def customers(dialect: Dialect, start: int, end: int) -> list[str]:
    """Return the statements that make customers `start` to before `end`, with all indexes."""
    firsts, lasts = len(first_names()), len(last_names())
    if dialect is Dialect.SQLITE:
        series = (
            f"WITH RECURSIVE series(n) AS (SELECT {start} UNION ALL "  # noqa: S608
            f"SELECT n + 1 FROM series WHERE n + 1 < {end})"
        )
        padded = "printf('%0{width}d', {what})"
        blob, false = "zeroblob(60)", "0"
    else:
        series = f"WITH series AS (SELECT n FROM generate_series({start}, {end - 1}) AS n)"  # noqa: S608
        padded = "lpad(({what})::text, {width}, '0')"
        blob, false = "decode(repeat('00', 60), 'hex')", "FALSE"
    rank = padded.format(width=3, what=f"1 + n / 2 % {TENANTS - 1}")
    whose = f"CASE WHEN n % 2 = 0 THEN '{tenant(0)}' ELSE 't' || {rank} END"
    key = f"'cus_' || {padded.format(width=26, what='n')}"
    phone = f"'+4930' || {padded.format(width=8, what='n')}"
    named = (
        f"series JOIN firsts ON firsts.i = n / 2 % {firsts} "
        f"JOIN lasts ON lasts.i = n / 2 % {lasts} * {STRIDE} % {lasts}"
    )
    return [
        (
            f"{series} INSERT INTO customers (id, tenant, name, name_key, language, email, "  # noqa: S608
            "address, notes, consent, numbers, tags, has_legal_hold, merged_into, created_ms, "
            f"updated_ms, version) SELECT {key}, {whose}, firsts.word || ' ' || lasts.word, "
            "lower(firsts.word || ' ' || lasts.word), 'de', "
            "lower(lasts.word) || n || '@example.org', "
            "'Street ' || n, 'Prefers to be called in the morning.', '{\"marketing\": false}', "
            f"'[\"' || {phone} || '\"]', CASE WHEN n % 10 < 2 THEN '[\"vip\"]' ELSE '[]' END, "
            f"{false}, NULL, {EPOCH_MS} + n, {EPOCH_MS} + n, 1 FROM {named} ORDER BY n"
        ),
        (
            f"{series} INSERT INTO customer_numbers (tenant, number, customer) "  # noqa: S608
            f"SELECT {whose}, {phone}, {key} FROM series"
        ),
        (
            f"{series} INSERT INTO customer_words (tenant, word, customer) "  # noqa: S608
            f"SELECT {whose}, lower(firsts.word), {key} FROM {named}"
        ),
        (
            f"{series} INSERT INTO customer_words (tenant, word, customer) "  # noqa: S608
            f"SELECT {whose}, lower(lasts.word), {key} FROM {named}"
        ),
        (
            f"{series} INSERT INTO customer_tags (tenant, tag, customer) "  # noqa: S608
            f"SELECT {whose}, 'vip', {key} FROM series WHERE n % 10 < 2"
        ),
        (
            f"{series} INSERT INTO customer_sealed (customer, field, tenant, sealed) "  # noqa: S608
            f"SELECT {key}, 'payment_card', {whose}, {blob} FROM series WHERE n % 10 < 3"
        ),
    ]


def people(password_hash: str) -> list[tuple[str, tuple[object, ...]]]:
    """Return statements with their values: tenants, a manager in each, and the configuration."""
    made: list[tuple[str, tuple[object, ...]]] = []
    for number in range(TENANTS):
        who, where = f"usr_bench{number:03}", tenant(number)
        times = (EPOCH_MS, EPOCH_MS, 1)
        made += [
            ("INSERT INTO tenants (id, name, created_ms, updated_ms, version) VALUES (?,?,?,?,?)",
             (where, where, *times)),
            (("INSERT INTO users (id, tenant, login, name, agent, employer, team, site, is_active, "
             "password_hash, created_ms, updated_ms, version) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"),
             (who, where, LOGIN, "Manager", "", "", "", "", True, password_hash, *times)),
            ("INSERT INTO grants (user_id, role, tenant) VALUES (?,?,?)",
             (who, Role.MANAGER.value, where)),
        ]  # fmt: skip
    made.append(
        (("INSERT INTO configuration_versions (number, id, tenant, at_ms, by, why, what) "
         "VALUES (?,?,?,?,?,?,?)"),
         (1, "ver_bench", "main", EPOCH_MS, "file", "", "adopted"))
    )  # fmt: skip
    for section, identifier, where, body in configuration():
        made.append(
            (("INSERT INTO configuration_items (section, id, since, until, tenant, body) "
             "VALUES (?,?,?,?,?,?)"),
             (section, identifier, 1, STANDING, where, msgspec.json.encode(body).decode()))
        )  # fmt: skip
    return made


def queue(number: int, place: int) -> str:
    """Return a queue's id."""
    return f"{tenant(number)}.queue{place}"


def configuration() -> Iterator[tuple[str, str, str, dict[str, object]]]:
    """Yield section, id, tenant and body of every table of the configuration."""
    for letter, octet in (("a", 1), ("b", 2), ("c", 3)):
        yield "sites", letter, "main", {"sip": f"198.18.{octet}.10:5060", "name": letter.upper()}
    for number in range(TENANTS):
        where = tenant(number)
        for place in range(QUEUES_EACH):
            skill = f"{where}.skill{place}"
            yield "skills", skill, where, {"tenant": where}
            needs: dict[str, object] = {"needs": {skill: 3}, "tenant": where}
            yield "queues", queue(number, place), where, needs
        for place in range(AGENTS_EACH):
            skills = {f"{where}.skill{place % QUEUES_EACH}": 5}
            body: dict[str, object] = {
                "site": "abc"[place % 3],
                "ha1": "0" * 32,
                "skills": skills,
                "tenant": where,
            }
            yield "agents", f"{where}.agent{place}", where, body


def policy(base: str) -> str:
    """Return `base` and 10,000 lines beside it, each of one tenant."""
    chance = random.Random(7)  # noqa: S311 - the same lines every time
    named = [each for each in Permission if each.kind != "session"]
    choices = [
        (role, each.kind, each.act, condition)
        for role in Role for each in named for condition in REGISTERED if condition != "always"
    ]  # fmt: skip
    lines = [base.rstrip()]
    for number in range(TENANTS):
        for role, kind, act, condition in chance.sample(choices, POLICY_LINES // TENANTS):
            denies = condition == "is_disabled"
            effect = "deny" if denies else "allow"
            lines.append(f"p, {role}, {tenant(number)}, {kind}, {act}, {condition}, {effect}")
    return "\n".join(lines) + "\n"
