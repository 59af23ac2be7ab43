"""The lab's network in virtual time, with the gates before the agents' telephones."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from edge.acd.token import Token
from edge.proxy.gate import GateState
from edge.sip.events import Address
from state.model import AgentId, CallId
from tests.edge.kamailio_in_time import Kamailio
from tests.edge.lab_in_time import PACE_S, SIP_PORT, Net

SITES: Final = {"a": "198.18.1.10", "b": "198.18.2.10"}
Leg = tuple[Kamailio, AgentId, Token]
"""Whom it rings, by which token, and whose gate let it through."""
_FINAL, _REFUSED = 200, 300
_RINGS = re.compile(rb"^(INVITE|ACK|CANCEL) sip:([a-z]+)@everline ")
_OFFER = re.compile(rb"\r\nX-Everline-Offer: (\S+) (\d+) (\d+)", re.IGNORECASE)
_CALL_ID = re.compile(rb"\r\nCall-ID: *(\S+)", re.IGNORECASE)
_CSEQ = re.compile(rb"\r\nCSeq: *\d+ (\S+)", re.IGNORECASE)
_BRANCH = re.compile(rb"branch=([^;\s,]+)")


class GatedNet(Net):
    """One in which an agent's telephone rings only if the gate of its site lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.kamailios: dict[str, Kamailio] = {host: Kamailio() for host in SITES.values()}
        self._legs: dict[bytes, Leg] = {}
        self._refused: dict[bytes, tuple[int, str]] = {}
        self._let_through: set[bytes] = set()

    def carry(self, source: Address, datagram: bytes, to: Address) -> None:
        """Bring a datagram as far as it comes."""
        rings = _RINGS.match(datagram)
        if rings is not None and to.port == SIP_PORT and rings[2].decode() in self.agents:
            if not self._passes(source, datagram, to, rings[1], AgentId(rings[2].decode())):
                return
        else:
            self._see(source, datagram, to)
        super().carry(source, datagram, to)

    def _passes(
        self, source: Address, datagram: bytes, to: Address, method: bytes, agent: AgentId
    ) -> bool:
        branch = _first(_BRANCH, datagram)
        if to.host not in self._seen(source.host, to.host) or branch in self._let_through:
            return True
        if method != b"INVITE":
            return branch not in self._refused
        offer = _OFFER.search(datagram)
        assert offer is not None, datagram
        token = Token(epoch=int(offer[2]), revision=int(offer[3]))
        kamailio = self.kamailios[to.host]
        if branch not in self._refused:
            no = kamailio.take(agent, token, CallId(offer[1].decode()))
            if no is None:
                self._let_through.add(branch)
                self._legs[_first(_CALL_ID, datagram)] = kamailio, agent, token
                return True
            self._refused[branch] = no
        status, reason = self._refused[branch]
        loop = asyncio.get_running_loop()
        loop.call_later(2 * PACE_S, self._refuse, status, reason, to.host, datagram, source)
        return False

    def _refuse(
        self, status: int, reason: str, proxy: str, request: bytes, asking: Address
    ) -> None:
        self._reason = reason
        self._answer(status, proxy, request, asking)
        self._reason = "-"

    _reason = "-"

    def _deliver(self, source: Address, datagram: bytes, to: Address) -> None:
        if self._reason != "-" and datagram.startswith(b"SIP/2.0 "):
            head, _, rest = datagram.partition(b" -\r\n")
            datagram = head + b" " + self._reason.encode() + b"\r\n" + rest
        super()._deliver(source, datagram, to)

    def _see(self, source: Address, datagram: bytes, to: Address) -> None:
        """Let the gate's Kamailio see what passes inside a dialog with an agent."""
        leg = self._legs.get(_first(_CALL_ID, datagram))
        if leg is None:
            return
        kamailio, agent, token = leg
        way = self._seen(source.host, to.host)
        if not any(self.kamailios.get(host) is kamailio for host in way):
            return
        method, is_phones = _first(_CSEQ, datagram), source.host in self.homes
        if not datagram.startswith(b"SIP/2.0 "):
            is_ours = method == b"BYE" and not is_phones
            if is_ours and kamailio.turn(agent, token, GateState.IDLE):
                kamailio.goodbyes[agent] = asyncio.get_running_loop().time()
        elif (status := int(datagram[8:11])) >= _FINAL:
            _answered(leg, method, status, is_phones=is_phones)

    def _give_up(self, proxy: str, branch: bytes, request: bytes, asking: Address) -> None:
        is_answered = self._asked[proxy, branch]
        super()._give_up(proxy, branch, request, asking)
        leg = self._legs.get(_first(_CALL_ID, request))
        if is_answered or leg is None:
            return
        kamailio, agent, token = leg
        if request.startswith(b"BYE ") and asking.host in self.homes:
            kamailio.goodbye_unheard(agent)
        elif request.startswith(b"INVITE ") and self.homes.get(asking.host) is None:
            held = kamailio.entry(agent)
            if held is not None and held.state is GateState.RINGING:
                kamailio.turn(agent, token, GateState.IDLE)


def _answered(leg: Leg, method: bytes, status: int, *, is_phones: bool) -> None:
    """Let a Kamailio see a final answer of a telephone, or of an edge."""
    kamailio, agent, token = leg
    held, is_good = kamailio.entry(agent), status < _REFUSED
    match method, is_phones:
        case b"INVITE", True if held is not None and held.state is GateState.RINGING:
            kamailio.turn(agent, token, GateState.TALKING if is_good else GateState.IDLE)
        case b"BYE", True:
            kamailio.goodbyes.pop(agent, None)
        case b"BYE", False if is_good:
            kamailio.turn(agent, token, GateState.IDLE)
        case b"BYE", False:
            kamailio.goodbye_unheard(agent)
        case _:
            pass


def _first(pattern: re.Pattern[bytes], datagram: bytes) -> bytes:
    found = pattern.search(datagram)
    return b"" if found is None else found[1]
