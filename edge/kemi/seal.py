"""The seal in the Record-Route of an agent's dialog: whose it is, and that we let it through.

With it an agent's phone, a stranger by its address, may speak inside its dialogs, also after a
restart of Kamailio; and the end of a call frees the gate of the right agent. Another seal is in
that of a call which was handed on from one trunk to another: these may speak to each other in it.
"""

import hashlib
import hmac
import os
import re
import secrets

import KSR

LEG = re.compile(r";leg=([A-Za-z0-9_.+\-]{1,64})~(\d{1,18})~(\d{1,18})~([0-9a-f]{20})(?![0-9a-f])")
HANDED_ON = re.compile(r";on=([0-9a-f]{20})(?![0-9a-f])")

BETWEEN_TRUNKS = "handed on"
"""No agent's words: after their id stands a number."""


KEY_BYTES = 32


def kept_key(path):
    """Return the key of an earlier life; None: there is none, or not the whole of it."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None


def new_key(path):
    """Return a new key, which stands there wholly or not at all: anybody can seal with half of one.

    OSError: it cannot be kept.
    """
    key, part = secrets.token_bytes(KEY_BYTES), path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
    return key


class Sealer:
    """Seals and reads with a key that outlives restarts."""

    def __init__(self, path):
        self.key = kept_key(path) or new_key(path)

    def param(self, agent, token):
        """Return the parameter for Record-Route."""
        return f";leg={agent}~{token[0]}~{token[1]}~{self.seal(agent, token)}"

    def read(self, route_uri):
        """Return (agent, token) of the dialog of the message at hand, None if it is not ours."""
        found = LEG.search(route_uri)
        if not found:
            return None
        agent, token = found[1], (int(found[2]), int(found[3]))
        if not hmac.compare_digest(found[4], self.seal(agent, token)):
            return None
        return agent, token

    def param_handed_on(self):
        """Return the parameter for the Record-Route of a call that goes from trunk to trunk."""
        return f";on={self.mac(BETWEEN_TRUNKS)}"

    def is_handed_on(self, route_uri):
        """Tell whether the message at hand is of a dialog from trunk to trunk that we let be."""
        found = HANDED_ON.search(route_uri)
        return bool(found) and hmac.compare_digest(found[1], self.mac(BETWEEN_TRUNKS))

    def seal(self, agent, token):
        """Return what only we can write of an agent's dialog."""
        return self.mac(f"{agent} {token[0]} {token[1]}")

    def mac(self, words):
        """Return what only we can write, and only for this Call-ID."""
        text = f"{words} {KSR.kx.get_callid()}"
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()[:20]
