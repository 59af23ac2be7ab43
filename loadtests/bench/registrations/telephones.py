"""`python -m loadtests.bench.registrations.telephones`: thousands of light telephones that sign in.

Reads a `storm.Plan` as a line of JSON, says `ready`, and begins with the next line. Writes `Told`.
Each has an address of its own in 127.64.0.0/10, as people at home have: a proxy counts strangers
by their addresses. Light: one thread, no SIP stack, or the telephones would be what is measured.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
import re
import select
import socket
import sys
import time
from typing import Final

import msgspec

from loadtests.bench.registrations import storm
from loadtests.bench.registrations.storm import Plan, Told

MOST_S: Final = 60.0
PORT: Final = 5060
_OK, _UNAUTHORIZED, _UNAVAILABLE = 200, 401, 503
_NONCE: Final = re.compile(rb'nonce="([^"]+)"')
_RETRY: Final = re.compile(rb"\nRetry-After: *(\d+)", re.IGNORECASE)
_BRANCH: Final = re.compile(rb"branch=z9hG4bK([0-9.]+)")
_REALM: Final = "everline"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


_HA2: Final = _md5(f"REGISTER:sip:{_REALM}")


class Telephone:
    """One of them: what it is about to do, and what it has seen."""

    def __init__(self, number: int, name: str, password: str, seed: int) -> None:
        self.number = number
        self.name = name
        self.host = storm.host(number)
        self.ha1 = _md5(f"{name}:{_REALM}:{password}")
        self.dice = random.Random(f"{seed}/{name}")  # noqa: S311 - behaviour, not secrets
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((self.host, PORT))
        self.cseq = 0
        self.request = b""
        self.tried_s = 0.0
        self.began_s = 0.0
        self.failures = 0
        self.refusals = 0
        self.back_s: float | None = None

    def next_request(self, nonce: str) -> bytes:
        """Return its next REGISTER, with a proof if there is a nonce."""
        self.cseq += 1
        aor = f"sip:{self.name}@{_REALM}"
        proof = ""
        if nonce:
            answer = _md5(f"{self.ha1}:{nonce}:00000001:{self.cseq:08x}:auth:{_HA2}")
            proof = (
                f'Authorization: Digest username="{self.name}", realm="{_REALM}", nonce="{nonce}",'
                f' uri="sip:{_REALM}", algorithm=MD5, qop=auth, nc=00000001,'
                f' cnonce="{self.cseq:08x}", response="{answer}"\r\n'
            )
        self.request = (
            f"REGISTER sip:{_REALM} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.host}:{PORT};branch=z9hG4bK{self.number}.{self.cseq};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <{aor}>;tag={self.number}\r\nTo: <{aor}>\r\n"
            f"Call-ID: storm{self.number}@{self.host}\r\nCSeq: {self.cseq} REGISTER\r\n"
            f"Contact: <sip:{self.name}@{self.host}:{PORT}>\r\nExpires: 60\r\n{proof}"
            "Content-Length: 0\r\n\r\n"
        ).encode()
        return self.request


class Storm:
    """All of them, on one loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        host, _, port = plan.registrar.rpartition(":")
        self._registrar = (host, int(port))
        pairs = zip(plan.names, plan.passwords, strict=True)
        self._phones = [Telephone(n, *pair, plan.seed) for n, pair in enumerate(pairs)]
        self._poll = select.epoll()
        self._by_fd = {phone.socket.fileno(): phone for phone in self._phones}
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Telephone, int, str]] = []
        """When, in which order, whose, at which CSeq it still holds, and what: try, repeat, end."""
        self.sent = self.retransmissions = self.refused = self.timeouts = 0

    def run(self) -> Told:
        """Let them sign in; return when all are back, or after `MOST_S`."""
        began_ms, began_s = time.time_ns() // 1_000_000, time.monotonic()
        for phone in self._phones:
            begins_s = storm.begins_s(phone.dice, has_jitter=self._plan.has_jitter)
            phone.began_s = began_s + begins_s
            self._at(phone.began_s, phone, "try")
        left = len(self._phones)
        while left and time.monotonic() < began_s + MOST_S:
            self._act()
            wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 0.1
            for fd, _ in self._poll.poll(min(wait_s, 0.1), 256):
                left -= self._hear(self._by_fd[fd])
        back = [phone for phone in self._phones if phone.back_s is not None]
        return Told(
            began_ms=began_ms,
            back_s=tuple(round((phone.back_s or 0.0) - began_s, 4) for phone in back),
            took_ms=tuple(
                round(1e3 * ((phone.back_s or 0.0) - phone.began_s), 2) for phone in back
            ),
            missing=left,
            sent=self.sent,
            retransmissions=self.retransmissions,
            refused=self.refused,
            refused_twice=sum(phone.refusals > 1 for phone in self._phones),
            timeouts=self.timeouts,
        )

    def _at(self, at_s: float, phone: Telephone, what: str) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), phone, phone.cseq, what))

    def _act(self) -> None:
        """Do what is due; of a request that was answered nothing is any more."""
        now_s = time.monotonic()
        for _ in range(64):
            if not self._due or self._due[0][0] > now_s:
                return
            _, _, phone, cseq, what = heapq.heappop(self._due)
            if phone.back_s is not None or cseq != phone.cseq:
                continue
            if what == "try":
                phone.tried_s = now_s
                self._send(phone, "")
            elif what == "repeat":
                self.retransmissions += 1
                phone.socket.sendto(phone.request, self._registrar)
            else:
                self.timeouts += 1
                self._failed(phone)

    def _send(self, phone: Telephone, nonce: str) -> None:
        self.sent += 1
        phone.socket.sendto(phone.next_request(nonce), self._registrar)
        now_s = time.monotonic()
        for after_s in storm.REPEATS_S:
            self._at(now_s + after_s, phone, "repeat")
        # The time is for both requests together, as it is for our telephones.
        self._at(phone.tried_s + storm.TIMEOUT_S, phone, "end")

    def _failed(self, phone: Telephone) -> None:
        phone.failures += 1
        self._again(
            phone,
            storm.waits_s(phone.failures, phone.dice, has_jitter=self._plan.has_jitter),
        )

    def _again(self, phone: Telephone, wait_s: float) -> None:
        phone.cseq += 1  # what was due for the request before is so no more
        self._at(time.monotonic() + wait_s, phone, "try")

    def _hear(self, phone: Telephone) -> bool:
        """Take one answer; return whether the phone is registered by it."""
        try:
            text = phone.socket.recv(4096)
        except BlockingIOError:
            return False
        branch = _BRANCH.search(text)
        if phone.back_s is not None or branch is None:
            return False
        if branch[1] != f"{phone.number}.{phone.cseq}".encode():
            return False
        status = int(text[8:11])
        if status == _OK:
            phone.back_s = time.monotonic()
            return True
        nonce, retry = _NONCE.search(text), _RETRY.search(text)
        if status == _UNAUTHORIZED and nonce is not None:
            self._send(phone, nonce[1].decode())
        elif status == _UNAVAILABLE and retry is not None:
            self.refused += 1
            phone.refusals += 1
            wait_s = storm.sent_away_s(
                float(retry[1]), phone.dice, has_jitter=self._plan.has_jitter
            )
            self._again(phone, wait_s)
        else:
            self._failed(phone)
        return False


def main() -> None:
    """Read, be ready, begin when told, tell."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    storm_ = Storm(plan)
    print("ready", flush=True)  # noqa: T201 - a program of its own
    sys.stdin.buffer.readline()
    sys.stdout.buffer.write(msgspec.json.encode(storm_.run()) + b"\n")


if __name__ == "__main__":
    main()
