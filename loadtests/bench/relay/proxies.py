"""The proxies that are compared, and what they are told. All are alive; one works at a time.

Both configurations have the same modules, parameters and sockets: the native one is
`edge/kemi/kamailio.cfg` without its Python engine, and with `native.cfg` after it.

With media both have Kamailio's module `rtpengine` besides and let it anchor each call, at the same
places of their routes: `managed.py` is our KEMI route with that, and `native.cfg` has it where
`MANAGED` is defined.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from drills.lab.process import DatagramProbe, ProcessSpec, RestartPolicy
from loadtests.bench.errors import BenchError
from loadtests.bench.servers import NG, PROJECT

KEMI_DIR: Final = PROJECT / "edge" / "kemi"
NATIVE: Final = Path(__file__).with_name("native.cfg")
MANAGED: Final = Path(__file__).with_name("managed.py")
"""Our KEMI route with media; loaded by Kamailio alone."""
TRUNK: Final = "127.0.0.10"
EDGES: Final = ("127.0.0.20:5081", "127.0.0.20:5082")
STEER: Final = "|".join(
    (",".join(EDGES), "127.0.0.21:5081,127.0.0.21:5082", "127.0.0.22:5081,127.0.0.22:5082")
)
EVENTS_PORT: Final = 8448
SHARED_MB: Final = 1024
"""tm keeps 32 KB a call for 5 s: at thousands of calls a second the shipped 256 would run out."""
ROOM: Final = 100_000
"""Calls that an edge may have unanswered at once: the proxies count them, and refuse none."""
ROOM_S: Final = 2
"""For how long that holds."""
_PYTHON_ONLY: Final = re.compile(
    r'^(cfgengine .*|loadmodule "app_python3\.so"|modparam\("app_python3".*|'
    r'modparam\(.*"event_callback".*)$',
    re.MULTILINE,
)
_LAST_MODULE: Final = 'loadmodule "rtimer.so"\n'
_RTPENGINE: Final = f"""\
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:{NG}")
"""


class Proxy(Struct, frozen=True, kw_only=True):
    """One Kamailio of the comparison."""

    name: str
    address: str
    is_native: bool

    def run(self, root: Path) -> Path:
        """Return its run directory."""
        return root / self.name


KEMI: Final = Proxy(name="kemi", address="127.0.0.11", is_native=False)
PLAIN: Final = Proxy(name="native", address="127.0.0.12", is_native=True)
CONTROL: Final = Proxy(name="control", address="127.0.0.13", is_native=True)
ALL: Final = (KEMI, PLAIN, CONTROL)


def native_configuration(shipped: str, routes: str) -> str:
    """Return the shipped configuration with native routes in place of the Python engine."""
    kept, count = _PYTHON_ONLY.subn("", shipped)
    if count < 3 or "python" in kept.split("loadmodule", 1)[1]:  # noqa: PLR2004 - load, its parameter, engine
        raise BenchError("edge/kemi/kamailio.cfg is no longer what native.cfg was written for")
    return f"{kept}\n{routes}"


def with_rtpengine(configuration: str) -> str:
    """Return a configuration, ours or the native one, whose Kamailio speaks to rtpengine itself."""
    if configuration.count(_LAST_MODULE) != 1:
        raise BenchError("edge/kemi/kamailio.cfg has no place for one more module")
    return "#!define MANAGED\n" + configuration.replace(_LAST_MODULE, _LAST_MODULE + _RTPENGINE)


def specification(proxy: Proxy, root: Path, *, media: bool = False) -> ProcessSpec:
    """Write the proxy's files and return how it is started: as its configuration file says.

    `media`: it lets rtpengine, which has to be up, anchor each call.
    """
    run = proxy.run(root)
    run.mkdir(mode=0o700)
    cfg, routes = KEMI_DIR / "kamailio.cfg", KEMI_DIR / "edge_routes.py"
    text = shipped = cfg.read_text()
    if proxy.is_native:
        text = native_configuration(text, NATIVE.read_text())
    if media:
        text, routes = with_rtpengine(text), MANAGED
    if text != shipped:
        cfg = run / "kamailio.cfg"
        cfg.write_text(text)
    words = {
        "SITE_ID": "a",
        "SITE_ADDR": proxy.address,
        "RUN_DIR": str(run),
        "ROUTES": str(routes),
    }
    return ProcessSpec(
        name=proxy.name,
        host=None,
        cwd=run,
        restart=RestartPolicy(restarts=False),
        argv=(
            *("kamailio", "-DD", "-E", "-f", str(cfg), "-x", "fm", "-X", "fm"),
            *("-m", str(SHARED_MB), "-M", "16", "-Y", str(run)),
            *("-A", f'EVENTS_ADDRESS="{proxy.address}:{EVENTS_PORT}"'),
            *(
                word
                for name, value in words.items()
                for word in ("--substdef", f"!{name}!{value}!")
            ),
        ),
        ready=DatagramProbe(
            path=run / "kamailio.rpc",
            ask=b'{"jsonrpc":"2.0","method":"core.uptime","id":1}',
            expect=b'"result"',
        ),
    )


def tell(proxy: Proxy, root: Path) -> None:
    """Write the tables that an edge would: who the trunk and the edges are, and where calls go."""
    rows: Mapping[tuple[str, str], str] = {
        ("peers", TRUNK): "trunk:bench",
        **{("peers", edge): "edge" for edge in EDGES},
        ("steer", "15550100"): STEER,
        ("meta", "tables"): "1",
    }
    for (table, key), value in rows.items():
        answer = ask(proxy, root, "htable.sets", table, key, value)
        if "error" in answer:
            raise BenchError(f"{proxy.name} refused its table {table}: {answer['error']}")


def say_room(proxy: Proxy, root: Path) -> None:
    """Tell it what an edge of a site says four times a second: how many calls it may have."""
    for edge in EDGES:
        answer = ask(proxy, root, "htable.setxi", "room", edge, ROOM, ROOM_S)
        if "error" in answer:
            raise BenchError(f"{proxy.name} does not hear of room: {answer['error']}")


def ask(proxy: Proxy, root: Path, method: str, *params: str | float) -> dict[str, Any]:
    """Return what a proxy answers to a command over its RPC socket: `result`, or `error`."""
    question = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("")
        end.settimeout(2.0)
        end.sendto(json.dumps(question).encode(), str(proxy.run(root) / "kamailio.rpc"))
        answer: dict[str, Any] = json.loads(end.recv(65536))
        return answer
