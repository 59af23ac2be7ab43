"""Which transaction rings an agent's phone, and whose gate a transaction is about.

The former is in the htable `leg`, so that a phone can be stopped whose edge has died; the latter in
an $avp of the transaction, for what runs when it is answered or fails.
"""

import KSR


def remember_gate(agent, token):
    """Note whose gate, and under which token, the transaction at hand is about."""
    KSR.pvx.avp_sets("gate", f"{agent} {token[0]} {token[1]}")


def gate_at_hand():
    """Return (agent, token), as noted."""
    agent, epoch, revision = KSR.pvx.avp_gete("gate").split()
    return agent, (int(epoch), int(revision))


def this_leg():
    """Return what names the transaction at hand."""
    return f"{KSR.kx.get_callid()} {KSR.pv.gete('$cs')}"


def forget_leg(agent):
    """Note that the transaction at hand no longer rings the agent."""
    if KSR.htable.sht_get("leg", agent) == this_leg():
        KSR.htable.sht_rm("leg", agent)


def end_forgotten_leg(agent):
    """Stop ringing for an offer whose edge died in mid-ring: its gate is free, its phone rings."""
    old = KSR.htable.sht_get("leg", agent)
    if old:
        KSR.htable.sht_rm("leg", agent)
        callid, cseq = old.rsplit(" ", 1)
        KSR.tmx.t_cancel_callid(callid, cseq, 0)
