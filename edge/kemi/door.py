"""The edges' door (evapi): JSON objects in netstrings, both ways."""

import json

import KSR


def tell(**event):
    """Tell every edge that has been listening within the last seconds.

    Not simply all: evapi writes to its clients with blocking sockets, and one that is frozen
    would, once its buffers are full, stop every SIP worker.
    """
    text = json.dumps(event)
    for name in listeners():
        KSR.evapi.relay_multicast(text, name)


def listeners():
    """Return the edges that have been listening within the last seconds."""
    names = (KSR.htable.sht_get("meta", "listeners") or "").split()
    return [name for name in names if KSR.htable.sht_get("listen", name)]


def is_deserted():
    """Tell whether edges did listen here and none does, or none did a moment ago.

    This proxy stood still, or so did they. What it reads first then was sent long ago, and its
    agents' telephones may have gone to another site meanwhile.
    """
    were_there = bool(KSR.htable.sht_get("meta", "listeners"))
    return were_there and (not listeners() or bool(KSR.htable.sht_get("woke", "up")))


def listen(name):
    """Note that an edge listens, and tell it so. It says so every second."""
    KSR.evapi.set_tag(name)
    if is_deserted() and not listeners():
        KSR.htable.sht_sets("woke", "up", "1")
    KSR.htable.sht_sets("listen", name, "1")
    names = {name, *(KSR.htable.sht_get("meta", "listeners") or "").split()}
    alive = sorted(each for each in names if KSR.htable.sht_get("listen", each))
    KSR.htable.sht_sets("meta", "listeners", " ".join(alive))
    KSR.evapi.relay_multicast(json.dumps({"event": "listening"}), name)
