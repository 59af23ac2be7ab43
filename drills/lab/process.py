"""PURE. What a process of the lab is: how it is started, known to be ready, and restarted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path

from msgspec import Struct, field

ProcessName = str
"""`etcd-a`, `kamailio-a`, `rtpengine-a`, `edge-a1`, `kamailio-carrier`, `relay`."""


class Identity(Struct, frozen=True, kw_only=True):
    """The files that prove who a process is, and by which it knows the others."""

    ca: Path
    cert: Path
    key: Path


class TcpProbe(Struct, frozen=True, kw_only=True):
    """Ready when something accepts a TCP connection."""

    address: str
    port: int


class HttpProbe(Struct, frozen=True, kw_only=True):
    """Ready when GET answers 200 and the body contains `expect`."""

    address: str
    port: int
    path: str
    expect: bytes = b""
    ca: Path | None = None
    """Asks over TLS, of a server that this authority vouches for; None: plainly."""


class SipProbe(Struct, frozen=True, kw_only=True):
    """Ready when any SIP response to an OPTIONS comes back over UDP."""

    address: str
    port: int = 5060


class NgProbe(Struct, frozen=True, kw_only=True):
    """Ready when an rtpengine answers `ping` on its NG port."""

    address: str = "127.0.0.1"
    port: int = 2223


class DatagramProbe(Struct, frozen=True, kw_only=True):
    """Ready when a Unix datagram socket answers `ask` with something that contains `expect`."""

    path: Path
    ask: bytes
    expect: bytes


class UnixProbe(Struct, frozen=True, kw_only=True):
    """Ready when a Unix stream socket accepts a connection."""

    path: Path


class FileProbe(Struct, frozen=True, kw_only=True):
    """Ready when the path exists."""

    path: Path


class CallProbe(Struct, frozen=True, kw_only=True):
    """Ready when the callable says so. It runs in the lab's own process."""

    check: Callable[[], Awaitable[bool]]


Probe = (
    TcpProbe | HttpProbe | SipProbe | NgProbe | DatagramProbe | UnixProbe | FileProbe | CallProbe
)


class RestartPolicy(Struct, frozen=True, kw_only=True):
    """What happens when the process dies by itself."""

    restarts: bool = True
    first_delay_s: float = 0.2
    longest_delay_s: float = 3.0
    """The delay doubles with each death up to this."""
    healthy_after_s: float = 5.0
    """After so long alive, the delay starts again from the first."""

    def delay_s(self, deaths: int) -> float:
        """Return how long to wait before the restart that follows the `deaths`-th death."""
        return min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(deaths - 1, 16))


class ProcessSpec(Struct, frozen=True, kw_only=True):
    """A process that the supervisor keeps alive."""

    name: ProcessName
    host: str | None
    """Name of its host; None: the router itself."""
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the little environment that every process gets (PATH, HOME, LANG)."""
    after: tuple[ProcessName, ...] = ()
    """Started when these are ready."""
    ready: Probe | None = None
    """None: ready as soon as it is started."""
    ready_timeout_s: float = 10.0
    restart: RestartPolicy = RestartPolicy()
    log_limit_bytes: int = 16 * 1024 * 1024


class EventKind(StrEnum):
    """What happened to a process."""

    STARTED = "started"
    READY = "ready"
    DIED = "died"
    RESTARTED = "restarted"
    KILLED = "killed"
    """We sent SIGKILL; `DIED` follows."""
    FROZEN = "frozen"
    THAWED = "thawed"
    STOPPED = "stopped"
    """It ended because the lab asked it to."""


class ProcessEvent(Struct, frozen=True, kw_only=True):
    """One thing that happened to one process."""

    kind: EventKind
    process: ProcessName
    host: str | None
    pid: int
    at_s: float
    """CLOCK_MONOTONIC, which all processes of the machine share."""
    detail: str = ""
    """For deaths: `exit 1`, `signal 9`."""
