"""How the next snapshot is made of the one before. PURE."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from state.codec import Record, decode_at
from state.errors import BadKeyError, CodecError
from state.keys import Kind, build, parse
from state.model import AgentId, CallId, Entry, Work
from state.raw import Change, KeyValue
from state.snapshot.delta import Delta
from state.snapshot.home import at_home, configured
from state.snapshot.rests import runs_from_s
from state.snapshot.snapshot import FIELDS, Snapshot


class Builder:
    """Makes the next snapshot; opens only the maps that change."""

    def __init__(self, snapshot: Snapshot, seen_s: float) -> None:
        self._old = snapshot
        self._seen_s = seen_s
        # MapMutation is invariant in types that differ from map to map: Any, inside this class
        # alone.
        self._open: dict[str, Any] = {}
        self._deltas: list[Delta] = []

    def take(self, change: Change) -> None:
        """Take one change from a watch, unless it is old news."""
        if change.mod_revision <= self._old.revision:
            return
        held = self._map("raw").get(change.key)
        if held is not None and held.mod_revision >= change.mod_revision:
            return
        if change.value is None:
            self.drop(change.key)
        else:
            self.put(
                KeyValue(
                    key=change.key,
                    value=change.value,
                    create_revision=change.create_revision,
                    mod_revision=change.mod_revision,
                )
            )

    def put(
        self,
        record: KeyValue,
        *,
        is_found: bool = False,
        seen_s: float | None = None,
        wall_ms: int | None = None,
    ) -> None:
        """Let `record` stand at its key. `is_found`: it may have stood there for long.

        `wall_ms`: when it was found; None: how long ago it was written is known.
        """
        self._map("raw")[record.key] = record
        try:
            value = decode_at(record.key, record.value)
        except (BadKeyError, CodecError) as error:
            self._map("bad")[record.key] = str(error)
            self._place(record.key, None)
            return
        self._be_readable(record.key)
        if seen_s is None:
            seen_s = self._seen_s
            if value.__class__ is Work:
                seen_s -= max(0.0, value.rested_s)
        entry = Entry(
            value=value,
            create_revision=record.create_revision,
            mod_revision=record.mod_revision,
            seen_s=seen_s if wall_ms is None else runs_from_s(value, seen_s, wall_ms),
            is_found=is_found,
        )
        self._place(record.key, entry)

    def drop(self, key: str) -> None:
        """Let nothing stand at `key`."""
        self._map("raw").pop(key, None)
        self._be_readable(key)
        self._place(key, None)

    def finish(self, revision: int) -> tuple[Snapshot, tuple[Delta, ...]]:
        """Close the maps and return the snapshot with what was done."""
        maps = {name: mutation.finish() for name, mutation in self._open.items()}
        after = structs.replace(self._old, revision=revision, **maps)
        return after, tuple(self._deltas)

    def _be_readable(self, key: str) -> None:
        # Nearly always there is nothing that cannot be read: then the map is not opened.
        if self._old.bad or "bad" in self._open:
            self._map("bad").pop(key, None)

    def _place(self, key: str, entry: Entry[Record] | None) -> None:
        """Put the decoded record in its kind's map, and note the delta."""
        try:
            parsed = parse(key)
        except BadKeyError:
            return
        if parsed.kind not in FIELDS:
            return
        if parsed.kind is Kind.AGENT and entry is not None:
            entry = at_home(entry, self._map("moves").get(parsed.id))
        self._stand(parsed.kind, parsed.id, entry)
        if parsed.kind is Kind.MOVE:
            self._go_home(AgentId(parsed.id))

    def _go_home(self, agent: AgentId) -> None:
        """Let an agent stand at the site that is their home after their move has changed."""
        held = self._map("agents").get(agent)
        if held is None:
            return
        as_configured = configured(self._map("raw")[build(Kind.AGENT, agent)])
        entry = structs.replace(held, value=as_configured)
        entry = at_home(entry, self._map("moves").get(agent))
        if entry.value.site != held.value.site:
            self._stand(Kind.AGENT, agent, entry)

    def _stand(self, kind: Kind, identifier: str, entry: Entry[Record] | None) -> None:
        records = self._map(FIELDS[kind])
        if entry is None:
            before = records.pop(identifier, None)
            if before is None:
                return
        else:
            before = records.get(identifier)
            records[identifier] = entry
        if kind is Kind.TICKET:
            self._note_calling(CallId(identifier), before, entry)
        self._deltas.append(Delta(kind=kind, id=identifier, before=before, after=entry))

    def _note_calling(
        self, call: CallId, before: Entry[Any] | None, after: Entry[Any] | None
    ) -> None:
        """Note who calls from their own telephone now, and who does not any more."""
        was = None if before is None else before.value.by
        by = None if after is None else after.value.by
        if was == by:
            return
        calling = self._map("calling")
        if was is not None and (left := calling.pop(was) - {call}):
            calling[was] = left
        if by is not None:
            calling[by] = calling.get(by, frozenset()) | {call}

    def _map(self, name: str) -> Any:  # noqa: ANN401 - see __init__
        mutation = self._open.get(name)
        if mutation is None:
            mutation = self._open[name] = getattr(self._old, name).mutate()
        return mutation
