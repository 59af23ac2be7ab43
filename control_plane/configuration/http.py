"""The endpoints of the configuration: as a whole, of what moves traffic, and of each section."""

from __future__ import annotations

from control_plane.api.route import Feature
from control_plane.configuration import contingency, steering, versions
from control_plane.configuration.desk import context
from control_plane.configuration.nouns import NOUNS
from control_plane.configuration.resources import routes

FEATURE = Feature(
    name="configuration",
    routes=(
        *versions.ROUTES,
        *steering.ROUTES,
        *contingency.ROUTES,
        *(route for noun in NOUNS.values() for route in routes(noun)),
    ),
    context=context,
)
