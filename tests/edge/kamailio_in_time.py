"""A site's Kamailio in virtual time, as its edges know it: tables, registrations and the gate.

Beside `edge.proxy.proxy`, whose sockets it takes the place of. Its gate goes by the laws of
`edge/kemi/gate.py`; it is never started anew.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from edge.acd.token import NO_TOKEN, Token
from edge.proxy.errors import ProxyRefusedError
from edge.proxy.events import (
    Connected,
    Event,
    GateChanged,
    GoodbyeUnheard,
    Refused,
    Registered,
    Unregistered,
)
from edge.proxy.gate import GateEntry, GateState, parse_entry
from edge.proxy.proxy import NO_SUCH_KEY, NOT_FOUND
from state.model import AgentId, CallId

No = tuple[int, str]
ANSWERED_S, GIVEN_UP_S = 0.4, 5.0


class Kamailio:
    """That of one site."""

    def __init__(self) -> None:
        self.tables: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.location: set[AgentId] = set()
        self.streams: list[Stream] = []
        self.goodbyes: dict[AgentId, float] = {}
        """When an edge said goodbye to a telephone that has not answered."""
        self._loading: defaultdict[str, int] = defaultdict(int)
        self.rung: list[tuple[float, AgentId, CallId]] = []
        """What the gate has let through, and when."""

    # -- telephones

    def register(self, agent: AgentId) -> None:
        """Let an agent's telephone sign in."""
        self.location.add(agent)
        self._tell(Registered(agent=agent, expires_s=60))

    def unregister(self, agent: AgentId) -> None:
        """Let it sign off."""
        self.location.discard(agent)
        self._tell(Unregistered(agent=agent, expired=False))

    # -- the gate

    def entry(self, agent: AgentId) -> GateEntry | None:
        """Return what the gate has of an agent."""
        text = self.tables["gate"].get(agent)
        return None if text is None else parse_entry(text)

    def take(self, agent: AgentId, token: Token, call: CallId) -> No | None:
        """Let an offer ring an agent; else return why not."""
        no = self._refusal(agent, token)
        if no is not None:
            self._tell(Refused(agent=agent, call=call, why=no[1]))
            return no
        self.rung.append((_now_s(), agent, call))
        self._write(agent, token, GateState.RINGING, call)
        return None

    def _refusal(self, agent: AgentId, token: Token) -> No | None:
        if agent not in self.location:
            return 480, "not registered"
        if "gate_loaded" not in self.tables["meta"]:
            return 503, "gate not loaded"
        came_with = self.tables["home"].get(agent)
        if came_with is None:
            return 403, "not homed here"
        floors = (self._token(came_with), self._token(self.tables["meta"].get("gate_floor")))
        held = self.entry(agent)
        if token <= max(*floors, NO_TOKEN if held is None else held.token):
            return 403, "stale token"
        if (held is not None and held.state is not GateState.IDLE) or self._is_deaf(agent):
            return 486, "busy"
        return None

    def _is_deaf(self, agent: AgentId) -> bool:
        said_s = self.goodbyes.get(agent)
        return said_s is not None and ANSWERED_S < _now_s() - said_s < GIVEN_UP_S

    def turn(self, agent: AgentId, token: Token, state: GateState) -> bool:
        """Change the agent's state if it is still this token's."""
        held = self.entry(agent)
        is_ours = held is not None and held.token == token and held.state is not GateState.IDLE
        if held is not None and is_ours:
            call = None if state is GateState.IDLE else held.call
            self._write(agent, token, state, call)
        return is_ours

    def goodbye_unheard(self, agent: AgentId) -> None:
        """Tell that an edge refused a telephone's BYE, or did not answer."""
        self._tell(GoodbyeUnheard(agent=agent))

    def _write(self, agent: AgentId, token: Token, state: GateState, call: CallId | None) -> None:
        self.tables["gate"][agent] = f"{token}.{state}.{call or ''}"
        self._tell(GateChanged(agent=agent, token=token, state=state, call=call))

    def _token(self, text: str | None) -> Token:
        epoch, revision = (text or "0.0").split(".")
        return Token(epoch=int(epoch), revision=int(revision))

    # -- edges

    def _tell(self, event: Event) -> None:
        for each in self.streams:
            asyncio.get_running_loop().call_soon(each.on_event, event)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Do what an edge asks."""
        match message["do"]:
            case "load_gate":
                self._load(message["id"], message["offers"])
            case "open_gate" if self._loading[message["id"]] == message["count"]:
                epoch, revision = message["floor"]
                self.tables["meta"].setdefault("gate_floor", f"{epoch}.{revision}")
                self.tables["meta"]["gate_loaded"] = "1"
            case "free_gate":
                token = Token(epoch=message["epoch"], revision=message["revision"])
                self.turn(AgentId(message["agent"]), token, GateState.IDLE)
            case _:
                pass

    def _load(self, load: str, offers: list[list[Any]]) -> None:
        if "gate_loaded" in self.tables["meta"]:
            return
        for agent, epoch, revision, state, call, *_ in offers:
            self._write(
                AgentId(agent),
                Token(epoch=epoch, revision=revision),
                GateState(state),
                CallId(call),
            )
        self._loading[load] += len(offers)

    def do(self, method: str, *params: str | int) -> Any:  # noqa: ANN401 - JSON of any shape
        """Answer a question by RPC. Raises ProxyRefusedError."""
        names = [str(each) for each in params]
        match method, names:
            case "htable.get", [table, key]:
                if key not in self.tables[table]:
                    raise ProxyRefusedError(method, NO_SUCH_KEY, "")
                return {"item": {"value": self.tables[table][key]}}
            case "htable.sets", [table, key, value]:
                self.tables[table][key] = value
            case "htable.delete", [table, key]:
                if self.tables[table].pop(key, None) is None:
                    raise ProxyRefusedError(method, NOT_FOUND, "")
            case "htable.dump", [table]:
                rows = [{"name": key, "value": each} for key, each in self.tables[table].items()]
                return [{"slot": rows}]
            case "ul.dump", _:
                return {
                    "Domains": [{"Domain": {"AoRs": [{"AoR": each} for each in self.location]}}]
                }
            case _:
                raise AssertionError(method)
        return None


class Rpc:
    """What `RpcClient` is, without a socket."""

    def __init__(self, kamailio: Kamailio) -> None:
        self._kamailio = kamailio

    async def call(self, method: str, *params: str | int) -> Any:  # noqa: ANN401 - as above
        """Return the result of one call."""
        await asyncio.sleep(0.001)
        return self._kamailio.do(method, *params)

    def close(self) -> None:
        """Let go of nothing."""


class Stream:
    """What `EventStream` is, without a socket."""

    is_connected = False

    def __init__(self, kamailio: Kamailio, on_event: Callable[[Event], None]) -> None:
        self._kamailio = kamailio
        self.on_event = on_event

    def say(self, message: Mapping[str, object]) -> None:
        """Send a message."""
        if self.is_connected:
            self._kamailio.hear(message)

    async def run(self) -> None:
        """Listen until cancelled."""
        await asyncio.sleep(0.01)
        self.is_connected = True
        self._kamailio.streams.append(self)
        try:
            self.on_event(Connected())
            await asyncio.get_running_loop().create_future()
        finally:
            self.is_connected = False
            self._kamailio.streams.remove(self)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
