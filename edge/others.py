"""What the other edges are taken to be at, though the snapshot does not say it (yet).

Owns whose callers are passed over since their edge is silent, and whom the others are about to
reserve. Decides nothing: what comes of it enters the match as `asked`.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from edge.acd.index.index import MatchIndex
from edge.acd.match import silent
from edge.acd.presumed import Presumed
from edge.acd.silence import Silence
from state.model import AgentId, CallId, EdgeId, Now, SiteId
from state.snapshot import Snapshot

log = structlog.get_logger()


class Others:
    """As one edge's reserver takes them."""

    def __init__(self, edge: EdgeId) -> None:
        self.presumed = Presumed(edge)
        self.silence = Silence(edge)
        self._told: frozenset[EdgeId] = frozenset()
        """Of which edges the log says that they are silent."""

    def known(
        self,
        snapshot: Snapshot,
        now: Now,
        proved_s: float | None,
        unreachable: frozenset[SiteId],
        index: MatchIndex,
    ) -> Mapping[CallId, AgentId]:
        """Return who counts as given, and who is passed over.

        `proved_s`: by `Now.mono_s`, until when the snapshot is proved; None: the edge is alone.
        `unreachable`: the sites out of its reach.
        """
        passed = self.silence.look(snapshot, now, proved_s, unreachable)
        unheard = silent(snapshot, passed)
        if unheard != self._told:
            log.info("edges_silent", edges=sorted(unheard), were=sorted(self._told))
            self._told = unheard
        if self.presumed:
            places = index.heirs(unheard)
            passed = self.presumed.agents(snapshot, now, unheard, places) | passed
        return passed
