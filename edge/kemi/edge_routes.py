"""The proxy's decisions: who may speak, which edge takes a call, and whether an agent may be rung.

Runs inside Kamailio (KEMI), which loads this file; the modules beside it are its parts. They ask
Kamailio's modules and obey the htables that the edges keep: nothing here blocks, starts a thread,
or imports anything but KSR and the standard library.

After a reply, a timeout or a failure the next lines run in another process: whatever must last is
in an $avp of the transaction or in an htable, never in a Python global. The globals are read-only
and made before the fork.
"""

import json
import re
from pathlib import Path

import agents
import beat
import calls
import door
import gate
import KSR
import outward
import reach
import ringing
import rush
import seal
import tables_file
import wire
import within

# Ringing is the edge's business; an agent's phone that does not even say 100 is gone.
RINGING_MS = 120_000
AGENT_SILENCE_MS = 2000
MAKES_DIALOG = range(101, 300)

OFFER = re.compile(r"([A-Za-z0-9_.\-]{1,128}) +(\d{1,18}) +(\d{1,18})")
DIAL = "X-Everline-Dial"
NO_TOKEN = (0, 0)


def mod_init():
    """Give Kamailio the object whose methods are its callbacks."""
    run_dir, site = Path(KSR.kx.get_def("RUN_DIR")), KSR.kx.get_def("SITE_ID")
    return Routes(run_dir, site, rush.Rush(int(KSR.kx.get_def("REGISTRATIONS"))))


