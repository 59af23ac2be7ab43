"""PURE. What is broken between the hosts, and the rule sets that break it.

Directions are between hosts, by address: `a` -> `b` is one, `b` -> `a` another. Traffic of the
router's own (the lab's own process) is never cut or delayed: whoever looks on sees everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

RELAY_DEVICE = "relay0"
RELAY_TABLE = 100
_LOSS_SCALE = 1_000_000
_ETCD = "{ 2379, 2380 }"
"""The ports of its clients and of its members."""
_SIP = "5060-5099"
"""Those of proxies and edges."""
MOST_DELAY_MS = 10_000.0


class Direction(Struct, frozen=True):
    """From one host to another, by name."""

    source: str
    target: str


class Link(Struct, frozen=True, kw_only=True):
    """What one direction does to its packets."""

    cut: bool = False
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Each packet waits `delay_ms` plus or minus up to this, evenly spread: packets overtake."""
    loss_pct: float = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether it delays."""
        return self.delay_ms > 0 or self.jitter_ms > 0

    def wrong_because(self) -> str | None:
        """Return what is wrong with the figures, or None."""
        if not 0 <= self.loss_pct <= 100:  # noqa: PLR2004 - percent
            return f"loss is 0 to 100 percent, not {self.loss_pct}"
        if not 0 <= self.delay_ms <= MOST_DELAY_MS:
            return f"delay is 0 to {MOST_DELAY_MS:.0f} ms, not {self.delay_ms}"
        if not 0 <= self.jitter_ms <= self.delay_ms:
            return f"jitter is 0 to the delay ({self.delay_ms} ms), not {self.jitter_ms}"
        return None

    def and_also(self, other: Link) -> Link:
        """Return what a direction does that does what this one does, and then what the other."""
        through = (1.0 - self.loss_pct / 100) * (1.0 - other.loss_pct / 100)
        is_lossy = self.loss_pct > 0 and other.loss_pct > 0
        return Link(
            cut=self.cut or other.cut,
            delay_ms=self.delay_ms + other.delay_ms,
            jitter_ms=self.jitter_ms + other.jitter_ms,
            loss_pct=100 * (1.0 - through) if is_lossy else self.loss_pct + other.loss_pct,
        )


SOUND = Link()


class WanState(Struct, frozen=True, kw_only=True):
    """All that is broken now."""

    links: Mapping[Direction, Link] = field(default_factory=dict)
    """Sound ones are left out."""
    isolated: frozenset[str] = frozenset()
    """Hosts all of whose links are cut, whatever `links` says."""
    without_etcd: frozenset[str] = frozenset()
    """Hosts whose links carry all but etcd's own packets."""
    mute: frozenset[str] = frozenset()
    """Hosts of which nothing arrives that they send by UDP, but for SIP: what they hear does."""

    def link(self, direction: Direction) -> Link:
        """Return what that direction does now."""
        return self.links.get(direction, SOUND)

    def with_link(self, direction: Direction, link: Link) -> WanState:
        """Return this state but for one direction."""
        links = {key: value for key, value in self.links.items() if key != direction}
        if link != SOUND:
            links[direction] = link
        return replace(self, links=links)

    def and_also(self, other: WanState) -> WanState:
        """Return what is broken when all of this is, and all of the other."""
        state = self
        for direction, link in other.links.items():
            state = state.with_link(direction, state.link(direction).and_also(link))
        return replace(
            state,
            isolated=self.isolated | other.isolated,
            without_etcd=self.without_etcd | other.without_etcd,
            mute=self.mute | other.mute,
        )

    def slow(self) -> Mapping[Direction, Link]:
        """Return the directions that delay."""
        return {direction: link for direction, link in self.links.items() if link.is_slow}


