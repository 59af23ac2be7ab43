"""Where a phone is reached inside its dialogs: where it speaks from, whatever it writes.

What edges say in a dialog goes where Contact and Record-Route of the phone's own messages lead. Who
writes these as they like would have us, and the edges, send to any address behind our walls.
"""

import re

import agents
import KSR

OURS = re.compile(
    r"<sip:([0-9a-fA-F.:\[\]]+?)(?::5060)?(?:;transport=(?:udp|tcp))?(?:;r2=on)?;lr=on"
    r"(;leg=[^<>;,\"\s]+)>\s*"
)
OTHERS = re.compile(r'(?:<[^<>",]*>[^<>",]*,\s*)*')


def note_source():
    """Note in Contact where the phone's message at hand has come from, before anything like it.

    Always: one whose Contact is where it speaks from may have an `alias` of its own behind it.
    """
    ip = KSR.kx.get_srcip()
    host = f"[{ip}]" if ":" in ip else ip
    port, transport = str(KSR.kx.get_srcport()), KSR.kx.get_proto()
    if KSR.nathelper.add_contact_alias_addr(host, port, transport) < 0:
        for name in ("Contact", "m"):
            KSR.textops.remove_hf(name)


def keep_route(param):
    """See to it that the edge's side of the route of a phone's reply is ours. `param`: its seal.

    Hops between us and the phone may stand before it: they are beyond where the phone speaks from.
    """
    try:
        others, _, last = KSR.pv.gete("$(hdr(Record-Route)[-1])").rpartition("<")
    except UnicodeDecodeError:
        others, last = "", ""
    found = OURS.fullmatch(f"<{last}")
    ours = KSR.kx.get_rcvip()
    if found and found.groups() == (ours, param) and OTHERS.fullmatch(others):
        return
    KSR.textops.remove_hf("Record-Route")
    KSR.hdr.append(f"Record-Route: <sip:{ours};lr=on{param}>\r\n")


def aim(agent):
    """Send the edge's request at hand where the agent's phone spoke from; False: nobody knows.

    In dialogs that began before we noted that: to where it is registered.
    """
    KSR.resetdsturi()
    if KSR.nathelper.handle_ruri_alias() == 1:
        return True
    where = agents.registered_at(agent)
    if where:
        KSR.setdsturi(where)
    return bool(where)
