"""The last good tables, as the edges keep them on disk: what a Kamailio that starts begins with."""

import json

import KSR

VERSION = 1
TABLES = ("steer", "peers", "ha1", "home", "sip_secret", "dial", "forward")
LATER = ("home", "sip_secret", "dial", "forward")
"""There are none of these in files of before."""


def load(file):
    """Put the rows of the file into the htables; of one that cannot be taken, none."""
    try:
        tables = json.loads(file.read_text())
        if tables["v"] != VERSION:
            raise ValueError(f"version {tables['v']}")  # noqa: TRY301 - as any other misfit
        for name in LATER:
            tables.setdefault(name, {})
        rows = [(name, key, str(value)) for name in TABLES for key, value in tables[name].items()]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        # Not its repr: that of a UnicodeDecodeError has the whole file, secrets and all.
        reason = f"{type(error).__name__} {error}"
        KSR.err(f"{file}: {reason}; no tables until an edge writes them\n")
        return
    for name, key, value in rows:
        KSR.htable.sht_sets(name, key, value)
    KSR.htable.sht_sets("meta", "tables", "1")
