"""PURE. What was found of recordings under random kills, and whether it is as it has to be."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich.table import Table

from drills.demo.hearing import Recorded
from drills.prove.recordings.erasing import Erased
from drills.prove.recordings.tampering import Found
from state.model import SiteId


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    recorded: tuple[Recorded, ...]
    answered: int
    kills: dict[str, int]
    unrecorded: frozenset[str] = frozenset()
    """Calls of which there is nothing, since their site's recorder was away: so their records say,
    and so it was."""
    unexplained: tuple[str, ...]
    told: dict[str, tuple[str, ...]] = {}
    """By call that is unexplained: what is heard of it, and what the processes' logs say."""
    plaintext: tuple[str, ...]
    sounds_sought: int
    tampered: Found
    lost_site: SiteId
    replicated: int
    """What the lost site had counted."""
    not_replicated: int
    played: int
    erased: Erased = Erased()

    @property
    def opened(self) -> int:
        """How many recordings open."""
        return sum(1 for each in self.recorded if not each.fault)

    @property
    def held(self) -> bool:
        """Whether all of it is as it has to be."""
        return (
            self.opened + len(self.unrecorded) == len(self.recorded) == self.answered > 0
            and self.opened > len(self.unrecorded)
            and not self.unexplained
            and not self.plaintext
            and self.sounds_sought > 0
            and not self.tampered.missed
            and self.tampered.tried > 0
            and self.played == self.replicated > 0
            and self.erased.held
        )

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "calls": self.answered,
            "opened": self.opened,
            "heard": sum(1 for each in self.recorded if each.is_heard),
            "incomplete": sum(1 for e in self.recorded if not e.fault and not e.is_complete),
            "unrecorded": len(self.unrecorded),
            "unexplained": len(self.unexplained),
            "unexplained_calls": list(self.unexplained),
            "faults": {each.call: each.fault for each in self.recorded if each.fault},
            "told": {call: list(lines) for call, lines in self.told.items()},
            "kills": self.kills,
            "plaintext_hits": len(self.plaintext),
            "sounds_sought": self.sounds_sought,
            "tamper": {
                "tried": self.tampered.tried,
                "found": self.tampered.tried - len(self.tampered.missed),
                "missed": list(self.tampered.missed),
            },
            "survivor": {
                "lost_site": self.lost_site,
                "replicated": self.replicated,
                "not_replicated": self.not_replicated,
                "played": self.played,
            },
            "erased": {
                "customers": self.erased.customers,
                "recordings": self.erased.recordings,
                "sealed_to_tenant": self.erased.sealed_to_tenant,
                "stated": self.erased.stated,
                "readable_after": self.erased.readable_after,
                "readable_in_backup": self.erased.readable_in_backup,
            },
            "held": self.held,
        }


def table(proof: Proof) -> Table:
    """Return all of it, as people read it."""
    made = Table(title="Recordings under random kills")
    made.add_column("")
    made.add_column("", justify="right")
    found = proof.as_json()
    rows = (
        ("answered calls", found["calls"]),
        ("their recordings open, with another site's keys", found["opened"]),
        ("both parties heard, each on their side", found["heard"]),
        ("incomplete, and saying why", found["incomplete"]),
        ("not recorded while the recorder was away, as their records say", found["unrecorded"]),
        ("unexplained", found["unexplained"]),
        (
            "processes killed, stores taken away",
            ", ".join(f"{n} {kind}" for kind, n in sorted(proof.kills.items())),
        ),
        (
            f"files with a sound in the clear, of {proof.sounds_sought} sought",
            len(proof.plaintext),
        ),
        (
            "changes to stored recordings found",
            f"{proof.tampered.tried - len(proof.tampered.missed)} of {proof.tampered.tried}",
        ),
        (
            f"site {proof.lost_site} destroyed: played elsewhere, of those it had counted",
            f"{proof.played} of {proof.replicated}; {proof.not_replicated} not yet copied",
        ),
        (
            f"{proof.erased.customers} callers erased: their recordings that open at any site",
            f"{proof.erased.readable_after} of {proof.erased.recordings}",
        ),
        (
            "that open from an older backup of a store",
            f"{proof.erased.readable_in_backup} of {proof.erased.sealed_to_own_keys}",
        ),
    )
    for name, value in rows:
        made.add_row(name, str(value))
    return made


def complaints(proof: Proof) -> Iterator[str]:
    """Yield what is unexplained, and whether all held."""
    for call in proof.unexplained:
        yield f"unexplained: {call}: {next(iter(proof.told.get(call, ())), '')}"
    yield "All held." if proof.held else "NOT all held."
