"""The stock of `bench api`: what the statements make is what the requests will ask for."""

from __future__ import annotations

import sqlite3
from collections import Counter

import pytest
from sqlalchemy import create_engine

import control_plane.features
from control_plane import policy
from control_plane.customers.numbers import e164, words
from control_plane.db.tables import Table
from loadtests.bench.api import stock
from loadtests.bench.api.stock import Dialect
from loadtests.bench.servers import PROJECT

COUNT = 700


@pytest.fixture(scope="module")
def filled() -> sqlite3.Connection:
    assert control_plane.features.TABLES
    engine = create_engine("sqlite://")
    Table.metadata.create_all(engine)
    raw = engine.raw_connection().driver_connection
    assert isinstance(raw, sqlite3.Connection)
    for statement in stock.names(Dialect.SQLITE):
        raw.execute(statement)
    for statement, values in stock.people("a hash"):
        raw.execute(statement, values)
    for start in (0, COUNT // 2):
        for statement in stock.customers(Dialect.SQLITE, start, start + COUNT // 2):
            raw.execute(statement)
    return raw


def test_each_customer_is_whose_and_called_as_the_requests_believe(
    filled: sqlite3.Connection,
) -> None:
    rows = filled.execute("SELECT tenant, name, name_key, numbers FROM customers ORDER BY id")
    found = rows.fetchall()
    assert len(found) == COUNT
    for place, (tenant, name, key, numbers) in enumerate(found):
        # Every second one is the first tenant's.
        number = 0 if place % 2 == 0 else 1 + place // 2 % (stock.TENANTS - 1)
        assert tenant == stock.tenant(number)
        assert name == " ".join(stock.name_of(place))
        assert tuple(key.split()) == words(name)
        assert numbers == f'["{stock.telephone(place)}"]'
        assert e164(stock.telephone(place)) == stock.telephone(place)


def test_the_indexes_hold_every_customer(filled: sqlite3.Connection) -> None:
    counts = {
        table: filled.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
        for table in ("customer_numbers", "customer_words", "customer_tags", "customer_sealed")
    }
    assert counts == {
        "customer_numbers": COUNT,
        "customer_words": 2 * COUNT,
        "customer_tags": COUNT // 5,
        "customer_sealed": COUNT // 10 * 3,
    }


def test_half_of_all_customers_are_one_tenants(filled: sqlite3.Connection) -> None:
    tenants = Counter(row[0] for row in filled.execute("SELECT tenant FROM customers"))
    assert tenants[stock.tenant(0)] == COUNT // 2
    assert len(tenants) == stock.TENANTS


def test_the_policy_has_ten_thousand_lines_more_and_loads() -> None:
    base = (PROJECT / "policies" / "policy.csv").read_text()
    loaded = policy.parse(stock.policy(base))
    own = [line for line in loaded.lines if line.dom != "*"]
    assert len(own) == stock.POLICY_LINES
    assert len({line.dom for line in own}) == stock.TENANTS
