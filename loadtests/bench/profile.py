"""Sums a sampler's stacks by the part of the edge that they stand in. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

GROUPS: Final = (
    ("edge/sip/message.py", "SIP: reading messages"),
    ("edge/sip/headers.py", "SIP: reading messages"),
    ("edge/sip/uri.py", "SIP: reading messages"),
    ("edge/sip/builder.py", "SIP: writing messages"),
    ("edge/sip/endpoint.py", "SIP: socket"),
    ("edge/sip/", "SIP: transactions, dialogs, legs"),
    ("edge/calls/telephony.py", "SIP: transactions, dialogs, legs"),
    ("structlog/", "logging"),
    ("edge/log.py", "logging"),
    ("edge/acd/call", "the call's state machine"),
    ("edge/acd/reservation.py", "plans of transactions"),
    ("edge/acd/plan.py", "plans of transactions"),
    ("edge/acd/ending.py", "plans of transactions"),
    ("edge/acd/", "matching"),
    ("edge/reserve.py", "matching"),
    ("edge/others.py", "matching"),
    ("edge/media", "media"),
    ("edge/calls/media.py", "media"),
    ("edge/calls/played.py", "media"),
    ("state/codec.py", "codec of records"),
    ("state/keys.py", "codec of records"),
    ("state/etcd", "etcd client"),
    ("grpc/", "etcd client"),
    ("state/mirror/", "mirror and snapshot"),
    ("state/snapshot/", "mirror and snapshot"),
    ("edge/duties/steward.py", "care for Kamailio"),
    ("edge/proxy/", "care for Kamailio"),
    ("edge/steering/", "care for Kamailio"),
    ("edge/", "the shells that join the parts"),
    ("asyncio/", "asyncio"),
    ("selectors.py", "asyncio"),
)
"""The first that is in a frame's file decides; frames are looked at from the inside out."""
OTHER: Final = "other"


def group_of(stack: str) -> str:
    """Return the part in which the innermost frame that has one stands."""
    for frame in reversed(stack.split(";")):
        for part, name in GROUPS:
            if part in frame:
                return name
    return OTHER


def by_group(samples: Mapping[str, int]) -> dict[str, int]:
    """Return samples by part, the largest first."""
    found: Counter[str] = Counter()
    for stack, count in samples.items():
        found[group_of(stack)] += count
    return dict(found.most_common())
