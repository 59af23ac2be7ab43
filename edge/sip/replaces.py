"""The Replaces header field (RFC 3891) as it stands in the URI of a Refer-To (§6.1). PURE.

Owns how it is read, and which dialog it names. Who may have what replaced is not its business.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from edge.sip.errors import RemoteError
from edge.sip.events import IncomingInvite
from edge.sip.uri import parse_uri

_LONGEST: Final = 1024
_OLD_PEER: Final = "0"
"""Stands for a tag that was never given (RFC 3891 §3)."""


class Replaces(Struct, frozen=True, kw_only=True):
    """The dialog that is meant, as its other side wrote it down."""

    sip_call_id: str
    to_tag: str
    """Ours."""
    from_tag: str
    """Theirs."""

    def names(self, invite: IncomingInvite) -> bool:
        """Tell whether that is the dialog which an INVITE of theirs has made, early or not."""
        ours = (invite.sip_call_id, invite.leg, invite.from_tag)
        return (self.sip_call_id, self.to_tag, self.from_tag) == ours


def replaces_in(refer_to: str) -> Replaces | None:
    """Return what the URI of a Refer-To would have replaced; None: nothing.

    RemoteError 400 for a Replaces that names no dialog, or more than one.
    """
    if ":" not in refer_to:
        return None
    fields = (each.partition("=") for each in parse_uri(refer_to).headers.split("&"))
    found = [value for name, _, value in fields if unquote(name).strip().lower() == "replaces"]
    if not found:
        return None
    if len(found) > 1 or len(found[0]) > _LONGEST:
        raise RemoteError(400, "One Replaces")
    return _read(unquote(found[0]))


def _read(value: str) -> Replaces:
    sip_call_id, *params = (each.strip() for each in value.split(";"))
    tags = {
        name.strip().lower(): tag.strip() for name, _, tag in (p.partition("=") for p in params)
    }
    to_tag, from_tag = tags.get("to-tag", ""), tags.get("from-tag", "")
    if not sip_call_id or not to_tag or not from_tag or _OLD_PEER in {to_tag, from_tag}:
        raise RemoteError(400, "Replaces names no dialog")
    return Replaces(sip_call_id=sip_call_id, to_tag=to_tag, from_tag=from_tag)
