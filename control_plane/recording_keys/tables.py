"""The tables of recording keys and of what was deleted, in the key store's database.

They stand there and not beside the calls because a restored backup of the calls must bring neither
a key back nor forget that something was to be deleted.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table

from control_plane.db.tables import NAMES

META = MetaData(naming_convention=NAMES)
PROVIDERS = Table(
    "recording_providers",
    META,
    Column("name", String, primary_key=True),
    Column("recipient", String, nullable=False),
)
KEYS = Table(
    "recording_keys",
    META,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("customer", String, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("destroyed_ms", BigInteger, nullable=True),
    Index("ix_recording_keys_tenant_customer", "tenant", "customer"),
    Index("ix_recording_keys_changed_ms", "changed_ms"),
)
WRAPS = Table(
    "recording_key_wraps",
    META,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("provider", String, primary_key=True),
    Column("under", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_recording_key_wraps_provider_under", "provider", "under"),
)
CALLS = Table(
    "recording_key_calls",
    META,
    Column("tenant", String, primary_key=True),
    Column("call", String, primary_key=True),
    Column("id", String, nullable=False),
    Index("ix_recording_key_calls_tenant_id", "tenant", "id"),
)
"""To whose key a call is sealed: the call's own row may never have learnt who called."""
ORDERS = Table(
    "deletion_orders",
    META,
    Column("tenant", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("rule", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("ordered_ms", BigInteger, nullable=False),
    Index("ix_deletion_orders_ordered_ms", "ordered_ms"),
)
WAITING = Table(
    "deletion_orders_waiting",
    META,
    Column("tenant", String, primary_key=True),
    Column("subject", String, primary_key=True),
)
"""Orders of which nothing has been deleted at any site: a legal hold still takes them back."""
BEGUN = Table(
    "deletion_orders_begun",
    META,
    Column("tenant", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("site", String, primary_key=True),
    Column("objects", LargeBinary, nullable=False),
)
"""What a site is deleting, and has not stated yet: names and hashes, as JSON."""
STATEMENTS = Table(
    "deletion_statements",
    META,
    Column("tenant", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("site", String, primary_key=True),
    Column("signed", LargeBinary, nullable=False),
    Column("done_ms", BigInteger, nullable=False),
)
