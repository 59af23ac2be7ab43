"""CPU time of processes and all their threads, and memory, from the kernel's own counts.

/proc/PID/task/TID/schedstat counts nanoseconds on a core. /proc/stat and the sampled times of
/proc/PID/stat miss much of what short tasks use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")


def parse_schedstat(text: str) -> int:
    """Return the nanoseconds on a core: the first of three numbers."""
    return int(text.split(maxsplit=1)[0])


def parse_session(stat: str) -> int:
    """Return the session id in the text of /proc/PID/stat; the name in it may hold anything."""
    return int(stat.rpartition(")")[2].split()[3])


def session_members(leader: int, proc: Path = PROC) -> list[int]:
    """Return every process of the session that `leader` leads: a Kamailio is a dozen."""
    members = []
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                if parse_session((entry / "stat").read_text()) == leader:
                    members.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return sorted(members)


def memory_kb(pid: int, proc: Path = PROC) -> int:
    """Return the resident memory of a process in KiB, what is shared counted by its share (PSS)."""
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss")


class Look(Struct, frozen=True, kw_only=True):
    """What meters read at one instant."""

    at_s: float
    spent_s: Mapping[str, float]


def cores(looks: Sequence[Look], first_s: float, last_s: float) -> dict[str, float]:
    """Return how much of the cores each took between the two looks next to these instants.

    Empty: both are the same look, or there is none.
    """
    ends = [
        min(looks, key=lambda look: abs(look.at_s - at_s), default=None)
        for at_s in (first_s, last_s)
    ]
    one, other = ends
    if one is None or other is None or one is other:
        return {}
    return {
        name: (spent_s - one.spent_s[name]) / (other.at_s - one.at_s)
        for name, spent_s in other.spent_s.items()
    }


class CpuMeter:
    """The CPU time of some processes; threads that have ended count as when last read."""

    def __init__(self, pids: Iterable[int], proc: Path = PROC) -> None:
        self._pids = tuple(pids)
        self._proc = proc
        self._seen_ns: dict[str, int] = {}

    def read_s(self) -> float:
        """Return the seconds that they have been on a core since they began."""
        for pid in self._pids:
            for task in self._tasks(pid):
                try:
                    spent_ns = parse_schedstat((task / "schedstat").read_text())
                except (FileNotFoundError, ProcessLookupError):
                    continue
                self._seen_ns[str(task)] = spent_ns
        return sum(self._seen_ns.values()) / 1e9

    def main_s(self) -> float:
        """Return the seconds of the main threads alone, as of the last `read_s`."""
        mains = (str(self._proc / str(pid) / "task" / str(pid)) for pid in self._pids)
        return sum(self._seen_ns.get(each, 0) for each in mains) / 1e9

    def _tasks(self, pid: int) -> list[Path]:
        try:
            return list((self._proc / str(pid) / "task").iterdir())
        except (FileNotFoundError, ProcessLookupError):
            return []
