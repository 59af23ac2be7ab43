"""By what recordings are searched: by what their calls were, and by whose they are.

Whose a call was, its caller's number says; so a search by a customer, or by a tag of theirs, takes
the right to read of every customer what it goes by, as a search for customers does. A search by a
tag that the recording itself bears does not.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, milliseconds
from control_plane.customers.errors import NOT_SEARCHABLE
from control_plane.customers.tables import NumberRow
from control_plane.customers.tables import TagRow as CustomerTagRow
from control_plane.errors import ApiError
from control_plane.permissions import Permission
from control_plane.recordings import tags
from control_plane.recordings.schemas import RecordingListing
from control_plane.subjects import Thing

Listed = Ask[Nothing, RecordingListing, Nothing]


def wanted(ask: Listed) -> dict[str, Any]:
    """Return the filters, as `calls.latest` takes them. Raise `not-searchable`."""
    query = ask.query
    return {
        "queue": query.queue,
        "agent": query.agent,
        "site": query.site,
        "code": query.disposition,
        "has_talk": True,
        "since": milliseconds(query.since),
        "until": milliseconds(query.until),
        "min_s": query.min_length_s,
        "max_s": query.max_length_s,
        "callers": _callers(ask),
        "among": None if query.tag is None else tags.bearers(ask.tenant, query.tag),
    }


def _callers(ask: Listed) -> Select[str] | None:
    """Return the numbers of whom is searched for; None: for nobody."""
    query = ask.query
    if query.customer is None and query.customer_tag is None:
        return None
    whole = Thing(kind="customer", tenant=ask.tenant)
    if not ask.sees(whole, Permission.CUSTOMER_BASIC_READ_FULL):
        raise ApiError(NOT_SEARCHABLE)
    found = select(NumberRow.number).where(NumberRow.tenant == ask.tenant)
    if query.customer is not None:
        found = found.where(NumberRow.customer == query.customer)
    if query.customer_tag is not None:
        tagged = select(CustomerTagRow.customer).where(
            CustomerTagRow.tenant == ask.tenant, CustomerTagRow.tag == query.customer_tag
        )
        found = found.where(NumberRow.customer.in_(tagged))
    return found
