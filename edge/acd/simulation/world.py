"""A shared state without a store: plans are carried out on a snapshot, at any moment. PURE.

It is `edge.acd.reservation`'s plans that are carried out, with all their compares: a plan that a
store would refuse is a fault of the replay, and is raised.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge.acd.plan import Held, Plan, held_after
from state import keys
from state.codec import decode
from state.eventlog.lines import Begin, restored
from state.model import CallRecord, Now
from state.raw import Change
from state.snapshot import Snapshot, apply, restore
from state.store import Absent, Compare, ModIs, Put


class World:
    """The keyspace as it goes on."""

    def __init__(self, begin: Begin) -> None:
        self.snapshot: Snapshot = restore(restored(begin), begin.revision)
        self.records: list[CallRecord] = []
        self._zero = Now(mono_s=begin.mono_s, wall_ms=begin.wall_ms)

    def now(self, wall_ms: int) -> Now:
        """Return that moment on both clocks, which here never part."""
        passed_s = (wall_ms - self._zero.wall_ms) / 1000.0
        return Now(mono_s=self._zero.mono_s + passed_s, wall_ms=wall_ms)

    def write(self, records: Iterable[tuple[str, bytes | None]], at: Now) -> int:
        """Let records stand at their keys, or go (None); return the revision."""
        revision = self.snapshot.revision + 1
        raw = self.snapshot.raw
        changes = [
            Change(
                key=key,
                value=value,
                create_revision=raw[key].create_revision if key in raw else revision,
                mod_revision=revision,
            )
            for key, value in records
        ]
        self.snapshot = apply(self.snapshot, changes, revision, at.mono_s)
        return revision

    def carry_out(self, plan: Plan, at: Now) -> Held | None:
        """Do what a plan says, and return what is held then."""
        for compare in plan.compares:
            if not self._holds(compare):
                raise AssertionError(f"the replay's plan does not hold: {compare}")
        writes: list[tuple[str, bytes | None]] = []
        for operation in plan.success:
            if not isinstance(operation, Put):
                writes.append((operation.key, None))
            elif operation.key.startswith(keys.ENDED):
                self.records.append(decode(CallRecord, operation.value, operation.key))
            else:
                writes.append((operation.key, operation.value))
        return held_after(plan, self.write(writes, at))

    def _holds(self, compare: Compare) -> bool:
        match compare:
            case ModIs(key=key, mod_revision=revision):
                found = self.snapshot.raw.get(key)
                return (0 if found is None else found.mod_revision) == revision
            case Absent(key=key):
                return key not in self.snapshot.raw
            case _:
                raise NotImplementedError(f"no plan of a call compares so: {compare}")
