"""PURE. In which country's form the number of a call's caller comes.

A call does not tell by which trunk it came. What was dialled tells it where the DID says so; else
the trunks of its tenant, where they agree.
"""

from __future__ import annotations

import phonenumbers

from state.model import DidNumber
from state.snapshot import Snapshot

INTERNATIONAL = "+"


def region_of(snapshot: Snapshot, tenant: str, did: str = "") -> str:
    """Return the ISO 3166 code (`DE`) of callers who dial `did`; empty: nobody says."""
    dialled = snapshot.dids.get(DidNumber(did))
    if dialled is not None and dialled.value.region:
        return dialled.value.region
    found = {
        each.value.region
        for each in snapshot.trunks.values()
        if each.value.region and tenant in each.value.tenants
    }
    return found.pop() if len(found) == 1 else ""


def international(caller: str, region: str) -> str:
    """Return a number as E.164 where its region tells how it is meant, else as it came."""
    if not region or caller.startswith(INTERNATIONAL):
        return caller
    try:
        parsed = phonenumbers.parse(caller, region)
    except phonenumbers.NumberParseException:
        return caller
    if not phonenumbers.is_possible_number(parsed):
        return caller
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
