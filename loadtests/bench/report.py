"""Benchmarks as people read them: tables on standard output."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import to_builtins
from rich.table import Table

from drills.cli.progress import console
from loadtests.bench.api.measure import ApiFigures
from loadtests.bench.breadth import BreadthFigures
from loadtests.bench.bridged.measure import BridgedFigures
from loadtests.bench.distance.measure import DistanceFigures
from loadtests.bench.edge import EdgeFigures
from loadtests.bench.edges import EdgesFigures
from loadtests.bench.growth import GrowthFigures
from loadtests.bench.media.measure import MediaFigures
from loadtests.bench.memory import MemoryFigures
from loadtests.bench.profile import by_group
from loadtests.bench.queue.measure import QueueFigures
from loadtests.bench.reach import NGS
from loadtests.bench.recording.measure import RecordingFigures
from loadtests.bench.registrations import telling
from loadtests.bench.registrations.measure import RegistrationFigures
from loadtests.bench.relay import telling as relay_telling
from loadtests.bench.relay.measure import RelayFigures
from loadtests.bench.relay.sipp import SIPP
from loadtests.bench.routing.measure import IndexFigures, RoutingFigures
from loadtests.bench.sampler import Sampled
from loadtests.bench.site import PARTS, SiteFigures
from loadtests.bench.sites import SitesFigures
from loadtests.bench.stage import Slice
from loadtests.bench.steps import Taken, taken
from loadtests.bench.tabling import HIGHEST, columns, in_cell


def edge(figures: EdgeFigures) -> dict[str, object]:
    """Print what `bench edge` found; return it as JSON values."""
    effort, found = figures.effort, figures.as_json()
    table = Table(
        title=f"One edge process, {effort.agents} agents, by how far a call goes"
        f" ({effort.climbs} looks for each highest clean rate)"
    )
    columns(table, "", "", "without media", "with media")
    for name, each in figures.reached.items():
        cpu = (in_cell(each.cpu_ms(ng)) for ng in NGS)
        table.add_row(name, f"CPU a call at {effort.rate:.0f}/s, ms", *cpu)
        table.add_row("", HIGHEST, *(in_cell(each.highest(ng), 0) for ng in NGS))
        at_highest = (in_cell(each.cpu_ms_at_highest(ng)) for ng in NGS)
        table.add_row("", "CPU a call at that rate, ms", *at_highest)
        ended = (each.climbs[ng].ended_by if ng in each.climbs else "-" for ng in NGS)
        table.add_row("", "the next did not hold", *ended)
    if (ease := figures.at_ease) is None:
        return _told(found, table)
    low = f"CPU a call at {effort.low_rate:.0f}/s, ms"
    table.add_row("bridged", low, in_cell(ease.cpu_at_low_rate()), "")
    for share in ("p50", "p99"):
        what = f"INVITE in to INVITE out at {ease.wait_rate:.0f}/s, {share}, ms"
        table.add_row("", what, in_cell(ease.to_agent(share)), "")
    return _told(found, table, f"CPU ms a bridged call of the others: {found['of_others_ms']}")


def relay(figures: RelayFigures) -> dict[str, object]:
    """Print what `bench relay` found; return it as JSON values."""
    return _told(figures.as_json(), *relay_telling.tables(figures))


def routing(figures: RoutingFigures) -> dict[str, object]:
    """Print what `bench routing` found; return it as JSON values."""
    if figures.index is not None:
        _index(figures.index, *figures.effort.full)
    if figures.loads:
        loads = Table(title="Reservations through three etcd members, fsync on disk")
        columns(loads, "sites", "asked/s", "granted/s", "p50, ms", "p99, ms", "wasted")
        for load in figures.loads:
            ms = (f"{each:.1f}" for each in (load.p50_ms, load.p99_ms))
            rates = (f"{each:.0f}" for each in (load.asked_per_s, load.per_s))
            loads.add_row(str(load.sites), *rates, *ms, f"{100 * load.wasted:.1f} %")
        console().print(loads)
    return _told(figures.as_json())


def _index(figures: IndexFigures, agents: int, calls: int) -> None:
    """Print what was found of the match index; `agents` and `calls`: of the full match."""
    table = Table(title="The match index: one event to the next offers (CPU time)")
    columns(table, "agents", "p50, us", "p99, us", "bytes an agent", "bytes a call")
    for size, found in figures.sizes.items():
        us = (f"{found.event_us[share]:.0f}" for share in ("p50", "p99"))
        held = (f"{each:.0f}" for each in (found.bytes_per_agent, found.bytes_per_call))
        table.add_row(f"{size:,}", *us, *held)
    steady = ", ".join(
        f"{per_s:,.0f} with {together:,} a turn" for together, per_s in figures.steady_per_s.items()
    )
    whole = figures.whole
    others = (
        f"full match of {agents:,} agents and {calls:,} calls: {figures.full_match_ms:.0f} ms; "
        f"matches and releases a second: {steady}; "
        f"one of them, us: {whole.index_us:.0f} in the index and {whole.mirror_us:.0f} before it, "
        f"from bytes to the snapshot ({whole.per_s:,.0f} a second); "
        f"from nothing each time: {figures.baseline_matches_per_s:.1f}"
    )
    console().print(table, others, sep="\n")


def api(figures: ApiFigures) -> dict[str, object]:
    """Print what `bench api` found; return it as JSON values."""
    table = Table(
        title=f"The API with {figures.effort.customers:,} customers: medians of slices"
        " (least to most)"
    )
    columns(table, "", "at a rate of", "p50, ms", "p99, ms", "CPU, ms", "most a second")
    for name, found in figures.databases.items():
        for what in ("nothing", "screen_pop", "search", "queue_edit"):
            times = getattr(found, what)
            ms = (in_cell(times.p50, 1), in_cell(times.p99, 1), f"{times.cpu_ms.median:.1f}")
            most = f"{found.per_s[what]:.0f}" if what in found.per_s else ""
            table.add_row(f"{name}: {what.replace('_', ' ')}", f"{times.rate:g}/s", *ms, most)
        told = found.fanout
        ms = (in_cell(told.p50, 1), in_cell(told.p99, 1), f"{told.cpu_ms.median:.1f}")
        table.add_row(f"{name}: event to {figures.effort.listeners} listeners", "", *ms, "")
    us = figures.authorise_us
    decisions = (
        (
            f"one decision of the policy: {us['uncached']:.0f} us, from what is kept "
            f"{us['cached']:.0f} us, the first of a tenant and kind {us['first_of_a_kind']:.0f} us"
        )
        if us
        else ""
    )
    shown: list[Table | str] = [
        *([table] if figures.databases else []),
        *([decisions] if us else []),
    ]
    return _told(figures.as_json(), *shown)


def recording(figures: RecordingFigures) -> dict[str, object]:
    """Print what `bench recording` found; return it as JSON values."""
    table = Table(title="One recorder: calls of two channels of G.711 at once")
    columns(table, "calls", "cores", "packets", "lost", "KiB a call", "sender behind, ms")
    for rung in figures.rungs:
        table.add_row(
            str(rung.calls),
            f"{rung.cores:.2f}",
            f"{rung.packets:,}",
            str(rung.lost),
            f"{rung.memory_bytes / 1024:.0f}",
            f"{1000 * rung.sender_behind_s:.0f}",
        )
    first = figures.first_audio_ms
    others = (
        f"sealed on one core: {figures.sealed_mb_per_s:.0f} MB/s; added to the codec's bytes: "
        f"{100 * figures.overhead:.2f} %; first sound over the API: p50 {first['p50']:.1f} ms, "
        f"p99 {first['p99']:.1f} ms"
    )
    return _told(figures.as_json(), table, others)


def queue(figures: QueueFigures) -> dict[str, object]:
    """Print what `bench queue` found; return it as JSON values."""
    effort = figures.effort
    table = Table(
        title=f"A queue of {effort.agents} agents that is never empty: {effort.talk_s:g} s of"
        f" talk, {effort.wrap_up_s:g} s of wrap-up"
    )
    columns(table, "", "median (least to most)")
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        what = f"dead time: end of wrap-up to the next INVITE, {name}, ms"
        table.add_row(what, in_cell(figures.dead_ms(share), 1))
    table.add_row("efficiency: agents' time of use, of all", in_cell(figures.efficiency, 4))
    table.add_row(f"refill: all {effort.agents} freed at once, s", in_cell(figures.refill_s, 3))
    steps = Table(title="Where the dead time goes")
    columns(steps, "step", "p50, ms", "p99, ms")
    late = figures.steps_ms(0.99)
    for step, p50 in figures.steps_ms(0.5).items():
        steps.add_row(step, in_cell(p50, 1), in_cell(late[step], 1))
    failures = figures.failures or "none"
    return _told(figures.as_json(), table, steps, f"failures: {failures}")


def growth(figures: GrowthFigures) -> dict[str, object]:
    """Print what `bench growth` found; return it as JSON values."""
    table = Table(title=f"One edge at {figures.effort.rate:.0f} calls/s as the center grows")
    columns(
        table, "agents", "CPU a call, ms", "of an onlooker, ms", "edge's memory, MiB", "not clean"
    )
    for size in figures.sizes:
        dirt = "; ".join(each.summary.dirt for each in size.slices if each.summary.dirt)
        memory = f"{size.memory_kb / 1024:.0f}"
        cpu = (in_cell(size.cpu_ms), in_cell(size.onlooker_ms))
        table.add_row(f"{size.agents:,}", *cpu, memory, dirt[:40] or "-")
    asked = "; ".join(
        f"{name.replace('_', ' ')} {value:g}" for name, value in figures.etcd().items()
    )
    return _told(figures.as_json(), table, f"etcd: {asked}")


def registrations(figures: RegistrationFigures) -> dict[str, object]:
    """Print what `bench registrations` found; return it as JSON values."""
    return _told(figures.as_json(), telling.table(figures))


def sites(figures: SitesFigures) -> dict[str, object]:
    """Print what `bench sites` found; return it as JSON values."""
    table = Table(title=f"A center of more sites, {figures.effort.rate:.0f} calls/s at one of them")
    ways = [f"INVITE to INVITE at {ms:g} ms, p50, ms" for ms in figures.effort.round_trips_ms]
    names = ("sites", "CPU a call, ms", "of all onlookers, ms", "idle edge, ms a second")
    columns(table, *names, *ways, "not clean")
    for count, found in figures.sites.items():
        waits = [in_cell(found.to_agent_ms(ms)) for ms in figures.effort.round_trips_ms]
        cpu = (in_cell(found.cpu_ms), in_cell(found.onlookers_ms), f"{found.edge_idle_ms:.0f}")
        table.add_row(f"{count}", *cpu, *waits, "; ".join(found.dirt)[:40] or "-")
    return _told(figures.as_json(), table)


def breadth(figures: BreadthFigures) -> dict[str, object]:
    """Print what `bench breadth` found; return it as JSON values."""
    effort = figures.effort
    table = Table(title=f"One edge at {effort.rate:.0f} calls/s, {effort.agents} agents")
    columns(table, "", "CPU a call, ms", "without calls, ms a second", "not clean")
    for each in figures.found:
        dirt = "; ".join(one.summary.dirt for one in each.slices if one.summary.dirt)
        row = (in_cell(each.cpu_ms), f"{each.idle_ms:.0f}", dirt[:40] or "-")
        table.add_row(each.breadth.name, *row)
    return _told(figures.as_json(), table)


def site(figures: SiteFigures) -> dict[str, object]:
    """Print what `bench site` found; return it as JSON values."""
    table = Table(title="A whole site on this machine: Kamailio, edge, rtpengine, etcd")
    columns(table, "", "found")
    looks = f"of answered calls ({figures.effort.climbs} looks)"
    table.add_row(f"{HIGHEST} {looks}", in_cell(figures.climbs.highest, 0))
    table.add_row("the next did not hold", figures.climbs.ended_by)
    for part, ms in figures.cpu_ms.items():
        table.add_row(f"CPU a call of {part}, ms", f"{ms:.2f}")
    for part, cores in figures.peak_cores.items():
        table.add_row(f"cores that {part} took at that rate", f"{cores:.2f}")
    times = f"{figures.effort.times:g} times that rate ({figures.effort.rounds} runs)"
    table.add_row(f"served at {times}, share of the rate", in_cell(figures.kept, 3))
    table.add_row("times that SIPp really placed", in_cell(figures.offered, 1))
    if (per_cpu := figures.kept_per_cpu) is not None:
        table.add_row(
            "served for a CPU second of the site, share of the peak's", in_cell(per_cpu, 3)
        )
    table.add_row("clean again after SIPp's last answer, s", in_cell(figures.recovery_s))
    table.add_row("which came after the last call, s", in_cell(figures.drained_s))
    for part in (*PARTS, SIPP):
        table.add_row(f"cores that {part} took while calls came", in_cell(figures.cores(part)))
    return _told(figures.as_json(), table)


def distance(figures: DistanceFigures) -> dict[str, object]:
    """Print what `bench distance` found; return it as JSON values."""
    effort = figures.effort
    table = Table(
        title=f"Three sites at a distance: {effort.rate:g} calls/s, then {effort.agents} agents"
        f" in a queue that is never empty (medians of {effort.rounds})"
    )
    columns(table, "there and back", "leader", "INVITE to INVITE, p50", "p99", "dead time, p50")
    columns(table, "p99", "not clean")
    for key, slices in figures.slices.items():
        to_agent = (in_cell(figures.to_agent_ms(key, share), 0) for share in ("p50", "p99"))
        dead = (in_cell(figures.dead_ms(key, share), 0) for share in (0.5, 0.99))
        dirt = "; ".join(each.dirt for each in slices if each.dirt)
        table.add_row(f"{key[0]:g} ms", key[1], *to_agent, *dead, dirt[:40] or "-")
    others = "in ms; dead time: from the end of wrap-up to the next INVITE"
    return _told(figures.as_json(), table, others)


def edges(figures: EdgesFigures) -> dict[str, object]:
    """Print what `bench edges` found; return it as JSON values."""
    effort = figures.effort
    table = Table(
        title=f"A site with several edge processes, at {effort.rate:g} answered calls/s"
        f" (medians of {effort.rounds}; {effort.climbs} looks for the highest clean rate)"
    )
    names = ("edges", "CPU a call: all of it, ms", "edges", "Kamailio", "rtpengine", "etcd")
    columns(table, *names, "highest clean rate, calls/s", "not clean")
    for count, found in figures.sites.items():
        parts = (in_cell(found.cpu_ms(part)) for part in ("edge", "kamailio", "rtpengine", "etcd"))
        dirt = "; ".join(each for each in found.dirt if each)
        rate = in_cell(found.highest, 0)
        table.add_row(str(count), in_cell(found.cpu_ms()), *parts, rate, dirt[:40] or "-")
    return _told(figures.as_json(), table)


def bridged(figures: BridgedFigures) -> dict[str, object]:
    """Print what `bench bridged` found; return it as JSON values."""
    effort = figures.effort
    table = Table(title=f"Calls that reach one of {effort.agents} agents, through a whole site")
    columns(table, "", "found")
    table.add_row(f"CPU a call at {effort.rate:g}/s, ms", in_cell(figures.cpu_ms()))
    for part in figures.parts_ms[0]:
        table.add_row(f"of it {part}", in_cell(figures.cpu_ms(part)))
    rate = in_cell(figures.climbs.highest, 0)
    table.add_row(f"{HIGHEST} ({effort.climbs} looks)", rate)
    table.add_row("the next did not hold", figures.climbs.ended_by)
    return _told(figures.as_json(), table)


def media(figures: MediaFigures) -> dict[str, object]:
    """Print what `bench media` found; return it as JSON values."""
    table = Table(title="One rtpengine: calls of G.711 both ways, 20 ms a packet")
    columns(table, "calls", "cores of rtpengine", "delay p50, ms", "p99, ms", "most, ms")
    columns(table, "calls a core", "lost", "sender late by, ms")
    for rung in figures.rungs:
        table.add_row(
            str(rung.calls),
            in_cell(rung.cores),
            *(in_cell(rung.delay_ms(share)) for share in (0.5, 0.99, 1.0)),
            f"{rung.calls_a_core:.0f}",
            f"{100 * rung.lost_share:.2f} %",
            f"{rung.late_ms:.1f}",
        )
    return _told(figures.as_json(), table)


def memory(figures: MemoryFigures) -> dict[str, object]:
    """Print what `bench memory` found; return it as JSON values."""
    table = Table(title="What one edge holds for a call, without media")
    columns(table, "", "KiB a call")
    for kind in ("waiting", "talking"):
        found = figures.of(kind)
        count = getattr(figures.effort, kind)
        kib = f"{found.median / 1024:.1f} ({found.least / 1024:.1f} to {found.most / 1024:.1f})"
        table.add_row(f"{kind}, {count} at once", kib)
    return _told(figures.as_json(), table)


def title(measured: Slice, *, media: bool) -> str:
    """Return what a profile is of."""
    rate = measured.summary.offered / measured.summary.took_s
    relay = "with rtpengine" if media else "without media"
    return f"Where {measured.cpu_ms:.2f} ms of CPU a call go, {relay}, at {rate:.0f} calls/s"


def profile(measured: Slice, sampled: Sampled, *, media: bool) -> dict[str, object]:
    """Print where the time of a call goes: CPU by part, and the way to the agent by step."""
    total = sum(sampled.stacks.values())
    table = Table(title=title(measured, media=media))
    columns(table, "part", "share", "ms a call")
    shares = {name: count / total for name, count in by_group(sampled.stacks).items()}
    for name, share in shares.items():
        table.add_row(name, f"{100 * share:.1f} %", f"{share * measured.cpu_ms:.3f}")
    found = taken(sampled.calls.values())
    figures: dict[str, object] = {
        "cpu_ms": round(measured.cpu_ms, 3),
        "shares": shares,
        "ways": [to_builtins(each) for each in found],
    }
    return _told(figures, table, *map(_steps, found))


def _steps(found: Taken) -> Table:
    about = f"{found.way.value}, {found.calls} calls"
    table = Table(title=f"From INVITE in to the agent's telephone ringing: {about}")
    columns(table, "step", "p50, ms", "p99, ms", "share")
    for each in found.steps:
        share = f"{100 * each.share:.0f} %"
        table.add_row(each.step, f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}", share)
    table.add_section()
    for each in found.beside:
        table.add_row(each.step, f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}", "")
    return table


def _told(figures: dict[str, object], *shown: Table | str) -> dict[str, object]:
    """Print what was found; return it as JSON values."""
    console().print(*shown, sep="\n")
    return figures


def on(here: Mapping[str, str], figures: dict[str, object]) -> dict[str, object]:
    """Print on which machine figures were found that have been printed; return them with it."""
    console().print(*(f"{name}: {value}" for name, value in here.items()), sep="\n")
    return figures | {"machine": here}
