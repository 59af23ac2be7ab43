"""A site's Kamailio, played: real gate and door, SIP passed to and from the people of the run.

To the edges it is what they know: SIP on 5060, JSON-RPC on a Unix socket, netstrings over TCP. What
callers and telephones do is `drills.prove.people`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from drills.lab.namespaces import run_in, socket_in
from drills.prove.ksr import Kamailio, Message

SIP_PORT = 5060
EVAPI_PORT = 8448
_NOT_FOUND, _NO_SUCH_KEY = 404, 500
_FAILURE = 300


class People(Protocol):
    """Who is behind the proxy."""

    def take(self, site: str, datagram: bytes, source: str) -> None:
        """Take a datagram of an edge."""

    def ringing_ended(self, sip_call_id: str) -> None:
        """Take a CANCEL of the proxy's own."""


class Proxy(asyncio.DatagramProtocol):
    """One site's."""

    def __init__(
        self, *, site: str, address: str, run_dir: Path, registered: Callable[[], list[str]]
    ) -> None:
        """Play a site's; `registered` returns the agents whose telephones are here."""
        self.site = site
        self.address = f"{address}:{SIP_PORT}"
        self.people: People | None = None
        self.bug: Callable[[Any], None] | None = None
        """Planted in the gate of every life that begins from now on."""
        self._host = address
        self._run_dir = run_dir
        self._registered = registered
        self.away: set[str] = set()
        """Of those, whose telephones are not here at the moment."""
        self._kamailio = Kamailio(site, run_dir, self)
        self._doors: dict[str, asyncio.StreamWriter] = {}
        self._streams: set[asyncio.StreamWriter] = set()
        self._sip: asyncio.DatagramTransport | None = None
        self._rpc: socket.socket | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Open the sockets, in the site's network namespace."""
        loop = asyncio.get_running_loop()
        sip = socket_in(self.site, socket.AF_INET, socket.SOCK_DGRAM)
        sip.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        sip.bind((self._host, SIP_PORT))
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sip)
        self._sip = transport
        # The edge's end has an abstract name, and those are a network namespace's own.
        self._rpc = socket_in(self.site, socket.AF_UNIX, socket.SOCK_DGRAM)
        self._rpc.setblocking(False)  # noqa: FBT003 - its only parameter
        path = self._run_dir / "kamailio.rpc"
        path.unlink(missing_ok=True)
        self._rpc.bind(str(path))
        loop.add_reader(self._rpc, self._serve_rpc)
        self._server = await asyncio.start_server(self._serve_door, sock=self._door_socket())

    def _door_socket(self) -> socket.socket:
        def listen() -> socket.socket:
            door = socket.create_server(("127.0.0.1", EVAPI_PORT), reuse_port=False)
            door.setblocking(False)  # noqa: FBT003 - its only parameter
            return door

        return run_in(self.site, listen)

    def close(self) -> None:
        """Close the sockets."""
        if self._sip is not None:
            self._sip.close()
            self._sip = None
        if self._rpc is not None:
            asyncio.get_running_loop().remove_reader(self._rpc)
            self._rpc.close()
        if self._server is not None:
            self._server.close()
        self._hang_up()

    def restart(self) -> None:
        """Be a new process: htables empty but for tables.json, the door slammed."""
        self._hang_up()
        self._kamailio = self._reborn()
        self._kamailio.serves.ksr_tables_from_file(None, "")

    def _reborn(self) -> Kamailio:
        fresh = Kamailio(self.site, self._run_dir, self)
        if self.bug is not None:
            self.bug(fresh.gate)
        return fresh

    # -- calls

    def targets(self, number: str, sip_call_id: str) -> list[str]:
        """Return the edges to try for a call, best first, as the real script orders them."""
        calls, tables = self._kamailio.calls, self._kamailio.tables
        row = tables.get("steer", number)
        if row is None:
            return []
        spin = sum(sip_call_id.encode())
        found: list[str] = calls.order(row, spin, lambda target: tables.get("down", target))
        return found

    def was_silent(self, target: str) -> None:
        """Remember that an edge did not answer in time."""
        self._kamailio.tables.put("down", target, "1")

    def offer(self, agent: str, offer: str, call_id: str, source: str) -> Message:
        """Put an edge's INVITE to an agent to the gate: relayed, or with a reply."""
        asked = Message(
            user=agent,
            offer=offer,
            call_id=call_id,
            source=source,
            is_registered=agent not in self.away,
        )
        message = self._at_hand(asked)
        self._kamailio.serves.offer()
        return message

    def answered(self, message: Message) -> None:
        """Let the script see the telephone's 200."""
        self._at_hand(message).status = 200
        self._kamailio.serves.ksr_agent_replies(None)

    def failed(self, message: Message) -> None:
        """Let the script see that the telephone refused, or that the edge cancelled."""
        self._at_hand(message)
        self._kamailio.serves.ksr_agent_failed(None)

    def goodbye(self, agent: str, token: tuple[int, int]) -> None:
        """Let the gate see an edge's BYE to an agent."""
        self._kamailio.gate.free(agent, token)

    def goodbye_answered(self, agent: str, token: tuple[int, int], status: int) -> None:
        """Let the script see what came of a telephone's BYE; 408: the edge was silent."""
        self._at_hand(Message(status=status, avps={"gate": f"{agent} {token[0]} {token[1]}"}))
        serves = self._kamailio.serves
        if status < _FAILURE:
            serves.ksr_goodbye_replies(None)
        else:
            serves.ksr_goodbye_failed(None)

    def signs_off(self, agent: str, *, is_told: bool) -> None:
        """Have an agent's telephone no longer; `is_told`: tell the edges, as the script does."""
        self.away.add(agent)
        if is_told:
            self._kamailio.door.tell(event="unregistered", agent=agent, expires=0)

    def signs_on(self, agent: str) -> None:
        """Have it again."""
        self.away.discard(agent)
        self._kamailio.door.tell(event="registered", agent=agent, expires=3600)

    def serving(self, agent: str) -> str | None:
        """Return where the edge is that holds the caller with whom an agent talks."""
        found: str | None = self._kamailio.gate.serving(agent)
        return found

    def gates(self) -> dict[str, str]:
        """Return each agent's gate: idle, ringing or talking."""
        return {
            agent: value.split(".")[2]
            for agent, value in self._kamailio.tables.items("gate").items()
        }

    def _at_hand(self, message: Message) -> Message:
        self._kamailio.message = message
        return message

    # -- Outside

    def tell(self, edge: str, text: str) -> None:
        """Send a line to an edge."""
        writer = self._doors.get(edge)
        if writer is not None and not writer.is_closing():
            writer.write(b"%d:%b," % (len(text), text.encode()))

    def cancel(self, sip_call_id: str) -> None:
        """Stop a telephone that rings for a forgotten offer, once this message is dealt with."""
        if self.people is not None:
            asyncio.get_running_loop().call_soon(self.people.ringing_ended, sip_call_id)

    # -- SIP

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram of an edge."""
        if self.people is not None:
            self.people.take(self.site, data, f"{addr[0]}:{addr[1]}")

    def send(self, datagram: bytes, to: str) -> None:
        """Send a datagram to an edge."""
        host, _, port = to.rpartition(":")
        if self._sip is not None:
            self._sip.sendto(datagram, (host, int(port)))

    def error_received(self, exc: Exception) -> None:
        """Take in that nobody listens there: silence says so too."""

    # -- the door

    async def _serve_door(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        try:
            while True:
                size = await reader.readuntil(b":")
                frame = await reader.readexactly(int(size[:-1]) + 1)
                self._hear(json.loads(frame[:-1]), writer)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self._streams.discard(writer)
            writer.close()

    def _hear(self, message: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        if writer not in self._streams:
            return
        if message["do"] == "listen":
            self._doors[message["name"]] = writer
        self._kamailio.routes.obey(message)

    def _hang_up(self) -> None:
        for writer in self._streams:
            writer.transport.abort()
        self._streams.clear()
        self._doors.clear()

    # -- JSON-RPC

    def _serve_rpc(self) -> None:
        while self._rpc is not None:
            try:
                question, source = self._rpc.recvfrom(1 << 20)
            except BlockingIOError:
                return
            asked = json.loads(question)
            answer = {"id": asked["id"], **self._answer(asked["method"], asked["params"])}
            with contextlib.suppress(OSError):
                self._rpc.sendto(json.dumps(answer).encode(), source)

    def _answer(self, method: str, params: list[str]) -> dict[str, Any]:  # noqa: PLR0911 - one each
        tables = self._kamailio.tables
        match method, params:
            case "htable.sets", [table, key, value]:
                return {"result": tables.put(table, key, str(value))}
            case "htable.get", [table, key]:
                if (found := tables.get(table, key)) is None:
                    return _fault(_NO_SUCH_KEY)
                return {"result": {"item": {"name": key, "value": found}}}
            case "htable.delete", [table, key]:
                return {"result": 1} if tables.drop(table, key) > 0 else _fault(_NOT_FOUND)
            case "htable.dump", [table]:
                slot = [{"name": name, "value": v} for name, v in tables.items(table).items()]
                return {"result": [{"entry": 0, "slot": slot}]}
            case "ul.dump", _:
                aors = [{"AoR": agent} for agent in self._registered() if agent not in self.away]
                return {"result": {"Domains": [{"Domain": {"AoRs": aors}}]}}
            case _:
                return _fault(_NOT_FOUND)


def _fault(code: int) -> dict[str, Any]:
    return {"error": {"code": code, "message": "not found"}}
