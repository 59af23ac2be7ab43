"""How far the rotation of a site's key provider has come, as its folder of keys shows.

Beginning one makes the next secret, and nothing else: the site's control plane sees it, rewraps
every key, and lets go of the older secret when none needs it any more.
"""

from __future__ import annotations

from custody.errors import CustodyError
from custody.findings import Rotation
from custody.keyring import Keyring
from custody.providers import WrappingProvider
from custody.wrapping import id_of


def look(name: str, provider: WrappingProvider, ring: Keyring) -> Rotation:
    """Return how it stands with the keys that `name` has wrapped."""
    newest = id_of(provider.recipient().text)
    count = done = 0
    for tenant, key_id in ring.names():
        try:
            wrapped = ring.get(tenant, key_id).wrapped.get(name)
        except CustodyError:
            continue  # destroyed at this moment
        if wrapped is not None:
            count += 1
            done += wrapped.under == newest
    return Rotation(provider=name, keys=count, rewrapped=done, is_over=not provider.is_rotating)
