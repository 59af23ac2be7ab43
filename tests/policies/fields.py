"""Groups of fields: their permissions are no endpoint's own, but say what its answer shows.

Each is asked for where it is shown (one customer, a search, the screen pop, the export, the event
stream, calls), or written. The stream and calls show the caller's number and nothing else of a
customer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from control_plane.api.route import AnyRoute, Routes
from control_plane.permissions import Permission, Role
from control_plane.proof import Case
from tests.control_plane.center import Reply

Ids = Mapping[str, str]
Shows = Callable[[Mapping[str, Any], Ids], bool | None]
SEARCHING: Final = frozenset({Role.AGENT, Role.SUPERVISOR, Role.MANAGER, Role.PRIVACY_OFFICER})
"""Who may search at all, and so can be let in by a search."""


PARTS: Final[Mapping[Permission, tuple[str, ...]]] = {
    Permission.CUSTOMER_BASIC_READ_FULL: (
        "has_legal_hold", "basic.name", "basic.tags", "basic.consent",
    ),
    Permission.CUSTOMER_BASIC_READ_MASKED: ("basic.language", "basic.is_masked"),
    Permission.CUSTOMER_CONTACT_READ_FULL: ("contact.numbers", "contact.email", "contact.address"),
    Permission.CUSTOMER_CONTACT_READ_MASKED: ("contact.is_masked",),
    Permission.CUSTOMER_NOTES_READ_FULL: ("notes",),
    Permission.CUSTOMER_PAYMENT_READ_MASKED: ("sensitive",),
}  # fmt: skip
"""Each field of a customer, and what it takes to be told it."""
OPEN: Final = frozenset({"id", "tenant", "created", "updated", "merged_into"})
"""Told to whoever may see at all that there is this customer."""


def _is_told(customer: Mapping[str, Any], part: str, ids: Ids) -> bool:
    """Return whether a field holds what is theirs, and no mask of it."""
    value: Any = customer
    for name in part.split("."):
        value = None if value is None else value[name]
    text = json.dumps(value)
    return isinstance(value, bool) or value == "de" or ids["word"] in text or ids["number"] in text


def _shows(permission: Permission) -> Shows:
    """Return what tells whether all of a group's fields are shown; None: some of them are."""

    def shows(customer: Mapping[str, Any], ids: Ids) -> bool | None:
        told = {_is_told(customer, part, ids) for part in PARTS[permission]}
        return told.pop() if len(told) == 1 else None

    return shows


SHOWN: Final[Mapping[Permission, Shows]] = {each: _shows(each) for each in PARTS}
EXPORTED: Final[Mapping[Permission, Shows]] = {
    Permission.CUSTOMER_BASIC_READ_FULL: SHOWN[Permission.CUSTOMER_BASIC_READ_FULL],
    Permission.CUSTOMER_CONTACT_READ_FULL: SHOWN[Permission.CUSTOMER_CONTACT_READ_FULL],
    Permission.CUSTOMER_NOTES_READ_FULL: SHOWN[Permission.CUSTOMER_NOTES_READ_FULL],
    Permission.CUSTOMER_PAYMENT_READ_FULL: SHOWN[Permission.CUSTOMER_PAYMENT_READ_MASKED],
}
"""To the two roles that may export at all, which see nothing masked."""


def _number(call: Mapping[str, Any], ids: Ids) -> bool:
    return call["caller"] is not None and call["caller"]["number"] == ids["number"]


def _any_number(call: Mapping[str, Any], _ids: Ids) -> bool:
    return call["caller"] is not None


