"""Our KEMI route, and rtpengine anchors each call: what `native.cfg` does where `MANAGED` is set.

Kamailio loads this file in place of edge/kemi/edge_routes.py, for the benchmark alone: at a site
the edges speak to rtpengine, and this proxy never does (docs/decisions/0002-media-flow.md).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "edge" / "kemi"))

import edge_routes
import KSR

FLAGS = "replace-origin replace-session-connection"


def mod_init():
    """Give Kamailio the object whose methods are its callbacks."""
    shipped = edge_routes.mod_init()
    return ManagedRoutes(shipped.tables.parent, shipped.site, shipped.rush)


class ManagedRoutes(edge_routes.Routes):
    """The routes as they are, and one command more at three places."""

    def from_trunk(self, peer):
        """Offer the caller's media to rtpengine before the call goes to an edge."""
        KSR.rtpengine.rtpengine_manage(FLAGS)
        super().from_trunk(peer)

    def ksr_edge_replies(self, msg):
        """Answer it when the edge has answered."""
        super().ksr_edge_replies(msg)
        KSR.rtpengine.rtpengine_manage(FLAGS)
        return 1

    def may_pass(self, peer, leg, is_handed_on):
        """Delete it with a BYE; offer and answer anew within the dialog."""
        passes = super().may_pass(peer, leg, is_handed_on)
        if passes:
            KSR.rtpengine.rtpengine_manage(FLAGS)
        return passes
