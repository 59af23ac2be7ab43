"""Very many phones that sign in at once: how many are let in, and when the others come back.

A registration costs the edges, who write that the agent is there, more than this proxy, and they
are the ones who answer calls: so it is calls that wait when a site's agents all come at once.
What is rationed is the first step, a REGISTER that would be challenged. Who has been challenged
may finish.
"""

import time

import agents
import KSR
import wire

WINDOWS_PER_S = 10
"""Counted in tenths of a second: a second's worth in its first moment would be no pace."""
LONGEST_S = 8
"""Nobody is told to wait longer: a phone that is away for so long is missed."""


class Rush:
    """So many phones a second may begin to sign in here."""

    def __init__(self, per_s):
        self.per_s = max(WINDOWS_PER_S, per_s)

    def lets_in(self):
        """Tell whether one more phone may begin now; if not, it was told when to come back.

        Addresses from which somebody signed in lately are counted by themselves: strangers without
        a password, however many, keep no agent out who was here before.
        """
        who = "known" if agents.is_known(KSR.kx.get_srcip()) else "new"
        now = time.monotonic()
        window = f"{who} {int(now * WINDOWS_PER_S)}"
        if KSR.htable.sht_inc("rush", window) <= self.per_s // WINDOWS_PER_S:
            return True
        away = KSR.htable.sht_inc("rush", f"{who} away {int(now)}")
        wire.answer(wire.UNAVAILABLE, "Too Many At Once", self.back_in_s(away))
        return False

    def back_in_s(self, away):
        """Return in how many seconds to come back, by how many this second has sent away.

        In turn, as many a second as are let in. The phones draw it out, each by its own dice.
        """
        return min(LONGEST_S, 1 + away // self.per_s)
