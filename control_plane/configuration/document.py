"""PURE. The configuration as the control plane keeps it: tables by section and id, and edits.

A document is the whole at one version. Each item says since which version it is as it is, which is
also its ETag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, TypeAlias

from immutables import Map
from msgspec import Struct

from control_plane.configuration.nouns import ACTIVATIONS, OWN_SHAPES, PLATFORM
from state.configuration import SECTIONS, Configuration, Section, noun_of
from state.configuration_writing import tables_of
from state.model import MAIN

Body: TypeAlias = Mapping[str, Any]
ItemKey: TypeAlias = tuple[str, str]
"""Section, id."""
SECRET: Final = frozenset({"ha1", "password"})
"""Fields whose values no answer tells, only that they changed."""


class Item(Struct, frozen=True, kw_only=True, dict=True):
    """One table."""

    section: str
    id: str
    tenant: str
    since: int
    body: Body

    @cached_property
    def noun(self) -> Any:  # noqa: ANN401 - of any section
        """Return what the table says, or the `Finding` why it says nothing; read once."""
        section = SECTIONS.get(self.section) or Section(OWN_SHAPES[self.section], _as_it_is)
        return noun_of(self.section, section, self.id, self.body)


def _as_it_is(_: str, table: Any) -> Any:  # noqa: ANN401 - a table of ours
    return table


class Edit(Struct, frozen=True, kw_only=True):
    """A table to be put in the place of what stands there, if anything."""

    section: str
    id: str
    body: Body | None
    """None: it goes."""

    @property
    def key(self) -> ItemKey:
        """Return where."""
        return self.section, self.id


Document: TypeAlias = Map[ItemKey, Item]
NOTHING: Final[Document] = Map()


class Change(Struct, frozen=True, kw_only=True):
    """How one table differs between two documents. None: it is not there."""

    section: str
    id: str
    tenant: str
    before: Body | None
    after: Body | None


def tenant_of(section: str, body: Body) -> str:
    """Return whose it is."""
    return MAIN if section in PLATFORM else str(body.get("tenant", MAIN))


def applied(document: Document, edits: Iterable[Edit], version: int) -> Document:
    """Return the document after the edits. What is put as it was stays as it is."""
    made = document.mutate()
    for edit in edits:
        held = made.get(edit.key)
        if edit.body is None:
            made.pop(edit.key, None)
        elif held is None or held.body != edit.body:
            made[edit.key] = Item(
                section=edit.section,
                id=edit.id,
                tenant=tenant_of(edit.section, edit.body),
                since=version,
                body=edit.body,
            )
    return made.finish()


def difference(
    before: Document, after: Document, among: Iterable[ItemKey] | None = None
) -> tuple[Change, ...]:
    """Return what differs, in order of section and id.

    `among`: nothing else does, as is known where edits made the one of the other.
    """
    if among is None:
        keys = {key for key in before if before[key] != after.get(key)}
        keys |= {key for key in after if key not in before}
    else:
        keys = {key for key in among if before.get(key) != after.get(key)}
    found = (_change(key, before.get(key), after.get(key)) for key in sorted(keys))
    return tuple(change for change in found if change.before != change.after)


def _change(key: ItemKey, before: Item | None, after: Item | None) -> Change:
    known = after or before
    return Change(
        section=key[0],
        id=key[1],
        tenant=known.tenant if known else MAIN,
        before=None if before is None else before.body,
        after=None if after is None else after.body,
    )


def restoring(now: Document, then: Document, tenant: str, *, but: frozenset[str]) -> list[Edit]:
    """Return the edits that make a tenant's tables what they were `then`.

    Sections in `but` stay as they are, and so does what is another tenant's now: a number that was
    given to somebody else is not taken back. Nor is a secret: one that was replaced may have been
    seen by others, and the telephone of whoever has it knows the new one. A plan that is active is
    in force as it is, whatever it said `then`.
    """
    return [
        Edit(
            section=change.section, id=change.id, body=_keeping_secrets(change.before, change.after)
        )
        for change in difference(_of(now, tenant), _of(then, tenant))
        if change.section not in but
        and ((held := now.get((change.section, change.id))) is None or held.tenant == tenant)
        and not (change.section == "plans" and (ACTIVATIONS, change.id) in now)
    ]


def _keeping_secrets(now: Body | None, then: Body | None) -> Body | None:
    """Return a table as it was `then`, with the secrets that it has `now`, if it is there."""
    if now is None or then is None:
        return then
    return {name: value for name, value in then.items() if name not in SECRET} | secrets_of(now)


def secrets_of(body: Body) -> dict[str, Any]:
    """Return the fields of a table that no answer tells; an agent may have none."""
    return {name: value for name, value in body.items() if name in SECRET}


def taken_from(configuration: Configuration) -> list[Edit]:
    """Return the edits that make a document of what a file, or the shared state, says."""
    return [
        Edit(section=section, id=identifier, body=body)
        for section, tables in tables_of(configuration).items()
        for identifier, body in tables.items()
    ]


def by_section(document: Document) -> dict[str, list[Item]]:
    """Return the items of every section, in order of their ids."""
    found: dict[str, list[Item]] = {section: [] for section in (*SECTIONS, *OWN_SHAPES)}
    for item in document.values():
        found[item.section].append(item)
    return {section: sorted(items, key=_id) for section, items in found.items()}


def _id(item: Item) -> str:
    return item.id


def _of(document: Document, tenant: str) -> Document:
    return Map({key: item for key, item in document.items() if item.tenant == tenant})
