"""`bench relay` as tables: without media, and with it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from loadtests.bench.relay.compared import Compared
from loadtests.bench.relay.measure import RelayFigures
from loadtests.bench.relay.proxies import ALL, CONTROL, KEMI, PLAIN
from loadtests.bench.tabling import HIGHEST, columns, in_cell


def tables(figures: RelayFigures) -> Iterator[Table | str]:
    """Yield what was found, a table for each of the two that was measured."""
    title = "Kamailio: our KEMI route and the same in its own language"
    for found, more in (
        (figures.plain, ""),
        (figures.managed, ", each letting rtpengine anchor the call"),
    ):
        if found is not None:
            yield _table(found, title + more)
            yield f"SIPp itself (the carrier's side): {in_cell(found.sipp_us(), 0)} us a call"


def _table(found: Compared, title: str) -> Table:
    table = Table(title=title)
    columns(table, "", "KEMI", "native", "native, again")
    cpu = (in_cell(found.cpu_us(each), 0) for each in ALL)
    table.add_row(f"CPU a call at {found.rate:.0f}/s, us", *cpu)
    kemi, control = (in_cell(found.ratio(each)) for each in (KEMI, CONTROL))
    table.add_row("ratio to native, slice by slice", kemi, "1", control)
    if found.has_media:
        relay = (in_cell(found.relay_us(each), 0) for each in ALL)
        table.add_row("CPU of rtpengine meanwhile, us", *relay)
        kemi, control = (in_cell(found.ratio_with_relay(each)) for each in (KEMI, CONTROL))
        table.add_row("ratio of both together", kemi, "1", control)
    climbs = [found.climbs[each.name] for each in (KEMI, PLAIN)]
    rates = (in_cell(each.highest, 0) for each in climbs)
    table.add_row(f"{HIGHEST} ({len(climbs[0].each)} looks)", *rates, "")
    table.add_row("the next did not hold", *(each.ended_by for each in climbs), "")
    unclean = (f"{len(found.dirt[each.name])} of {len(found.costs[each.name])}" for each in ALL)
    table.add_row("slices that were not clean", *unclean)
    return table
