"""What became of the calls of one slice, and whether the slice was clean. PURE."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import asdict

from loadtests.bench.stats import percentile

PATIENCE_S = 0.2
"""Kamailio sends an INVITE again when nothing has come for so long (edge/kemi/calls.py)."""
BEHIND_S = 0.5
"""An edge whose last call is over so much later than it should be does not keep up."""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Counts of one slice; filled while it runs."""

    offered: int = 0
    done: int = 0
    """Calls that ended as they should, both legs."""
    failures: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Messages that the edge sent again."""
    late_first_answers: int = 0
    """INVITEs that the proxy would have sent again: no answer of any kind within 0.2 s."""
    to_agent_s: list[float] = field(default_factory=list)
    """From each INVITE in to the INVITE out."""
    answered_s: list[float] = field(default_factory=list)
    """From each INVITE in to its 200."""
    lag_s: float = 0.0
    """How late the generator itself was at worst."""
    behind_s: float = 0.0
    """How much later all was over than it would have been if nothing took any time."""

    @property
    def answers(self) -> int:
        """How many calls have been answered so far."""
        return len(self.answered_s)

    def first_answer(self, after_s: float) -> None:
        """Note how long an INVITE waited for any answer."""
        if after_s > PATIENCE_S:
            self.late_first_answers += 1

    def fail(self, why: str) -> None:
        """Note a call that went wrong."""
        self.failures[why] += 1

    def summary(self, took_s: float) -> Summary:
        """Return what the slice came to."""
        return Summary(
            offered=self.offered,
            done=self.done,
            failures=dict(self.failures),
            repeated=self.repeated,
            late_first_answers=self.late_first_answers,
            to_agent_p50_ms=percentile(self.to_agent_s, 0.50) * 1e3,
            to_agent_p99_ms=percentile(self.to_agent_s, 0.99) * 1e3,
            to_agent_max_ms=percentile(self.to_agent_s, 1.0) * 1e3,
            answered_p99_ms=percentile(self.answered_s, 0.99) * 1e3,
            lag_ms=self.lag_s * 1e3,
            behind_s=self.behind_s,
            took_s=took_s,
        )


class Summary(Struct, frozen=True, kw_only=True):
    """One slice, ended."""

    offered: int
    done: int
    failures: dict[str, int]
    repeated: int
    late_first_answers: int
    to_agent_p50_ms: float
    to_agent_p99_ms: float
    to_agent_max_ms: float
    answered_p99_ms: float
    lag_ms: float
    behind_s: float
    took_s: float

    @property
    def is_clean(self) -> bool:
        """No failure, no retransmission of either side, and it kept up."""
        return self.offered == self.done and not (
            self.failures or self.repeated or self.late_first_answers or self.behind_s > BEHIND_S
        )

    @property
    def dirt(self) -> str:
        """Say what was not clean, in a few words; nothing if all was."""
        parts = [f"{count} {why}" for why, count in sorted(self.failures.items())]
        if self.repeated:
            parts.append(f"{self.repeated} repeated by the edge")
        if self.late_first_answers:
            parts.append(f"{self.late_first_answers} INVITEs unanswered for 0.2 s")
        if self.behind_s > BEHIND_S:
            parts.append(f"{self.behind_s:.1f} s behind")
        return ", ".join(parts)

    def as_json(self) -> dict[str, object]:
        """Return it for the report of a generator process."""
        return asdict(self)
