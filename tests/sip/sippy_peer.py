# ruff: noqa: ANN401, D102 - sippy has no types, and this is a script
"""A SIP user agent made of sippy, run as a process of its own by `test_sippy`.

    python sippy_peer.py answer PORT              answers calls, and hangs up what lasts 300 ms
    python sippy_peer.py call PORT TARGET_PORT    calls, and hangs up 300 ms after the answer

It writes one word a line: ready, then what happens to the call.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ["SIPLOG_BEND"] = "none"

from sippy.CCEvents import (
    CCEventConnect,
    CCEventDisconnect,
    CCEventFail,
    CCEventRing,
    CCEventTry,
    CCEventUpdate,
)
from sippy.Core.EventDispatcher import ED2
from sippy.MsgBody import MsgBody
from sippy.SipLogger import SipLogger
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.Timeout import Timeout
from sippy.UA import UA
from sippy.Udp_server import Udp_server_opts

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\n"
)
# More threads of its own send 200 before 180.
Udp_server_opts.nworkers = 1


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - the test reads it


class Peer:
    """One call at a time."""

    def __init__(self, port: int) -> None:
        self.config: dict[str, Any] = {"_sip_address": "127.0.0.1", "_sip_port": port}
        self.config["_sip_logger"] = SipLogger("peer")
        self.config["_sip_tm"] = SipTransactionManager(self.config, self.request)

    def request(self, request: Any, transaction: Any) -> Any:
        if request.getHFBody("to").getTag() is not None or request.getMethod() != "INVITE":
            return (request.genResponse(481, "Unknown"), None, None)
        return UA(self.config, self.event).recvRequest(request, transaction)

    def call(self, target: int) -> None:
        agent = UA(self.config, self.event, nh_address=("127.0.0.1", target))
        agent.recvEvent(CCEventTry((None, "sippy", "1000", MsgBody(SDP), None, "sippy")))

    def event(self, event: Any, agent: Any) -> None:
        say(type(event).__name__.removeprefix("CCEvent").lower())
        if isinstance(event, CCEventTry):
            agent.recvEvent(CCEventRing((180, "Ringing", None)))
            agent.recvEvent(CCEventConnect((200, "OK", MsgBody(SDP))))
            Timeout(agent.recvEvent, 0.3, 1, CCEventDisconnect())
        elif isinstance(event, CCEventConnect):
            Timeout(agent.recvEvent, 0.3, 1, CCEventDisconnect())
        elif isinstance(event, CCEventUpdate):
            agent.recvEvent(CCEventConnect((200, "OK", MsgBody(SDP))))
        elif isinstance(event, CCEventFail):
            say("failed")


def main() -> None:
    mode, port, *rest = sys.argv[1:]
    peer = Peer(int(port))
    if mode == "call":
        Timeout(peer.call, 0.05, 1, int(rest[0]))
    say("ready")
    ED2.loop()


if __name__ == "__main__":
    main()
