"""Keeps that a drill begins, before its first fault, and binds its evidence to that."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from drills.begun import Begun
from drills.evidence import Evidence
from drills.experiment import Experiment
from drills.permit import Permit
from drills.shelf import Shelf
from drills.sources import PRODUCT, digest, machine
from state.clock import Clock


class Beginning:
    """Of one drill."""

    def __init__(self, shelf: Shelf, experiment: Experiment, seed: int, clock: Clock) -> None:
        self._shelf = shelf
        self._experiment = experiment
        self._seed = seed
        self._clock = clock
        self._hash = ""

    async def note(self, approvals: tuple[Permit, ...] = ()) -> None:
        """Keep that it begins now. NotKeptError: the disk; then nothing may be broken."""
        # Another lab may just be adding its piece.
        self._hash = await asyncio.to_thread(self._put, approvals)

    def _put(self, approvals: tuple[Permit, ...]) -> str:
        experiment = self._experiment
        with self._shelf.adding(experiment.name) as (run, previous):
            begun = Begun(
                run=run,
                previous=previous,
                experiment=experiment,
                plan_hash=experiment.plan_hash,
                seed=self._seed,
                code=digest(*PRODUCT),
                machine=machine(),
                at_ms=self._clock.now().wall_ms,
                approvals=approvals,
            )
            self._shelf.put_begun(begun)
            return self._shelf.hash_of(run)

    def ends_in(self, evidence: Evidence) -> Evidence:
        """Return the evidence as that of its end."""
        return replace(evidence, begun=self._hash)
