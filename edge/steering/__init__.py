"""Which site and which edge sees to what. PURE: values in, values out."""

from edge.steering.duty import chosen, home_edge, janitor
from edge.steering.standing import NOBODY, Illness, Standing, Standings, ill_sites
from edge.steering.table import ANY, Groups, encode, rows

__all__ = [
    "ANY",
    "NOBODY",
    "Groups",
    "Illness",
    "Standing",
    "Standings",
    "chosen",
    "encode",
    "home_edge",
    "ill_sites",
    "janitor",
    "rows",
]
