"""Whether the shared state could still be written if a site died now: by its own members. PURE.

A site that serves need not have a member that lives, nor one that has a member serve: a witness
runs nothing else. So it is the members that are counted, where anybody could ask them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from state.members import EtcdMember
from state.model import Entry, Site, SiteId

Sites = Mapping[SiteId, Entry[Site]]


def site_of(member: EtcdMember, sites: Sites) -> SiteId | None:
    """Return the site at which a member runs: of its name, or where its Kamailio is. None: none."""
    named = SiteId(member.name)
    if named in sites:
        return named
    found = {
        name
        for name, entry in sites.items()
        if entry.value.sip.rpartition(":")[0].strip("[]") in member.hosts
    }
    return found.pop() if len(found) == 1 else None


def is_left(members: Sequence[EtcdMember], sites: Sites, lost: SiteId | None) -> bool:
    """Tell whether more than half of the members would take part without a site.

    Of a site of which nobody knows a member, one may be among those that nobody can place: it is
    taken for granted that it is, and that it goes too.
    """
    there = [(site_of(each, sites), each.is_up) for each in members]
    up = sum(is_up for _, is_up in there)
    if lost is None:
        gone = 0
    elif any(site == lost for site, _ in there):
        gone = sum(is_up for site, is_up in there if site == lost)
    else:
        gone = int(any(is_up for site, is_up in there if site is None))
    return up - gone >= len(members) // 2 + 1
