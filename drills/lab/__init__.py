"""A lab: whole sites as network namespaces on one machine, joined by a WAN that can be broken."""
