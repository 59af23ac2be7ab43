"""One fault: what is broken, where, when, and for how long at most. PURE.

Owns the kinds of fault, their names in a file, and what makes one wrong. Knows nothing of how a
fault is made (`breaking`), nor of the experiment that it is part of.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

from drills.lab.wan_rules import Link

LEADER, FOLLOWER, OTHER = "{leader}", "{follower}", "{other}"
"""In a target: the site whose etcd member leads, another, and the third."""
PRIMARY = "{primary}"
"""The site whose member of the database takes writes."""
MOST_TTL_S = 120.0
LEAST_PERIOD_S = 0.05
MOST_OFF_S = 366 * 86_400.0


class FaultKind(StrEnum):
    """What can be broken. Each is undone by the one that made it."""

    KILL_SITE = "kill_site"
    """All links cut, then SIGKILL to everything; nothing is restarted until it is over."""
    FREEZE_SITE = "freeze_site"
    """SIGSTOP to everything at a site."""
    KILL = "kill"
    """SIGKILL to a process, which its supervisor restarts."""
    HOLD_DOWN = "hold_down"
    """SIGKILL to a process that is not restarted until it is over."""
    FREEZE = "freeze"
    """SIGSTOP to a process."""
    STUTTER = "stutter"
    """A process stopped for 150 ms of every 200 ms: it comes to nothing in time."""
    SLOW_SYNC = "slow_sync"
    """A member of etcd whose disk takes `delay_ms` longer for what has to be on it (fsync)."""
    CUT = "cut"
    """A link, `a-b`, both ways."""
    CUT_ONE_WAY = "cut_one_way"
    """One direction, `a>b`."""
    CUT_OFF = "cut_off"
    """A site from all other sites; people still reach it."""
    CUT_ETCD = "cut_etcd"
    """A site from all others, but only what etcd's members and clients say; SIP and RTP pass."""
    ISOLATE = "isolate"
    """A host from everybody."""
    DRAIN = "drain"
    """All edges of a site told to take no new calls, and then to take them again."""
    MUTE = "mute"
    """What a site sends by UDP, but for SIP: it hears, and answers, and nobody hears it."""
    SHAPE = "shape"
    """Loss and delay, both ways, on a link `a-b` or on all links of a host."""
    FLAP = "flap"
    """A link cut and healed again and again, `period_s` each."""
    WRONG_CLOCK = "wrong_clock"
    """The clocks of our own processes at a site, `off_s` ahead (or behind, below 0)."""
    EXPIRE = "expire"
    """The edges of a site start anew with certificates that have expired; then come new ones."""
    LOSE_KEYS = "lose_keys"
    """The provider of a site's recording keys is gone."""
    LOSE_STORE = "lose_store"
    """A site's store of recordings is gone."""
    FILL_STORE = "fill_store"
    """The disk of a site's store of recordings is full."""
    FILL_ETCD = "fill_etcd"
    """etcd refuses writes as one whose space is used up: its alarm is raised. Target: `etcd`."""


_ON_LINKS = frozenset({FaultKind.CUT, FaultKind.FLAP})
_INSTANT = frozenset({FaultKind.KILL})


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One fault: what, where, when, and for how long at most."""

    kind: FaultKind
    target: str
    at_s: float = 0.0
    """After the method begins."""
    ttl_s: float = 0.0
    """Who made it undoes it by then, whatever becomes of the runner."""
    loss_pct: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    period_s: float = 0.0
    off_s: float = 0.0

    def wrong_because(self) -> str | None:  # noqa: PLR0911 - one a rule
        """Return what is wrong with it, or None."""
        if not 0.0 <= self.at_s <= MOST_TTL_S:
            return f"at_s should be 0 to {MOST_TTL_S:g}, not {self.at_s:g}"
        if self.kind not in _INSTANT and not 0.0 < self.ttl_s <= MOST_TTL_S:
            return f"ttl_s should be above 0 and at most {MOST_TTL_S:g}: every fault ends by itself"
        if self.kind in _ON_LINKS and "-" not in self.target:
            return f"{self.kind} needs a link, such as a-b, not {self.target!r}"
        if self.kind is FaultKind.CUT_ONE_WAY and ">" not in self.target:
            return f"cut_one_way needs a direction, such as a>b, not {self.target!r}"
        if self.kind is FaultKind.FLAP and not LEAST_PERIOD_S <= self.period_s <= MOST_TTL_S:
            return f"flap needs period_s, {LEAST_PERIOD_S:g} to {MOST_TTL_S:g}"
        if self.kind is FaultKind.WRONG_CLOCK and not 0.0 < abs(self.off_s) <= MOST_OFF_S:
            return f"wrong_clock needs off_s, at most {MOST_OFF_S:g} ahead or behind"
        wrong = Link(
            loss_pct=self.loss_pct, delay_ms=self.delay_ms, jitter_ms=self.jitter_ms
        ).wrong_because()
        if wrong is not None:
            return wrong
        if self.kind is FaultKind.SLOW_SYNC and not self.delay_ms:
            return "slow_sync needs delay_ms"
        if self.kind is FaultKind.SHAPE and not (self.loss_pct or self.delay_ms):
            return "shape needs loss_pct or delay_ms"
        return None

    def told(self) -> str:
        """Return it in a few words."""
        how = [f"{self.loss_pct:g} % loss"] if self.loss_pct else []
        how += [f"{self.delay_ms:g} ms delay"] if self.delay_ms else []
        how += [f"{self.off_s:+g} s"] if self.off_s else []
        how += [f"every {self.period_s:g} s"] if self.period_s else []
        how += [f"for {self.ttl_s:g} s"] if self.ttl_s else []
        return f"{self.kind} {self.target}" + (f" ({', '.join(how)})" if how else "")


def aimed(fault: Fault, leader: str, sites: tuple[str, ...], primary: str | None = None) -> Fault:
    """Return the fault with the sites' names in place of their parts."""
    rest = [site for site in sites if site != leader]
    target = fault.target.replace(LEADER, leader).replace(PRIMARY, primary or PRIMARY)
    for place, site in zip((FOLLOWER, OTHER), rest, strict=False):
        target = target.replace(place, site)
    return msgspec.structs.replace(fault, target=target)
