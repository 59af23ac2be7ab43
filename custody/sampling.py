"""Opens a sample of another site's recordings here, with this site's own keys alone.

That is what would have to be done if the other site were gone; it is found out daily, and not then.
"""

from __future__ import annotations

import random
from typing import Final

from obstore.exceptions import BaseError

from custody.errors import CustodyError
from custody.findings import Sample
from custody.library import Library
from custody.store import RecordingStore

MOST: Final = 20
LOOKED_AT: Final = 2_000
"""Manifests that are read at most to find copies among a site's own recordings."""


async def sample(
    store: RecordingStore, library: Library, site: str, *, at_ms: int, most: int = MOST
) -> Sample:
    """Try `most` copies of other sites' recordings in `store`, chosen by chance."""
    names = [
        (tenant, recording)
        for tenant in await store.tenants()
        async for recording in store.manifests(tenant)
    ]
    chosen = random.sample(names, min(len(names), LOOKED_AT))
    tried, faults = 0, []
    for tenant, recording in chosen:
        if tried == most:
            break
        fault = await _fault(library, site, tenant, recording)
        if fault is None:
            continue
        tried += 1
        if fault:
            faults.append(f"{tenant}/{recording}: {fault}")
    return Sample(
        site=site, at_ms=at_ms, tried=tried, opened=tried - len(faults), faults=tuple(faults)
    )


async def _fault(library: Library, site: str, tenant: str, recording: str) -> str | None:
    """Return what is wrong with a copy, nothing if it opens whole; None: it is this site's own."""
    try:
        account = await library.manifest(tenant, recording)
        if account.site == site:
            return None
        if wrong := await library.verify(tenant, recording):
            return "; ".join(wrong)
        async for _ in library.frames(account):
            pass
    except FileNotFoundError:
        return None  # deleted at this moment
    except CustodyError as error:
        return str(error)
    except (OSError, BaseError) as error:
        # Whosever it is where not even its manifest is given: it is there, and does not open.
        return f"the store does not give it: {type(error).__name__}"
    return ""