OF_CALLERS: Final[Mapping[Permission, Shows]] = {
    Permission.CUSTOMER_CONTACT_READ_FULL: _number,
    Permission.CUSTOMER_CONTACT_READ_MASKED: _any_number,
}
EXPORT: Final = "customers_give"
STREAM: Final = "events_listen"
CALLS: Final = ("live_show", "live_list_all")
LOOK_UP: Final = "customers_by_number"
"""Who is on the call finds the caller; of all others, who sees numbers in full."""
EXPORTING: Final = frozenset({Role.MANAGER, Role.PRIVACY_OFFICER})
FORCED: Final = ("configuration_drain", "configuration_delete_dids")
"""Where traffic is moved although it does not fit: by an SRE, and by who runs a tenant."""
LET_IN: Final[Mapping[str, frozenset[Role]]] = {
    "customers_list_all": SEARCHING,
    LOOK_UP: EXPORTING,
    EXPORT: EXPORTING,
    "configuration_drain": frozenset({Role.SRE}),
    "configuration_delete_dids": frozenset({Role.TENANT_ADMIN}),
}
"""Whom an endpoint lets in at all, and so can show anything."""
SHOWING: Final = ("customers_show", "customers_list_all", LOOK_UP)
WRITTEN: Final[Mapping[Permission, tuple[str, Callable[[Ids], Mapping[str, Any]]]]] = {
    Permission.CUSTOMER_PAYMENT_WRITE: (
        "customers_change", lambda ids: {"sensitive": {ids["field"]: "q7new"}},
    ),
    Permission.USER_GRANT: ("users_change", lambda _ids: {"roles": ["role:agent"]}),
}  # fmt: skip
ASKED: Final = tuple(
    dict.fromkeys((*SHOWN, *WRITTEN, *EXPORTED, *OF_CALLERS, Permission.MOVE_FORCE))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDoor:
    """Where a permission of fields is asked for."""

    permission: Permission
    route: AnyRoute

    @property
    def query(self) -> str:
        """Return what is asked for beyond the endpoint's own, as a query; empty: nothing."""
        is_forced = self.permission is Permission.MOVE_FORCE
        return "force=true&why=x&dry_run=true" if is_forced else ""

    @property
    def name(self) -> str:
        """Return what it is called where doors are counted."""
        return f"{self.route.name} ({self.permission})"

    def body(self, ids: Ids) -> Mapping[str, Any] | None:
        """Return what is written; None: it is read."""
        written = WRITTEN.get(self.permission)
        return None if written is None else written[1](ids)

    def is_asked(self, case: Case, roles: frozenset[Role]) -> bool:
        """Return whether a case says anything of this door.

        An allow does where somebody of these roles could be shown anything there; of an export a
        denial does, too, only then: all others are refused for want of another right.
        """
        name = self.route.name
        if name == EXPORT and not case.allow:
            return bool(roles & EXPORTING)
        if not case.allow:
            return True
        if name in (STREAM, *CALLS):
            return _sees_the_call(case, roles)
        if name == LOOK_UP and "anna" in case.thing.get("on_call_with", ()):
            return True
        return roles <= LET_IN.get(name, roles)

    def purpose(self, roles: frozenset[Role]) -> str:
        """Return the purpose that an export takes though the case has none; empty: none."""
        is_added = self.route.name == EXPORT and Role.PRIVACY_OFFICER not in roles
        return "an export" if is_added else ""

    def is_shown(self, reply: Reply, ids: Ids) -> bool | None:
        """Return whether an answer that is well shows the fields; None: some of them."""
        if self.route.name == EXPORT:
            lines = (json.loads(line) for line in reply.body.splitlines())
            mine = next((each for each in lines if each["id"] == ids["customer"]), None)
            return False if mine is None else EXPORTED[self.permission](mine, ids)
        told = reply.json
        if self.route.name in CALLS:
            wanted = (ids["call"], ids["live_call"])
            mine = [each for each in told.get("items", [told]) if each["id"] in wanted]
            return any(OF_CALLERS[self.permission](each, ids) for each in mine)
        among = told.get("items", told.get("customers", [told]))
        found = next((each for each in among if each["id"] == ids["customer"]), None)
        return False if found is None else SHOWN[self.permission](found, ids)


def doors_of(permission: str, routes: Routes) -> Iterator[FieldDoor]:
    """Yield where a permission is asked for, if it is one of fields."""
    asked = next((each for each in ASKED if each == permission), None)
    if asked is None:
        return
    names = {*(SHOWING if asked in SHOWN else ())}
    names |= {WRITTEN[asked][0]} if asked in WRITTEN else set()
    names |= {EXPORT} if asked in EXPORTED else set()
    names |= {STREAM, *CALLS} if asked in OF_CALLERS else set()
    names |= set(FORCED) if asked is Permission.MOVE_FORCE else set()
    for route in routes:
        if route.name in names:
            yield FieldDoor(permission=asked, route=route)


def _sees_the_call(case: Case, roles: frozenset[Role]) -> bool:
    """Return whether the furnished agent's calls are told to the case's subject."""
    is_own = roles == {Role.AGENT} and "anna" in case.thing.get("on_call_with", ())
    is_teams = roles == {Role.SUPERVISOR} and "team" in case.thing
    return is_own or is_teams or roles == {Role.MANAGER}


def half_driven(routes: Routes, drives: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the fields that no allowing or no denying case drives, by (name, allow)."""
    known = frozenset(drives)
    return tuple(
        f"{door.name}: no case that is {'allowed' if told else 'denied'}"
        for permission in ASKED
        for door in doors_of(permission, routes)
        for told in (True, False)
        if (door.name, told) not in known
    )
