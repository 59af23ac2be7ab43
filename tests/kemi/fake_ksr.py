"""A KSR for tests without Kamailio. It knows only names that the installed Kamailio exports.

`ksr_api.txt` lists them, made from the real one (test_api_parts.py compares). A name that is not
there is an AttributeError, as in Kamailio; wrong numbers or types of arguments are a TypeError. A
name that is there but that this fake was not taught is a NotImplementedError.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

API = Path(__file__).parent / "ksr_api.txt"
KEMI = Path(__file__).parent.parent.parent / "edge" / "kemi"
INITIAL_ZERO = frozenset({"strike", "unanswered", "tally"})
"""Tables in which a key that is not there counts as 0 (`initval` in kamailio.cfg)."""
TYPES = {"str": str, "int": int}
NOTHING: Mapping[str, tuple[type, ...]] = MappingProxyType({})

Verb = Callable[..., Any]


def api() -> dict[str, tuple[type, ...]]:
    """Return each exported name with the types of its arguments."""
    lines = [line for line in API.read_text().splitlines() if not line.startswith("#")]
    known = {}
    for line in lines:
        name, arguments = re.fullmatch(r"(\S+)\((.*)\)", line).groups()  # type: ignore[union-attr]
        known[name] = tuple(TYPES[word] for word in arguments.split(", ") if word)
    return known


@dataclass(slots=True, kw_only=True)
class World:
    """One Kamailio and the message at hand."""

    method: str = "INVITE"
    ruri: str = "sip:4930111@198.18.1.10"
    source: tuple[str, int] = ("198.18.10.10", 5060)
    headers: dict[str, str] = field(default_factory=dict)
    to_tag: str = ""
    status: int = 0
    call_id: str = "call-id"
    route_uri: str = ""
    next_hop: tuple[str, str] = ("", "")
    contact_host: str = "198.18.10.10"
    registered: str = "sip:203.0.113.9:40000"
    """Where the agent's phone has signed in from."""
    auth_user: str = ""
    from_user: str = ""
    to_user: str = ""

    tables: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    avps: dict[str, str] = field(default_factory=dict)
    locked: list[tuple[str, str]] = field(default_factory=list)
    done: list[tuple[Any, ...]] = field(default_factory=list)
    """What was done to the world, in order: ("reply", 404, "Not Found"), ("relay", "sip:...")."""
    results: dict[str, Any] = field(default_factory=dict)
    """What a name returns when it is not 1."""
    dst: str = ""
    reply_headers: list[str] = field(default_factory=list)
    evapi_message: str = ""
    fr: tuple[int, int] = (0, 0)
    auto_100: bool = True
    """Whether tm says 100 to an INVITE as it relays it."""

    def was_done(self, verb: str) -> list[tuple[Any, ...]]:
        """Return what was done of one kind."""
        return [each[1:] for each in self.done if each[0] == verb]


