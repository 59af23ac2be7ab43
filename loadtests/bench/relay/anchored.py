"""Whether rtpengine was really asked for every call: as often to offer, to answer and to delete."""

from __future__ import annotations

import re
import socket
import time
from typing import Final

from loadtests.bench.errors import BenchError
from loadtests.bench.servers import NG

_ASK: Final = b"d7:command10:statisticse"
_PATIENCE_S: Final = 2.0
COMMANDS: Final = ("offer", "answer", "delete")


def counts() -> dict[str, int]:
    """Return how often the relay was asked for each of `COMMANDS` since it is up."""
    host, _, port = NG.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(_PATIENCE_S)
        # One cookie gets one answer, however often it comes.
        end.sendto(b"%d %s" % (time.monotonic_ns(), _ASK), (host, int(port)))
        try:
            return parse_counts(end.recv(1 << 16))
        except TimeoutError as error:
            raise BenchError("rtpengine does not say what it was asked for") from error


def parse_counts(answer: bytes) -> dict[str, int]:
    """Read the relay's answer to `statistics`, in bencode. BenchError: a count is not there."""
    return {name: _count(answer, b"total%scount" % name.encode()) for name in COMMANDS}


def _count(answer: bytes, key: bytes) -> int:
    """Return the value of a key: a number, or a text that is one."""
    found = re.search(key + rb"(?:i(\d+)e|(\d+):)", answer)
    if found is None:
        raise BenchError(f"rtpengine does not tell its {key.decode()}")
    number, length = found.groups()
    return int(number or answer[found.end() : found.end() + int(length)])


def check(before: dict[str, int], after: dict[str, int], calls: int) -> None:
    """See that each of so many calls was offered, answered and deleted once. BenchError: not so."""
    asked = {name: after[name] - before[name] for name in COMMANDS}
    if any(count != calls for count in asked.values()):
        told = ", ".join(f"{count} {name}s" for name, count in asked.items())
        raise BenchError(f"rtpengine was asked for {told}, for {calls} calls")
