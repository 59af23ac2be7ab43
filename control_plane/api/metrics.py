"""What the control plane counts, for Prometheus."""

from __future__ import annotations

from math import nan
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One process's figures, in a registry of its own so that tests may make several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "everline_api_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "everline_api_seconds",
            "From the request's head to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "everline_api_under_way", "Requests being answered.", registry=self.registry
        )
        self.decisions = Counter(
            "everline_policy_decisions",
            "Answers of the policy.",
            ("kind", "act", "why"),
            registry=self.registry,
        )
        self.audit_is_whole = Gauge(
            "everline_audit_is_whole",
            "1: the audit log is sealed, and goes on from what this site has seen of it.",
            registry=self.registry,
        )
        self.can_lose_a_site = Gauge(
            "everline_can_lose_a_site",
            "1: callers would be served as they should whichever site died; 0 is the alarm. "
            "NaN: nobody could look lately.",
            registry=self.registry,
        )
        self.can_lose_a_site.set(nan)  # until somebody has looked
        self.readiness_age_s = Gauge(
            "everline_readiness_age_seconds",
            "Since it was last looked whether a site may be lost; over 60 is an alarm.",
            registry=self.registry,
        )
        self.etcd_file_bytes = Gauge(
            "everline_etcd_file_bytes",
            "Of this site's etcd member: what counts against its quota.",
            registry=self.registry,
        )
        self.etcd_used_bytes = Gauge(
            "everline_etcd_used_bytes",
            "The part of it in which something stands; defragmenting leaves about that.",
            registry=self.registry,
        )
        self.etcd_quota_bytes = Gauge(
            "everline_etcd_quota_bytes",
            "Where it takes no more writes, as it says or the settings do.",
            registry=self.registry,
        )
        self.etcd_has_room = Gauge(
            "everline_etcd_has_room",
            "1: it takes writes and is below 80 % of its quota; 0 is the alarm.",
            registry=self.registry,
        )
        self.etcd_has_room.set(1)  # until somebody has looked
        self.etcd_members = Gauge(
            "everline_etcd_members",
            "Members of etcd with a vote, as the cluster says; 0: none answers here.",
            registry=self.registry,
        )
        self.etcd_members_silent = Gauge(
            "everline_etcd_members_silent",
            "Those of them that do not answer here, or do not know who leads.",
            registry=self.registry,
        )
        self.callbacks_not_cleared = Gauge(
            "everline_callbacks_not_cleared",
            "Callers to be called back of whom nobody has looked whether they may be: they wait.",
            registry=self.registry,
        )
        self.cut_off = Counter(
            "everline_api_cut_off", "Clients cut off.", ("why",), registry=self.registry
        )

    def render(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self.registry)
