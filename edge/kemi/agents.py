"""Agents among the strangers: digest, registration, and keeping guessers out."""

import base64
import hashlib
import hmac
import re
import secrets

import door
import KSR
import wire

REALM = "everline"
AGENT_ID = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+\-]{0,63}")

# Ephemeral credentials: name of a secret, expiry, agent. LONGEST_S: as issued, and ten minutes by
# which this host's clock may be behind: with less a clock that was set back keeps every phone out.
EPHEMERAL = re.compile(r"([0-9a-f]{8}):([0-9]{1,12}):([A-Za-z0-9_.+\-]{1,64})")
LONGEST_S = 300 + 600
NO_PASSWORD = "-"  # noqa: S105 - the very word for there being none

# Checked for users that do not exist, so that they cost and answer like those that do.
NOBODY_HA1 = secrets.token_hex(16)

# Flags and verdicts of Kamailio's auth module.
HA1_GIVEN = 1
QOP_AUTH = 1
STALE = 16
WRONG_PASSWORD = -2
OLD_NONCE = (-4, -6)

WRONG_PASSWORDS = 10  # within the lifetime of a `strike`; then `ban`, for its own lifetime
ONE_CONTACT = 0x04
RECEIVED = re.compile(r";\s*received\b", re.IGNORECASE)


def is_cut_off(ip):
    """Whether this stranger has guessed too many passwords, or floods us.

    An address from which somebody signed in lately may be an office behind one NAT, whose hundreds
    of phones ask after us, or come here all at once: it does not flood.
    """
    if KSR.htable.sht_get("ban", ip):
        return True
    return KSR.pike.pike_check_req() < 0 and not is_known(ip)


def is_known(ip):
    """Whether somebody signed in from this address lately."""
    return KSR.htable.sht_get("known", ip) is not None


def authenticated(may_be_asked=lambda: True):
    """Return the agent who proved it with a digest, or "" after a challenge.

    A user who does not exist and a wrong password look the same. `may_be_asked`: whether somebody
    without a proof is challenged now; if not, they have been answered.
    """
    if KSR.auth.has_credentials(REALM) < 0:
        if may_be_asked():
            KSR.auth.auth_challenge(REALM, QOP_AUTH)
        return ""
    name = KSR.pv.gete("$aU")  # not $au: that leaves out what stands before a colon
    user = name.rpartition(":")[2]
    ip = KSR.kx.get_srcip()
    if KSR.htable.sht_get("ban", f"{ip} {user}"):
        return ""
    ha1 = proof_of(name, user)
    verdict = KSR.auth.pv_auth_check(REALM, ha1 or NOBODY_HA1, HA1_GIVEN, 0)
    if verdict < 0 or ha1 is None:
        if verdict == WRONG_PASSWORD:
            strike(ip, user)
        if verdict in OLD_NONCE and not may_be_asked():
            return ""
        KSR.auth.auth_challenge(REALM, QOP_AUTH | (STALE if verdict in OLD_NONCE else 0))
        return ""
    KSR.htable.sht_sets("known", ip, "1")
    return user


def proof_of(name, agent):
    """Return the HA1 of whoever signs in as `name`, or None: nobody can.

    An agent who is barred, or does not exist, has no row at all.
    """
    kept = KSR.htable.sht_get("ha1", agent) if AGENT_ID.fullmatch(agent) else None
    if kept is None:
        return None
    if name == agent:
        return kept if kept != NO_PASSWORD else None
    ephemeral = EPHEMERAL.fullmatch(name)
    secret = KSR.htable.sht_get("sip_secret", ephemeral[1]) if ephemeral else None
    if secret is None or not 0 < int(ephemeral[2]) - KSR.pv.geti("$Ts") <= LONGEST_S:
        return None
    return ephemeral_ha1(name, secret)


def ephemeral_ha1(name, secret):
    """Return the HA1 of ephemeral credentials, as `state.phone_credentials` issues them."""
    digest = hmac.new(secret.encode(), name.encode(), hashlib.sha256).digest()
    password = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    text = f"{name}:{REALM}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def strike(ip, user):
    """Count a wrong password; too many cut off that user from there, or the whole address.

    An address from which somebody signed in lately is an office behind one NAT: one phone with
    an old password must not silence it.
    """
    if KSR.htable.sht_inc("strike", f"{ip} {user}") >= WRONG_PASSWORDS:
        KSR.htable.sht_sets("ban", f"{ip} {user}", "1")
    if KSR.htable.sht_inc("strike", ip) >= WRONG_PASSWORDS and not is_known(ip):
        KSR.htable.sht_sets("ban", ip, "1")


def register(agent):
    """Save where the agent's phone is: one phone an agent, the last one to say so."""
    if wire.plain(KSR.kx.gete_tuser()) != agent:
        wire.answer(403, "Forbidden")
        return
    if RECEIVED.search(KSR.pv.gete("$(hdr(Contact)[*])")):
        # The registrar would believe it, where other registrars are its peers.
        wire.answer(403, "Forbidden")
        return
    # A phone is reached where it speaks from, whatever its Contact says.
    KSR.nathelper.fix_nated_register()
    if KSR.registrar.save("location", ONE_CONTACT) < 0:
        return
    if is_registered(agent):
        left_s = KSR.pv.geti("$ulc(now=>expires)") - KSR.pv.geti("$Ts")
        KSR.registrar.reg_free_contacts("now")
        door.tell(event="registered", agent=agent, expires=left_s)
    else:
        door.tell(event="unregistered", agent=agent, expires=0)


def is_registered(agent):
    """Whether the agent has a phone; if so it is in `$ulc(now=>...)` until it is freed."""
    return KSR.registrar.reg_fetch_contacts("location", f"sip:{agent}@{REALM}", "now") > 0


def registered_at(agent):
    """Return the URI that the agent's phone has signed in from; "": it has not."""
    if not is_registered(agent):
        return ""
    where = KSR.pv.gete("$ulc(now=>received)")
    KSR.registrar.reg_free_contacts("now")
    return where
