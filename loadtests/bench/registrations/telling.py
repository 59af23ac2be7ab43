"""`bench registrations` as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rich.table import Table

from loadtests.bench.registrations.measure import RegistrationFigures
from loadtests.bench.site import PARTS

_ROWS: Final = (
    ("calls not answered", "calls_failed"),
    ("retransmissions of calls", "call_retransmissions"),
    ("registrations in the busiest second", "registrations_per_s"),
    ("half are back after, s", "half_back_s"),
    ("all are back after, s", "all_back_s"),
    ("all can be rung after, s", "all_ringable_s"),
    ("never back", "never_back"),
    ("REGISTER to 200, p50, ms", "took_ms.p50"),
    ("REGISTER to 200, p99, ms", "took_ms.p99"),
    ("sent away (503, Retry-After)", "refused"),
    ("telephones sent away twice or more", "refused_twice"),
    ("tries given up after 2 s", "timeouts"),
    ("retransmissions of REGISTER", "retransmissions"),
)


def table(figures: RegistrationFigures) -> Table:
    """Return what was found, a column for each kind of storm."""
    effort = figures.effort
    made = Table(
        title=f"{effort.agents:,} telephones sign in at one site, {effort.rate:g} calls/s meanwhile"
    )
    made.add_column("")
    found = [dict(_flat(figures.of(kind))) for kind in figures.storms]
    for kind in figures.storms:
        made.add_column(kind, justify="right")
    rows = [
        (f"{what} {when}", f"setup_ms.{when}.{key}")
        for when in ("before", "during")
        for what, key in (
            ("calls", "calls"),
            ("INVITE to 200, p50, ms,", "p50"),
            ("INVITE to 200, p99, ms,", "p99"),
        )
    ]
    cores = [(f"cores that {part} took meanwhile", f"cores.{part}") for part in PARTS]
    for name, key in (*rows, *_ROWS, *cores):
        values = [each[key] for each in found]
        made.add_row(name, *("never" if each is None else f"{each:,.6g}" for each in values))
    return made


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float | None]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, int | float):
            yield f"{prefix}{key}", value
