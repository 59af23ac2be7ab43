"""Which site and which edge sees to what. PURE: values in, values out."""

from edge.steering.duty import chosen, home_edge, janitor, taking_calls
from edge.steering.forwarding import forwards
from edge.steering.moves import MoveDue, moves_due
from edge.steering.standing import NOBODY, Illness, Standing, Standings, ill_sites
from edge.steering.table import ANY, Groups, encode, rows

__all__ = [
    "ANY",
    "NOBODY",
    "Groups",
    "Illness",
    "MoveDue",
    "Standing",
    "Standings",
    "chosen",
    "encode",
    "forwards",
    "home_edge",
    "ill_sites",
    "janitor",
    "moves_due",
    "rows",
    "taking_calls",
]
