"""What goes on, over the API."""

from __future__ import annotations

from control_plane.api.route import Feature
from control_plane.live import calls, codes, ledger, pauses, people, places, transfers, wishes, work
from control_plane.live.desk import context

FEATURE = Feature(
    name="live",
    context=context,
    routes=(
        *calls.ROUTES,
        *codes.ROUTES,
        *pauses.ROUTES,
        *transfers.ROUTES,
        *people.ROUTES,
        *places.ROUTES,
        *ledger.ROUTES,
        *wishes.ROUTES,
        *work.ROUTES,
    ),
)
