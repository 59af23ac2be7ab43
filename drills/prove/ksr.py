"""A Kamailio as far as the gate's own script needs one: htables, one message at hand, and a door.

The script in `edge/kemi` runs in here unchanged; what it says goes to `Outside`.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

KEMI = Path(__file__).resolve().parents[2] / "edge" / "kemi"
EXPIRES_S = {"listen": 5.0, "down": 3.0, "silent": 40.0}
"""As in kamailio.cfg; other tables keep for ever."""
_REGISTRATIONS = 1000
"""As there; nobody signs in here."""


class Outside(Protocol):
    """What a Kamailio's script sets in motion."""

    def tell(self, edge: str, text: str) -> None:
        """Send a line to an edge that listens."""

    def cancel(self, sip_call_id: str) -> None:
        """Cancel an INVITE to a telephone."""


@dataclass(slots=True)
class Message:
    """The request at hand, and what the script has done with it."""

    user: str = ""
    offer: str = ""
    call_id: str = ""
    source: str = "127.0.0.1:5081"
    """`host:port` of the edge that sent it."""
    cseq: str = "1"
    status: int = 0
    is_registered: bool = True
    avps: dict[str, str] = field(default_factory=dict)
    reply: tuple[int, str] | None = None
    is_relayed: bool = False


class Tables:
    """The htables."""

    def __init__(self) -> None:
        self._cells: defaultdict[str, dict[str, tuple[str, float]]] = defaultdict(dict)

    def get(self, table: str, key: str) -> str | None:
        """Return a value that has not expired."""
        cell = self._cells[table].get(key)
        if cell is None or cell[1] < time.monotonic():
            return None
        return cell[0]

    def put(self, table: str, key: str, value: str) -> int:
        """Set a value."""
        ends_s = time.monotonic() + EXPIRES_S.get(table, float("inf"))
        self._cells[table][key] = (value, ends_s)
        return 1

    def put_for(self, table: str, key: str, value: int, seconds: int) -> int:
        """Set a number for so long."""
        self._cells[table][key] = (str(value), time.monotonic() + seconds)
        return 1

    def drop(self, table: str, key: str) -> int:
        """Remove a value."""
        return 1 if self._cells[table].pop(key, None) else -1

    def items(self, table: str) -> dict[str, str]:
        """Return what stands in a table."""
        return {key: value for key in self._cells[table] if (value := self.get(table, key))}


class Kamailio:
    """One life of a site's Kamailio: its tables, and the script over them."""

    def __init__(self, site: str, run_dir: Path, outside: Outside) -> None:
        self.tables = Tables()
        self.message = Message()
        self._outside = outside
        modules = _script(self._ksr())
        self.gate: Any = modules["gate"]
        self.routes: Any = modules["edge_routes"]
        self.door: Any = modules["door"]
        self.calls: Any = modules["calls"]
        arrivals = self.routes.rush.Rush(_REGISTRATIONS)
        self.serves: Any = self.routes.Routes(run_dir, site, arrivals)

    def _ksr(self) -> ModuleType:
        ksr = ModuleType("KSR")
        for name, verb in self._verbs().items():
            space, _, word = name.rpartition(".")
            if not space:
                setattr(ksr, word, verb)
                continue
            if not hasattr(ksr, space):
                setattr(ksr, space, ModuleType(space))
            setattr(getattr(ksr, space), word, verb)
        return ksr

    def _verbs(self) -> dict[str, Callable[..., Any]]:
        tables = self.tables
        return {
            "htable.sht_get": tables.get,
            "htable.sht_gete": lambda table, key: tables.get(table, key) or "",
            "htable.sht_sets": tables.put,
            "htable.sht_setxi": tables.put_for,
            "htable.sht_rm": tables.drop,
            "htable.sht_lock": lambda _table, _key: 1,
            "htable.sht_unlock": lambda _table, _key: 1,
            "evapi.relay_multicast": lambda text, name: self._outside.tell(name, text),
            "evapi.set_tag": lambda _name: 1,
            "kx.gete_ruser": lambda: self.message.user,
            "kx.get_srcip": lambda: self.message.source.rpartition(":")[0],
            "kx.get_srcport": lambda: int(self.message.source.rpartition(":")[2]),
            "kx.get_proto": lambda: "udp",
            "kx.get_rcvip": lambda: "127.0.0.1",
            "kx.get_callid": lambda: self.message.call_id,
            "kx.get_status": lambda: self.message.status,
            "pv.gete": lambda _name: self.message.cseq,
            "hdr.gete": lambda _name: self.message.offer,
            "hdr.append": lambda _text: 1,
            "hdr.append_to_reply": lambda _text: 1,
            "registrar.lookup": lambda _table: 1 if self.message.is_registered else -1,
            "pvx.avp_sets": self._set_avp,
            "pvx.avp_gete": lambda name: self.message.avps.get(name, ""),
            "tm.t_newtran": lambda: 1,
            "tm.t_relay": self._relay,
            "tm.t_set_fr": lambda _invite, _fr: 1,
            "tm.t_on_reply": lambda _name: 1,
            "tm.t_on_failure": lambda _name: 1,
            "tmx.t_cancel_callid": lambda call_id, _cseq, _flag: self._outside.cancel(call_id),
            "sl.send_reply": self._reply,
            "textops.remove_hf": lambda _name: 1,
            "rr.add_rr_param": lambda _text: 1,
            "rr.record_route": lambda: 1,
            "nathelper.add_contact_alias": lambda: 1,
            "nathelper.add_contact_alias_addr": lambda _ip, _port, _transport: 1,
            "err": lambda _text: 1,
        }

    def _set_avp(self, name: str, value: str) -> int:
        self.message.avps[name] = value
        return 1

    def _relay(self) -> int:
        self.message.is_relayed = True
        return 1

    def _reply(self, status: int, reason: str) -> int:
        self.message.reply = (status, reason)
        return 1


def _script(ksr: ModuleType) -> dict[str, ModuleType]:
    """Import the script's modules over `ksr`, and leave no trace in sys.modules."""
    names = [path.stem for path in KEMI.glob("*.py")]
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(KEMI))
    sys.modules["KSR"] = ksr
    try:
        return {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(KEMI))
        for name in [*names, "KSR"]:
            sys.modules.pop(name, None)
        sys.modules.update(kept)
