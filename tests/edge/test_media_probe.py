"""The media probes between edges: who is counted, and what is told of whom."""

from __future__ import annotations

from pathlib import Path

from edge.duties.media_probe import MediaProbe
from edge.settings import Settings
from edge.steering.paths import A_SECOND
from state.model import EdgeId, EdgeLife, EdgeState, Now, SiteId

HOSTS = {"a": "198.18.1.10", "b": "198.18.2.10", "c": "198.18.3.10"}
A = SiteId("a")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.mono_s = 1000.0

    def now(self) -> Now:
        """Return this instant."""
        return Now(mono_s=self.mono_s, wall_ms=0)


def life(edge: str) -> EdgeLife:
    return EdgeLife(
        edge=EdgeId(edge),
        site=SiteId(edge[0]),
        sip=f"{HOSTS[edge[0]]}:508{edge[1]}",
        state=EdgeState.SERVING,
        started_ms=0,
    )


LIVES = {EdgeId(edge): life(edge) for edge in ("a1", "a2", "b1", "c1")}


class Net:
    """Carries datagrams between probes, but for the directions that are cut."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.heard: dict[str, list[frozenset[SiteId]]] = {}
        self.probes = {edge: self._probe(edge) for edge in LIVES}
        self.cut: set[tuple[str, str]] = set()
        self.sent: list[tuple[str, tuple[str, int]]] = []

    def _probe(self, edge: EdgeId) -> MediaProbe:
        self.heard[edge] = []
        settings = Settings(
            edge=edge,
            site=SiteId(edge[0]),
            sip=LIVES[edge].sip,
            kamailio_rpc=Path("x"),
            evapi="127.0.0.1:1",
            ng="127.0.0.1:2",
            etcd=("127.0.0.1:3",),
            run_dir=Path("x"),
            command_socket=Path("x"),
        )
        return MediaProbe(
            settings=settings,
            clock=self.clock,
            lives=lambda: LIVES,
            on_change=self.heard[edge].append,
        )

    def second(self) -> None:
        """Let a second pass."""
        for edge, probe in self.probes.items():
            probe.send(_Line(self, edge))
        self.clock.mono_s += 1.0
        for probe in self.probes.values():
            probe.look()


class _Line:
    def __init__(self, net: Net, edge: EdgeId) -> None:
        self.net = net
        self.edge = edge

    def sendto(self, data: bytes, addr: tuple[str, int], /) -> None:
        self.net.sent.append((self.edge, addr))
        for edge, known in LIVES.items():
            host, port = known.sip.split(":")
            if addr == (host, int(port) + 1000) and (self.edge[0], edge[0]) not in self.net.cut:
                self.net.probes[edge].datagram_received(data, (HOSTS[self.edge[0]], 6081))


def test_every_edge_probes_those_of_the_other_sites_and_not_its_own() -> None:
    net = Net()
    net.second()
    to = {addr for edge, addr in net.sent if edge == "a1"}
    assert to == {(HOSTS["b"], 6081), (HOSTS["c"], 6081)}
    assert sum(edge == "a1" for edge, _ in net.sent) == 2 * A_SECOND


def test_the_end_that_does_not_hear_says_so_and_says_when_it_does_again() -> None:
    net = Net()
    for _ in range(8):
        net.second()
    assert not any(net.heard.values())
    net.cut.add(("a", "b"))
    for _ in range(5):
        net.second()
    assert net.heard["b1"] == [frozenset({A})]
    assert not net.heard["a1"]
    assert not net.heard["c1"]
    net.cut.clear()
    for _ in range(10):
        net.second()
    assert net.heard["b1"][-1] == frozenset()


def test_what_does_not_come_from_an_edge_that_lives_is_not_counted() -> None:
    net = Net()
    for _ in range(8):
        net.second()
    net.cut.add(("a", "b"))
    packets = [bytes([number]) * 172 for number in range(200)]
    for _ in range(5):
        net.second()
        for packet in packets:
            net.probes[EdgeId("b1")].datagram_received(packet, (HOSTS["a"], 6081))
            net.probes[EdgeId("b1")].datagram_received(packet, ("203.0.113.9", 6081))
    assert net.heard["b1"] == [frozenset({A})]