class Routes:
    """What Kamailio calls, by the names `ksr_*`. Holds only what was known before the fork."""

    def __init__(self, run_dir, site, arrivals):
        self.site = site
        self.rush = arrivals
        self.tables = run_dir / "tables.json"
        self.sealer = seal.Sealer(run_dir / "kamailio.secret")

    def child_init(self, _rank):
        """Be called in every new process; there is nothing to do."""
        return 0

    # -- requests

    def ksr_request_route(self, _msg):
        """Take one request."""
        try:
            self.request()
        except UnicodeDecodeError:
            # KSR hands out str. What is no UTF-8 in the fields that we need is no call of ours.
            wire.answer(400, "Bad Request")
        except Exception as error:  # noqa: BLE001 - the top: a fault of ours is a 503, not silence
            KSR.err(f"request not served: {wire.fault(error)}\n")
            wire.answer(wire.UNAVAILABLE, "Internal Failure")
        return 1

    def request(self):
        """Turn away what is malformed, and hand the rest to the route of whoever speaks."""
        peer = wire.source()
        if peer == wire.STRANGER and agents.is_cut_off(KSR.kx.get_srcip()):
            return
        if KSR.maxfwd.process_maxfwd(70) < 0:
            wire.answer(483, "Too Many Hops")
            return
        if KSR.sanity.sanity_check(17895, 7) < 0:
            return
        KSR.force_rport()
        method = KSR.kx.get_method()
        if method == "CANCEL":
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
        elif KSR.siputils.has_totag() > 0:
            self.in_dialog(peer, method)
        elif not wire.is_retransmission(method):
            self.out_of_dialog(peer, method)

    def out_of_dialog(self, peer, method):
        """Take a new request: calls from trunks, offers from edges, agents among the strangers."""
        if peer == wire.STRANGER:
            self.from_stranger(method)
        elif method == "OPTIONS":
            self.alive()
        elif method != "INVITE":
            wire.answer(405, "Method Not Allowed")
        elif peer == wire.EDGE and not KSR.hdr.gete(DIAL):
            self.offer()
        elif beat.turns_away():
            return
        elif peer == wire.EDGE:
            self.call_out()
        else:
            self.from_trunk(peer)

    def from_trunk(self, peer):
        """Give a carrier's call to an edge, or hand it on where its number has a backup outside."""
        called = outward.number_called()
        backup = outward.backup_of(called) if called else None
        if backup:
            outward.hand_on(called, backup, self.sealer.param_handed_on())
            return
        said = f"X-Everline-Trunk: {peer.removeprefix(wire.TRUNK)}\r\n"
        calls.call_in(self.site, calls.row_of(KSR.kx.gete_ruser()), said)

    def from_stranger(self, method):
        """Serve agents, who prove it; nobody else gets a reply that tells users apart."""
        if method == "REGISTER":
            agent = agents.authenticated(self.rush.lets_in)
            if agent:
                agents.register(agent)
        elif method == "INVITE" and not beat.turns_away():
            agent = agents.authenticated()
            if agent:
                self.call_from_agent(agent)
        elif method == "OPTIONS" and agents.is_known(KSR.kx.get_srcip()):
            self.is_served()

    def alive(self):
        """Answer a keepalive: a carrier's, or an edge's probe."""
        if KSR.htable.sht_get("meta", "draining"):
            wire.answer(wire.UNAVAILABLE, "Draining")
        else:
            wire.answer(200, "OK")

    def is_served(self):
        """Tell a phone that asks if its agent can be rung here: not without an edge that listens.

        A site that drains still rings its agents.
        """
        if door.listeners():
            wire.answer(200, "OK")
        else:
            wire.answer(wire.UNAVAILABLE, "Service Unavailable")

    def call_from_agent(self, agent):
        """Connect an agent to numbers that we answer; anything else would be toll fraud.

        Or, while they talk with a caller, to a colleague: the edge that holds the caller rings.
        """
        wanted = KSR.kx.gete_ruser()
        row = calls.row_of(wanted, or_any=False)
        if row is None and KSR.htable.sht_get("ha1", wire.plain(wanted)) is not None:
            row = gate.serving(agent)
        if wire.plain(KSR.kx.gete_fuser()) != agent or row is None:
            wire.answer(403, "Forbidden")
            return
        KSR.auth.consume_credentials()
        reach.note_source()
        KSR.rr.add_rr_param(self.sealer.param(agent, NO_TOKEN))
        calls.call_in(self.site, row, f"X-Everline-Agent: {agent}\r\n")

    def ksr_edge_replies(self, _msg):
        """Reply route: the edge has answered, in one way or another."""
        calls.edge_replies()
        return 1

    def ksr_edge_failed(self, _msg):
        """Failure route: the edge was silent, froze, or refused."""
        calls.edge_failed()
        return 1

    # -- a caller is called back

    def call_out(self):
        """Dial a number through a trunk, if the trunk's row lets it: by its prefixes, or not."""
        trunk, number = KSR.hdr.gete(DIAL).strip(), KSR.kx.gete_ruser()
        target = outward.target_of(trunk, number)
        if target is None:
            wire.answer(403, "Forbidden")
        elif not outward.dial(number, target):
            wire.answer(wire.UNAVAILABLE, "Service Unavailable")

    def ksr_handed_on_replies(self, _msg):
        """Reply route: a carrier answers a call that was handed on, or within it."""
        outward.keep_reachable()
        return 1

    def ksr_handed_on_failed(self, _msg):
        """Failure route: the carrier was silent, or refused what was handed on."""
        outward.failed()
        return 1

    # -- an agent is rung

    def offer(self):
        """Ring an agent for an edge, if the gate lets it."""
        agent = KSR.kx.gete_ruser()
        words = OFFER.fullmatch(KSR.hdr.gete("X-Everline-Offer").strip())
        if not words:
            wire.answer(403, "No Offer")
            return
        call, token = words[1], (int(words[2]), int(words[3]))
        if KSR.tm.t_newtran() <= 0:
            return
        try:
            if not agents.AGENT_ID.fullmatch(agent) or KSR.registrar.lookup("location") < 0:
                raise gate.RefusedError(480, "not registered")  # noqa: TRY301 - one way out for all
            gate.take(agent, token, call)
        except gate.RefusedError as no:
            door.tell(event="refused", agent=agent, call=call, why=no.reason)
            wire.answer(no.status, no.reason)
            return
        ringing.end_forgotten_leg(agent)
        KSR.htable.sht_sets("leg", agent, ringing.this_leg())
        KSR.htable.sht_sets("served_by", agent, f"{KSR.kx.get_srcip()}:{KSR.kx.get_srcport()}")
        ringing.remember_gate(agent, token)
        KSR.textops.remove_hf("Route")
        KSR.rr.add_rr_param(self.sealer.param(agent, token))
        KSR.rr.record_route()
        KSR.tm.t_set_fr(RINGING_MS, AGENT_SILENCE_MS)
        KSR.tm.t_on_reply("ksr_agent_replies")
        KSR.tm.t_on_failure("ksr_agent_failed")
        if KSR.tm.t_relay() < 0:
            self.ksr_agent_failed(None)
            wire.answer(480, "not reachable")

    def ksr_agent_replies(self, _msg):
        """Reply route: the phone rings, or the agent has answered."""
        reach.note_source()
        agent, token = ringing.gate_at_hand()
        status = KSR.kx.get_status()
        if status in MAKES_DIALOG:
            reach.keep_route(self.sealer.param(agent, token))
        if status in calls.SUCCESS:
            ringing.forget_leg(agent)
            gate.talk(agent, token)
        return 1

    def ksr_agent_failed(self, _msg):
        """Failure route: refused, silent, or cancelled by the edge."""
        agent, token = ringing.gate_at_hand()
        ringing.forget_leg(agent)
        gate.free(agent, token)
        return 1

    # -- inside a dialog

    def in_dialog(self, peer, method):
        """Relay what belongs to a dialog of ours, and nothing else."""
        # It also makes tm forget the transaction of the message before, to which it would add this
        # one as a branch: what is dropped in a reply route leaves its own behind.
        if KSR.tm.t_check_trans() == 0:
            return  # seen before, or an ACK to a refusal of ours, whose INVITE had a Route
        route = KSR.pv.gete("$route_uri")
        leg, is_handed_on = self.sealer.read(route), self.sealer.is_handed_on(route)
        if peer == wire.STRANGER and not leg:
            return
        if KSR.rr.loose_route() < 0:
            if method != "ACK":
                wire.answer(481, "Call/Transaction Does Not Exist")
            return
        is_goodbye, is_ours = leg and method == "BYE", peer == wire.EDGE
        if is_goodbye and is_ours:
            gate.say_goodbye(*leg)  # wherever the phone may be
        if not self.may_pass(peer, leg, is_handed_on):
            wire.answer(403, "Forbidden")
            return
        if is_goodbye:
            within.goodbye(leg, is_ours=is_ours)
        elif leg:
            KSR.tm.t_on_reply("ksr_in_dialog_replies")
        elif is_handed_on:
            KSR.tm.t_on_reply("ksr_handed_on_replies")
        is_change = method in within.CHANGES and not is_ours and not is_handed_on
        within.wait_for_answer(is_change=is_change)
        KSR.tm.t_relay()

    def may_pass(self, peer, leg, is_handed_on):
        """Whether the next hop is one that `peer` may reach.

        The other end of all is an edge, but for calls between carriers, which were handed on. An
        edge's reaches a phone where that is, and a trunk where its own messages lead.
        """
        if is_handed_on and peer.startswith(wire.TRUNK):
            return outward.may_pass()
        if peer == wire.EDGE:
            return reach.aim(leg[0]) if leg else True
        wire.take_off_our_headers()
        if peer == wire.STRANGER:
            reach.note_source()
        return wire.peer_of(KSR.pv.gete("$nh(d)"), KSR.pv.gete("$nh(p)")) == wire.EDGE

    def ksr_goodbye_replies(self, _msg):
        """Reply route: the edge has taken the phone's BYE, or not."""
        if KSR.kx.get_status() in range(200, 300):
            gate.free(*ringing.gate_at_hand())
        return 1

    def ksr_goodbye_failed(self, _msg):
        """Failure route: the edge has refused the phone's BYE, or was silent.

        The call may be over all the same, and nobody say so any more: the edges compare the gate
        with the offers that stand.
        """
        door.tell(event="goodbye_unheard", agent=ringing.gate_at_hand()[0])
        return 1

    def ksr_in_dialog_replies(self, _msg):
        """Reply route: the phone may answer a re-INVITE from behind its NAT."""
        if wire.source() != wire.EDGE:
            reach.note_source()
        return 1

    def ksr_change_failed(self, _msg):
        """Failure route: of an edge that was silent, the call goes on as it was.

        A 408 would end it (RFC 3261 §12.2.1.2), though its audio goes on and an edge's next life
        may take it up.
        """
        if KSR.tm.t_branch_timeout() > 0:
            within.put_off()
        return 1

    def ksr_farewell_replies(self, _msg):
        """Reply route: the phone has heard the edge's BYE."""
        if KSR.kx.get_status() in calls.FINAL:
            gate.heard_goodbye(ringing.gate_at_hand()[0])
        return 1

    # -- what Kamailio calls for everything

    def ksr_reply_route(self, _msg):
        """Take one reply, before tm does.

        Of an answer that tm does not know tm would not ask us either: an agent whose phone rang
        while we were started anew could not be told goodbye until they have registered again.
        """
        try:
            if calls.drop_late_replies() and wire.source() == wire.STRANGER:
                reach.note_source()
        except UnicodeDecodeError:
            KSR.set_drop()
        return 1

    # -- what happens outside SIP

    def ksr_beat(self, _msg, _event):
        """Be called by a timer four times a second."""
        beat.note()
        return 1

    def ksr_tables_from_file(self, _msg, _event):
        """Load the last good tables at start, so that a restart serves at once."""
        tables_file.load(self.tables)
        return 1

    def ksr_contact_expired(self, _msg, _event):
        """Tell the edges of a phone that has not been heard of in time."""
        door.tell(event="expired", agent=KSR.pv.gete("$ulc(exp=>aor)"), expires=0)
        return 1

    def ksr_edge_says(self, _msg, event):
        """Take a message of an edge. All of them come through one process, one by one."""
        if event == "evapi:message-received":
            try:
                obey(json.loads(KSR.pv.get("$evapi(msg)")))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                KSR.err(f"evapi: message not understood: {wire.fault(error)}\n")
        return 1


def obey(message):
    """Do what an edge asks: listen, load the gate after a start, free a gate that is stuck."""
    match message["do"]:
        case "listen":
            door.listen(message["name"])
        case "headroom":
            calls.say_room(message["edge"], message["calls"])
        case "load_gate":
            gate.load(message["id"], message["offers"])
        case "open_gate":
            gate.open_after(message["id"], message["count"], message["floor"])
        case "free_gate":
            agent = message["agent"]
            if gate.free(agent, (int(message["epoch"]), int(message["revision"]))):
                ringing.end_forgotten_leg(agent)
        case other:
            KSR.err(f"evapi: unknown request {other!r}\n")
