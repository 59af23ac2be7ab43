"""Which site and which edge sees to what. PURE: values in, values out."""

from edge.steering.duty import home_edge, janitor
from edge.steering.table import ANY, Groups, encode, rows

__all__ = ["ANY", "Groups", "encode", "home_edge", "janitor", "rows"]
