"""`./everline bench`. The benchmarks are `loadtests.bench`, run as a program of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import cyclopts

from drills.cli.entering import reachable, run_inside
from drills.cli.errors import CommandError, Exit
from drills.figures_file import write_figures

MOST_MINUTES: Final = 7 * 24 * 60.0
Name = Annotated[
    Literal[
        "all",
        "api",
        "breadth",
        "bridged",
        "distance",
        "edge",
        "edges",
        "growth",
        "media",
        "memory",
        "queue",
        "recording",
        "registrations",
        "relay",
        "routing",
        "scale",
        "site",
        "sites",
    ],
    cyclopts.Parameter(help="Which benchmark."),
]
Json = Annotated[Path | None, cyclopts.Parameter(help="Write the figures to this file, as JSON.")]
Quick = Annotated[
    bool,
    cyclopts.Parameter(
        help="Few and short slices, smaller centers: shows that it works, the figures mean "
        "little. Keys that name a size are others: queue.refill_10_s for refill_200_s, growth.20 "
        "and growth.60."
    ),
]
Agents = Annotated[
    int,
    cyclopts.Parameter(
        help="growth: only so many. Default: four sizes. registrations: so many. Default: 5,000.",
        validator=cyclopts.validators.Number(gte=0),
    ),
]
Part = Annotated[
    Literal["load", "sqlite", "postgresql", "decisions", "index", "reserve"] | None,
    cyclopts.Parameter(
        help="This alone. api: `load`, which loads and keeps that for the next runs, `sqlite`, "
        "`postgresql`, `decisions`; routing: `index`, `reserve`."
    ),
]
_PARTS: Final[Mapping[str, Collection[str]]] = {
    "api": ("load", "sqlite", "postgresql", "decisions"),
    "routing": ("index", "reserve"),
}
_ONLY_OF: Final[Mapping[str, Collection[str]]] = {
    "--agents": ("growth", "registrations"),
    "--pieces": ("all",),
    "--resume": ("all",),
    "--minutes": ("all",),
    "--from": ("scale",),
}
"""What would be taken and not heeded anywhere else; and the file of figures written over."""
Pieces = Annotated[
    str, cyclopts.Parameter(help="all: these alone, with commas between. Default: every one.")
]
Resume = Annotated[
    bool,
    cyclopts.Parameter(
        help="all: go on with the file of figures, without what it has; what failed, last."
    ),
]
Minutes = Annotated[
    float,
    cyclopts.Parameter(
        help="all: begin no piece after so long. Exit code 4 if some are left then.",
        validator=cyclopts.validators.Number(gte=0, lte=MOST_MINUTES),
    ),
]
From = Annotated[
    list[Path] | None,
    cyclopts.Parameter(
        name="--from",
        help="scale: reckon with this file of figures, of `bench all`; once more: and with this "
        "one, of `bench routing`. Default: with the figures of docs/scale.md.",
    ),
]
Profile = Annotated[
    bool,
    cyclopts.Parameter(
        help="edge: show where the time of a call goes, by part and step by step, without media "
        "and with rtpengine."
    ),
]
Flame = Annotated[
    Path | None,
    cyclopts.Parameter(
        help="edge: profile it, and write a flame graph of the one with rtpengine here (SVG)."
    ),
]


def bench(  # noqa: PLR0913 - options of a command
    name: Name,
    /,
    *,
    json: Json = None,
    agents: Agents = 0,
    part: Part = None,
    pieces: Pieces = "",
    resume: Resume = False,
    minutes: Minutes = 0.0,
    from_: From = None,
    quick: Quick = False,
    profile: Profile = False,
    flame: Flame = None,
) -> int:
    """Measure what a call costs here, and how many a second there may be.

    all     relay, edge, queue, site, growth (a piece for each size), memory,
            breadth, bridged, edges, sites, distance and media, one after the
            other, as one file of figures.
            About an hour and a quarter on a quiet machine, in minutes: relay 6,
            relay-rtpengine 5, edge 6, edge-answered 5, queue 3, site 6,
            growth-100 1, growth-1000 1, growth-10000 2, growth-100000 6,
            memory 4, breadth 4, bridged 4, edges 8, sites 4, distance-here 3,
            distance-elsewhere 3, media 2. A busy one takes longer; each piece
            says about how long it and the rest still take.
            Broken off, `--resume` goes on with it.
            One that fails is named (`failed`) with its reason, and the others
            are measured: exit code 1.
    api     the control plane with a million customers and 10,000 policy
            lines, on SQLite and PostgreSQL: screen pop, search, queue edit
            (p50, p99, requests a second), events to 500 listeners,
            decisions of the policy. Medians of slices, with the least and
            the most. The customers are loaded first (minutes for each
            database, up to 2 GB under .everline/) and go at the end, unless
            `--part load` has loaded them: a run then works on a copy.
    breadth  CPU a call of one edge, as a center has more queues, more callers who
            wait, and longer calls.
    bridged  the site of `site` with agents: calls that are queued, given away,
            rung, joined: CPU a call by part, highest clean rate.
    distance  three sites with 0 to 200 ms there and back between them: time
            from INVITE in to an agent's INVITE out, and from the end of
            wrap-up to the next INVITE, with etcd's leader here and elsewhere.
    edge    one edge process: CPU a call and highest clean rate of calls that
            are bridged, of those that are only answered, and of those that only
            queue, without and with rtpengine; time from INVITE in to an agent's
            INVITE out.
    edges   a site with one, two, four and eight edge processes: CPU a call of
            each part, highest clean rate.
    growth  CPU a call of one edge with 100 to 100,000 agents; what etcd is
            asked for a call; what an agent takes of memory.
    media   how long packets stay in rtpengine with 100 to 800 calls of G.711,
            and how many calls a core carries.
    memory  what a waiting and a connected call take of an edge's memory.
    queue   200 agents and a queue that is never empty: time from the end of
            wrap-up to the next INVITE, share of the agents' time that is of
            use, and how soon all are rung again who are freed at once.
    recording  one recorder: two-channel calls at once of which no packet is
            lost; sealing on one core; what is added to the codec's bytes; time
            from a request to the API until the first sound.
    registrations  thousands of telephones that sign in at once, as ours do and all
            at the same instant: set-up of calls before and meanwhile,
            registrations a second, until all are back and can be rung.
    relay   Kamailio with our KEMI route against the same checks in native
            configuration, and native against native: CPU a call, highest clean
            rate; then the same where each lets rtpengine anchor the call.
    routing who gets which call: time from an event to the next offers, by
            number of agents; matches and releases a second, each event alone
            (`steady_matches_per_s`) and 10 and 100 in one turn of the mirror;
            what one takes before the index, from bytes to the snapshot;
            reservations a second through three etcd members, with one, two
            and three sites that compete.
    scale   measures nothing: what cells carry, and how many a million agents
            need, by the arithmetic of docs/scale.md (a second).
    site    Kamailio, an edge, rtpengine and etcd together: highest clean rate of
            answered calls; what is served at five times that, how long SIPp
            waits for the last answers then, and how soon it is clean again.
    sites   CPU a call as the center has one to nine sites, with lines of 20 and
            200 ms between them: of the edge that has the call, and of those
            that look on.

    Medians over slices, with their spread; the machine and the versions.
    A few minutes each. Run it on a quiet machine. Leaves nothing running.

    For example:
      ./everline bench edge
      ./everline bench relay --json figures.json
      ./everline bench edge --flame edge.svg
      ./everline bench all --json figures.json --minutes 4
      ./everline bench all --json figures.json --resume
      ./everline bench all --json figures.json --pieces queue,growth-100
      ./everline bench api --json figures.json
      ./everline bench api --part load
      ./everline bench routing --part index --json figures.json
      ./everline bench scale
      ./everline bench scale --from figures.json --from routing.json
    """
    asked: dict[str, str | bool] = {
        "--json": reachable(json),
        "--flame": reachable(flame),
        "--agents": str(agents or ""),
        "--part": part or "",
        "--pieces": pieces,
        "--resume": resume,
        "--minutes": f"{minutes:g}" if minutes else "",
        "--from": bool(from_),
        "--quick": quick,
        "--profile": profile or flame is not None,
    }
    if (profile or flame is not None) and name != "edge":
        raise CommandError("only `bench edge` has a profile", Exit.USAGE)
    if part is not None and part not in _PARTS.get(name, ()):
        raise CommandError(f"`bench {name}` has no part {part!r}", Exit.USAGE)
    for option, names in _ONLY_OF.items():
        if asked[option] and name not in names:
            theirs = " and ".join(f"`bench {each}`" for each in names)
            raise CommandError(f"{option} is for {theirs} alone", Exit.USAGE)
    if name == "scale":
        return _scale(from_ or [], json, quick=quick)
    return run_inside("loadtests.bench", [name, *_words(asked)])


def _scale(files: Sequence[Path], json: Path | None, *, quick: bool) -> int:
    from loadtests.bench.errors import BenchError  # noqa: PLC0415 - only now is it needed
    from loadtests.bench.scale_table import show  # noqa: PLC0415 - as above

    if quick:
        raise CommandError("--quick is for what is measured; `bench scale` reckons", Exit.USAGE)
    try:
        figures = show(files)
    except BenchError as error:
        raise CommandError(str(error)) from error
    if json is not None:
        try:
            write_figures(json, figures)
        except OSError as error:
            raise CommandError(f"{json} cannot be written: {error.strerror}") from error
    return Exit.OK


def _words(asked: Mapping[str, str | bool]) -> Iterator[str]:
    """Yield the options that were given, as the benchmark takes them."""
    for option, value in asked.items():
        if value:
            yield option
            if value is not True:
                yield str(value)
