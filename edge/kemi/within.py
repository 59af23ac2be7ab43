"""What is relayed inside a dialog: how long it may take, and what a goodbye does to the gate."""

import KSR
import ringing

LATE_MS = 120_000
SILENCE_MS = 5000

# What changes a call goes to its edge again soon, whose next life answers it: to hold somebody is
# not to take long. An edge that has answered nothing at all for `SILENCE_MS` is asked
# later (`put_off`), and so is one that has said 100 and then nothing.
CHANGES = ("INVITE", "UPDATE")
CHANGE_LATE_MS = 10_000
CHANGE_AGAIN_MS = 200
CHANGE_AGAIN_AT_MOST_MS = 1000


def wait_for_answer(*, is_change):
    """Say how long the answer to what is relayed within a call may take, and what follows."""
    KSR.tm.t_set_fr(CHANGE_LATE_MS if is_change else LATE_MS, SILENCE_MS)
    if is_change:
        KSR.tm.t_set_retr(CHANGE_AGAIN_MS, CHANGE_AGAIN_AT_MOST_MS)
        KSR.tm.t_on_failure("ksr_change_failed")


def goodbye(leg, *, is_ours):
    """See to the agent's gate when a phone hangs up: only the edge knows that the call ends.

    It refuses a BYE that is none of the call's, or comes late, and the call goes on. `is_ours`: it
    is the edge that says it, and only the phone knows that it has heard.
    """
    ringing.remember_gate(*leg)
    if is_ours:
        KSR.tm.t_on_reply("ksr_farewell_replies")
        return
    KSR.tm.t_on_reply("ksr_goodbye_replies")
    KSR.tm.t_on_failure("ksr_goodbye_failed")


def put_off():
    """Refuse for now, in a failure route: nothing has changed, and the call goes on."""
    KSR.hdr.append_to_reply("Retry-After: 2\r\n")
    KSR.tm.t_reply(500, "Server Internal Error")