class FakeKsr(ModuleType):
    """The module KSR."""

    def __init__(self, more: Mapping[str, tuple[type, ...]] = NOTHING) -> None:
        """`more`: names of a module that the shipped configuration does not load."""
        super().__init__("KSR")
        self.world = World()
        self._api = api() | dict(more)
        self._verbs = self._teach()
        for module in {name.partition(".")[0] for name in self._api if "." in name}:
            setattr(self, module, _Namespace(self, module))

    def __getattr__(self, name: str) -> Verb:
        return self.verb(name)

    def verb(self, name: str) -> Verb:
        """Return what checks its arguments as Kamailio does, and then does `name`."""
        if name not in self._api:
            raise AttributeError(f"this Kamailio has no KSR.{name}")
        wanted = self._api[name]

        def call(*arguments: Any) -> Any:  # noqa: ANN401 - as KSR: str, int, bool or None
            if len(arguments) != len(wanted) or not all(map(isinstance, arguments, wanted)):
                raise TypeError(f"KSR.{name}{arguments!r} takes {wanted}")
            if name in self.world.results:
                result = self.world.results[name]
                return result.pop(0) if isinstance(result, list) else result
            if name not in self._verbs:
                raise NotImplementedError(f"the fake was not taught KSR.{name}")
            return self._verbs[name](*arguments)

        return call

    def _note(self, *what: Any) -> int:  # noqa: ANN401 - whatever was done
        self.world.done.append(what)
        return 1

    def _teach(self) -> dict[str, Verb]:
        return {
            **self._message_verbs(),
            **self._table_verbs(),
            **self._transaction_verbs(),
            **self._agent_verbs(),
        }

    def _message_verbs(self) -> dict[str, Verb]:
        fields: dict[str, Callable[[], Any]] = {
            "$route_uri": lambda: self.world.route_uri,
            "$nh(d)": lambda: self.world.next_hop[0],
            "$nh(p)": lambda: self.world.next_hop[1],
            "$rm": lambda: self.world.method,
            "$aU": lambda: self.world.auth_user,
            "$cs": lambda: "1",
            "$(hdr(Diversion)[*])": lambda: _decoded(self.world.headers.get("Diversion", "")),
            **{f"$(hdr(Diversion)[{at}])": partial(self._diversion, at) for at in range(10)},
            "$(ct{nameaddr.uri}{uri.host})": lambda: self.world.contact_host,
            "$evapi(msg)": lambda: self.world.evapi_message,
            "$ulc(exp=>aor)": lambda: self.world.to_user,
            "$ulc(now=>expires)": lambda: 1060,
            "$ulc(now=>received)": lambda: self.world.registered,
            "$(hdr(Contact)[*])": lambda: _decoded(self.world.headers.get("Contact", "")),
            "$(hdr(Record-Route)[-1])": self._last_route,
            "$Ts": lambda: 1000,
        }
        return {
            "kx.get_method": lambda: self.world.method,
            "kx.get_msgbuf": self._text,
            "kx.get_srcip": lambda: self.world.source[0],
            "kx.get_srcport": lambda: str(self.world.source[1]),
            "kx.get_proto": lambda: "udp",
            "kx.get_rcvip": lambda: "198.18.1.10",
            "kx.get_ruri": lambda: self.world.ruri,
            "kx.gete_ruser": lambda: self.world.ruri.partition(":")[2].partition("@")[0],
            "kx.gete_fuser": lambda: self.world.from_user,
            "kx.gete_tuser": lambda: self.world.to_user,
            "kx.get_callid": self._call_id,
            "kx.get_status": lambda: self.world.status,
            "pv.get": lambda name: fields[name](),
            "pv.gete": lambda name: fields[name](),
            "pv.geti": lambda name: fields[name](),
            "hdr.gete": lambda name: self.world.headers.get(name, ""),
            "hdr.remove": lambda name: self._note("remove", name),
            "hdr.append": lambda text: self._note("header", text.strip()),
            "hdr.insert": lambda text: self._note("insert", text.strip()),
            "hdr.append_to_reply": self._append_to_reply,
            "textops.remove_hf": lambda name: self._note("remove", name),
            "textops.remove_hf_re": lambda name: self._note("remove", name),
            "siputils.has_totag": lambda: 1 if self.world.to_tag else -1,
            "sanity.sanity_check": lambda *_: 1,
            "maxfwd.process_maxfwd": lambda _: 1,
            "force_rport": lambda: True,
            "sl.send_reply": lambda status, reason: self._note("reply", status, reason),
            "set_drop": lambda: self._note("drop"),
            "seturi": lambda uri: self._note("uri", uri) == 1,
            "setdsturi": self._set_dst,
            "isdsturiset": lambda: bool(self.world.dst),
            "resetdsturi": lambda: self._set_dst(""),
            "rr.record_route": lambda: self._note("record_route"),
            "rr.add_rr_param": lambda text: self._note("rr_param", text),
            "rr.loose_route": lambda: 1,
            "nathelper.add_contact_alias": lambda: self._note("alias"),
            "nathelper.add_contact_alias_addr": lambda *where: self._note("alias", *where),
            "nathelper.handle_ruri_alias": self._unalias,
            "nathelper.fix_nated_register": lambda: 1,
            "err": lambda text: self._note("log", text),
            "warn": lambda text: self._note("log", text),
        }

    def _table_verbs(self) -> dict[str, Verb]:
        return {
            "htable.sht_get": lambda table, key: self.world.tables[table].get(
                key, 0 if table in INITIAL_ZERO else None
            ),
            "htable.sht_gete": lambda table, key: self.world.tables[table].get(key, ""),
            "htable.sht_sets": self._put,
            "htable.sht_rm": lambda table, key: self.world.tables[table].pop(key, None) and 1,
            "htable.sht_inc": self._inc,
            "htable.sht_dec": self._dec,
            "htable.sht_setxi": self._put_number,
            "htable.sht_lock": self._lock,
            "htable.sht_unlock": self._unlock,
            "pvx.avp_sets": self._set_avp,
            "pvx.avp_gete": lambda name: self.world.avps.get(name, ""),
            "evapi.relay_multicast": lambda text, name: self._note("tell", name, text),
            "evapi.set_tag": lambda name: self._note("tag", name),
        }

    def _transaction_verbs(self) -> dict[str, Verb]:
        return {
            "tm.t_relay": lambda: self._note("relay", self.world.dst),
            "tm.t_newtran": lambda: 1,
            "tm.t_check_trans": lambda: 1,
            "tmx.t_precheck_trans": lambda: -1,
            "tm.t_set_fr": self._set_fr,
            "tm.t_set_auto_inv_100": self._set_auto_100,
            "tm.t_reply": lambda status, reason: self._note("reply", status, reason),
            "tm.t_set_retr": lambda *_: 1,
            "tm.t_on_reply": lambda name: self._note("on_reply", name),
            "tm.t_on_failure": lambda name: self._note("on_failure", name),
            "tm.t_is_canceled": lambda: -1,
            "tm.t_branch_timeout": lambda: -1,
            "tm.t_branch_replied": lambda: -1,
            "tm.t_check_status": self._check_status,
            "tmx.t_cancel_callid": lambda call_id, cseq, _: self._note("cancel", call_id, cseq),
        }

    def _agent_verbs(self) -> dict[str, Verb]:
        return {
            "auth.has_credentials": lambda _: 1 if self.world.auth_user else -1,
            "auth.auth_challenge": lambda _, flags: self._note("challenge", flags),
            "auth.pv_auth_check": lambda *a: self._note("check", a[1]),
            "auth.consume_credentials": lambda: 1,
            "registrar.save": lambda table, flags: self._note("save", table, flags),
            "registrar.lookup": lambda _: 1,
            "registrar.reg_fetch_contacts": lambda *_: 1 if self.world.registered else -1,
            "registrar.reg_free_contacts": lambda _: 1,
            "pike.pike_check_req": lambda: 1,
        }

    def _unalias(self) -> int:
        """Go by the first alias in the Request-URI, and take it out: 2 is that there is none."""
        before, mark, rest = self.world.ruri.partition(";alias=")
        if not mark:
            return 2
        alias, semicolon, after = rest.partition(";")
        ip, port, _ = alias.split("~")
        self.world.ruri, self.world.dst = before + semicolon + after, f"sip:{ip}:{port}"
        return 1

    def _last_route(self) -> str:
        return _decoded(self.world.headers.get("Record-Route", "").rpartition("\n")[2])

    def _call_id(self) -> str:
        return _decoded(self.world.call_id)

    def _diversion(self, at: int) -> str:
        """Return one of several headers, which stand one a line."""
        return _decoded("".join(self.world.headers.get("Diversion", "").split("\n")[at : at + 1]))

    def _text(self) -> str:
        world = self.world
        lines = [f"{world.method} {world.ruri} SIP/2.0", f"Call-ID: {world.call_id}"]
        lines += [f"{name}: {value}" for name, value in world.headers.items()]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1").decode()

    def _put(self, table: str, key: str, value: str) -> int:
        self.world.tables[table][key] = value
        return 1

    def _set_avp(self, name: str, value: str) -> int:
        self.world.avps[name] = value
        return 1

    def _append_to_reply(self, text: str) -> int:
        self.world.reply_headers.append(text)
        return 1

    def _inc(self, table: str, key: str) -> int:
        count = int(self.world.tables[table].get(key, 0)) + 1
        self.world.tables[table][key] = count
        return count

    def _dec(self, table: str, key: str) -> int:
        count = int(self.world.tables[table].get(key, 0)) - 1
        self.world.tables[table][key] = count
        return count

    def _put_number(self, table: str, key: str, value: int, _expires_s: int) -> int:
        self.world.tables[table][key] = value
        return 1

    def _lock(self, table: str, key: str) -> int:
        assert not self.world.locked, "a second lock, while one is held, may deadlock"
        self.world.locked.append((table, key))
        return 1

    def _unlock(self, table: str, key: str) -> int:
        self.world.locked.remove((table, key))
        return 1

    def _set_dst(self, uri: str) -> bool:
        self.world.dst = uri
        return True

    def _set_fr(self, inv: int, fr: int) -> int:
        self.world.fr = (inv, fr)
        return 1

    def _set_auto_100(self, state: int) -> int:
        self.world.auto_100 = bool(state)
        return 1

    def _check_status(self, pattern: str) -> int:
        return 1 if re.fullmatch(pattern, str(self.world.status)) else -1


def _decoded(text: str) -> str:
    """Return what Python gets of bytes that stand here as characters: or UnicodeDecodeError."""
    return text.encode("latin-1").decode()


class _Namespace:
    """`KSR.htable` and its like."""

    def __init__(self, ksr: FakeKsr, name: str) -> None:
        self._ksr = ksr
        self._name = name

    def __getattr__(self, name: str) -> Verb:
        return self._ksr.verb(f"{self._name}.{name}")


def load() -> tuple[FakeKsr, dict[str, Any]]:
    """Import the script's modules over a fake, and leave no trace in sys.modules."""
    ksr = FakeKsr()
    names = [path.stem for path in KEMI.glob("*.py")]
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(KEMI))
    sys.modules["KSR"] = ksr
    try:
        return ksr, {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(KEMI))
        for name in [*names, "KSR"]:
            sys.modules.pop(name, None)
        sys.modules.update(kept)