def nft_script(state: WanState, addresses: Mapping[str, str]) -> str:
    """Return the nft script that replaces all our rules, in one transaction."""
    isolated = ", ".join(addresses[host] for host in sorted(state.isolated))
    without_etcd = ", ".join(addresses[host] for host in sorted(state.without_etcd))
    mute = ", ".join(addresses[host] for host in sorted(state.mute))
    cuts = ", ".join(
        f"{addresses[direction.source]} . {addresses[direction.target]}"
        for direction, link in state.links.items()
        if link.cut
    )
    loss = "\n".join(
        f"    ip saddr {addresses[direction.source]} ip daddr {addresses[direction.target]} "
        f"{_chance(link.loss_pct)}drop"
        for direction, link in state.links.items()
        if link.loss_pct > 0
    )
    return f"""
table ip everline {{ }}
delete table ip everline
table ip everline {{
  set isolated {{ type ipv4_addr; {_elements(isolated)} }}
  set without_etcd {{ type ipv4_addr; {_elements(without_etcd)} }}
  set mute {{ type ipv4_addr; {_elements(mute)} }}
  set cuts {{ type ipv4_addr . ipv4_addr; {_elements(cuts)} }}
  chain wan {{
    type filter hook forward priority 0; policy accept;
    ip saddr @isolated drop
    ip daddr @isolated drop
    ip saddr . ip daddr @cuts drop
    ip saddr @without_etcd tcp dport {_ETCD} drop
    ip saddr @without_etcd tcp sport {_ETCD} drop
    ip daddr @without_etcd tcp dport {_ETCD} drop
    ip daddr @without_etcd tcp sport {_ETCD} drop
    ip saddr @mute udp sport != {_SIP} udp dport != {_SIP} drop
    iifname != "{RELAY_DEVICE}" jump loss
  }}
  chain loss {{
{loss}
  }}
}}
"""


def _chance(loss_pct: float) -> str:
    """Return the nft match for that share of packets; nft refuses one that always holds."""
    share = round(loss_pct * _LOSS_SCALE / 100)
    return f"numgen random mod {_LOSS_SCALE} < {share} " if share < _LOSS_SCALE else ""


def _elements(text: str) -> str:
    return f"elements = {{ {text} }};" if text else ""


def relay_table(state: WanState, addresses: Mapping[str, str]) -> list[list[str | float]]:
    """Return what the relay has to know: rows of source, target, delay and jitter in ms."""
    return [
        [addresses[direction.source], addresses[direction.target], link.delay_ms, link.jitter_ms]
        for direction, link in state.slow().items()
    ]


def relay_rules(
    state: WanState, addresses: Mapping[str, str], interfaces: Mapping[str, str]
) -> str:
    """Return the `ip -batch` lines that send slow directions' packets to the relay, and no others.

    Only what comes in from the source's own link goes there: what the relay gives back does not.
    """
    lines = [
        f"rule add from {addresses[direction.source]} to {addresses[direction.target]} "
        f"iif {interfaces[direction.source]} lookup {RELAY_TABLE} pref {RELAY_TABLE}"
        for direction in state.slow()
    ]
    return "\n".join(lines)


def netem_script(
    state: WanState, addresses: Mapping[str, str], interfaces: Mapping[str, str]
) -> str:
    """Return the `tc -batch` lines that delay slow directions on their way out to the target.

    One prio band a source, with netem as its leaf; everything else takes the first band.
    """
    lines: list[str] = []
    for target, interface in interfaces.items():
        slow = [(d, link) for d, link in state.slow().items() if d.target == target]
        if not slow:
            continue
        lines.append(
            f"qdisc add dev {interface} root handle 1: prio bands {len(slow) + 2} "
            f"priomap {' '.join(['0'] * 16)}"
        )
        for band, (direction, link) in enumerate(slow, start=2):
            lines.append(
                f"qdisc add dev {interface} parent 1:{band} handle {band}0: netem limit 100000 "
                f"delay {link.delay_ms}ms {link.jitter_ms}ms"
            )
            lines.append(
                f"filter add dev {interface} parent 1: protocol ip u32 "
                f"match ip src {addresses[direction.source]}/32 flowid 1:{band}"
            )
    return "\n".join(lines)
