"""The WAN between the hosts: cut, heal, slow down and lose packets, by direction.

Who breaks something beside others has a part of its own (`apart`) and mends that alone: a link
that two have cut is whole when both have mended it, and one that two make slow is as slow as both.

Every call has taken effect when it returns. Cuts and loss are nft rules in the router, replaced in
one transaction; delay is netem or the relay (see delays.py).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from drills.lab.delays import Delays
from drills.lab.errors import NetworkError
from drills.lab.network import run_tool
from drills.lab.plan import Host
from drills.lab.wan_rules import Direction, Link, WanState, nft_script


class _Whole:
    """What is broken between the hosts of one lab, by all parts together."""

    def __init__(self, hosts: Sequence[Host], delays: Delays) -> None:
        self.addresses = {host.name: host.address for host in hosts}
        self.delays = delays
        self.parts: dict[int, WanState] = {}
        """What each has broken; of whom all is mended there is nothing."""
        self.numbers: Iterator[int] = itertools.count()

    @property
    def state(self) -> WanState:
        """All that is broken now."""
        return _merged(self.parts)

    def apply(self, parts: dict[int, WanState]) -> None:
        """Make these true, or leave all as it was. Rules first: a cut waits for no relay."""
        before, state = self.state, _merged(parts)
        run_tool(("nft", "-f", "-"), nft_script(state, self.addresses))
        if state.slow() != before.slow():
            try:
                self.delays.apply(state)
            except NetworkError:
                run_tool(("nft", "-f", "-"), nft_script(before, self.addresses))
                raise
        self.parts = parts


class WanPart:
    """What one has broken between the hosts of a lab, beside what others have."""

    def __init__(self, whole: _Whole) -> None:
        self._whole = whole
        self._number = next(whole.numbers)

    def apart(self) -> WanPart:
        """Return a part of its own, of which nothing is broken yet."""
        return WanPart(self._whole)

    @property
    def state(self) -> WanState:
        """All that is broken now, by whomever."""
        return self._whole.state

    @property
    def _own(self) -> WanState:
        return self._whole.parts.get(self._number, WanState())

    @property
    def delay_means(self) -> str:
        """How delay is made here: `netem`, `relay` or `none`."""
        return self._whole.delays.name

    def cut(self, source: str, target: str) -> None:
        """Drop every packet from `source` to `target`; the other direction stays."""
        direction = self._direction(source, target)
        self._change(direction, replace(self._own.link(direction), cut=True))

    def heal(self, source: str, target: str) -> None:
        """Make the direction sound again, of this part: no cut, no delay, no loss."""
        self._change(self._direction(source, target), Link())

    def shape(
        self,
        source: str,
        target: str,
        *,
        delay_ms: float = 0.0,
        jitter_ms: float = 0.0,
        loss_pct: float = 0.0,
    ) -> None:
        """Give the direction this delay and loss, in place of what it had; a cut stays.

        DelayError when delay cannot be had here.
        """
        direction = self._direction(source, target)
        cut = self._own.link(direction).cut
        link = Link(cut=cut, delay_ms=delay_ms, jitter_ms=jitter_ms, loss_pct=loss_pct)
        wrong = link.wrong_because()
        if wrong is not None:
            raise NetworkError(f"{source} to {target}: {wrong}")
        self._change(direction, link)

    def cut_between(self, one: str, other: str) -> None:
        """Cut both directions, in one transaction."""
        state = self._own
        for direction in (self._direction(one, other), self._direction(other, one)):
            state = state.with_link(direction, replace(state.link(direction), cut=True))
        self._apply(state)

    def heal_between(self, one: str, other: str) -> None:
        """Make both directions sound again, of this part."""
        state = self._own.with_link(self._direction(one, other), Link())
        self._apply(state.with_link(self._direction(other, one), Link()))

    def isolate(self, host: str) -> None:
        """Cut all links of the host, both directions, in one transaction."""
        self._known(host)
        self._apply(replace(self._own, isolated=self._own.isolated | {host}))

    def reconnect(self, host: str) -> None:
        """Undo `isolate`; what was broken link by link stays broken."""
        self._known(host)
        self._apply(replace(self._own, isolated=self._own.isolated - {host}))

    def part_etcd(self, host: str) -> None:
        """Drop what etcd's members and clients send between this host and all others."""
        self._known(host)
        self._apply(replace(self._own, without_etcd=self._own.without_etcd | {host}))

    def rejoin_etcd(self, host: str) -> None:
        """Undo `part_etcd`."""
        self._known(host)
        self._apply(replace(self._own, without_etcd=self._own.without_etcd - {host}))

    def mute(self, host: str) -> None:
        """Drop what this host sends by UDP to all others, but for SIP."""
        self._known(host)
        self._apply(replace(self._own, mute=self._own.mute | {host}))

    def unmute(self, host: str) -> None:
        """Undo `mute`."""
        self._known(host)
        self._apply(replace(self._own, mute=self._own.mute - {host}))

    def heal_all(self) -> None:
        """Make everything sound, whoever has broken it."""
        self._whole.apply({})

    def _change(self, direction: Direction, link: Link) -> None:
        self._apply(self._own.with_link(direction, link))

    def _apply(self, own: WanState) -> None:
        others = {n: each for n, each in self._whole.parts.items() if n != self._number}
        self._whole.apply(others if own == WanState() else {**others, self._number: own})

    def _direction(self, source: str, target: str) -> Direction:
        self._known(source)
        self._known(target)
        if source == target:
            raise NetworkError(f"{source} has no link to itself")
        return Direction(source, target)

    def _known(self, host: str) -> None:
        if host not in self._whole.addresses:
            raise NetworkError(
                f"there is no host {host!r}; there are: {', '.join(self._whole.addresses)}"
            )


class Wan(WanPart):
    """The network of one lab."""

    def __init__(self, hosts: Sequence[Host], delays: Delays) -> None:
        super().__init__(_Whole(hosts, delays))


def _merged(parts: Mapping[int, WanState]) -> WanState:
    return functools.reduce(WanState.and_also, parts.values(), WanState())
