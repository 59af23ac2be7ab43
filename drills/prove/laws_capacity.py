"""Who takes no calls is given none: neither by the line nor by an agent who chose them. PURE.

Exact: what channels an agent takes conversations by stands in the store before anybody calls. That
nobody has two calls at a time is `laws_store`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import Event
from drills.prove.needs import able
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from state.model import Offer


def check_capacity(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the offers to agents who take no calls; each once, when it is made."""
    world = World()
    for changes in revisions(events):
        held = {change.id: world.offers.get(change.id) for change in changes}
        world.apply(changes)
        for change in changes:
            if not isinstance(change.value, Offer):
                continue
            offer, stood = change.value, held[change.id]
            is_new = stood is None or stood[0].call != offer.call
            if is_new and not able(world, offer.agent).takes_calls:
                text = f"{offer.agent} given to {offer.call}"
                yield Violation(
                    law=Law.NO_CALLS, at_s=change.at_s, revision=change.revision, text=text
                )
