"""A center whose customers' sensitive fields can be sealed, and what is told of one customer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from control_plane.customers.talking import TALKING
from control_plane.keys.provider import LocalFile
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person, Reply

ANNA = {
    "name": "Anna Österreich",
    "numbers": ["+49 30 1234567", "+493098765"],
    "email": "anna@example.net",
    "address": "Lindenweg 7, Berlin",
    "language": "de",
    "notes": "Calls on Mondays",
    "tags": ["gold"],
    "consent": {"marketing": True},
    "sensitive": {"national_id": "AB 1234 cd", "payment_card": "4111111111111111"},
}
SAID = (
    "Österreich", "+49301234567", "301234567", "+493098765", "anna@example.net",
    "Lindenweg", "Mondays", "AB 1234 cd", "ab1234cd", "4111111111111111",
)  # fmt: skip
WHY = {"Everline-Purpose": "the customer asks"}


def key_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a key store in `folder`."""
    secret = folder / "customer.key"
    if not secret.exists():
        LocalFile.make(secret)
    return {"customer_keys": secret, "keys_database": f"sqlite:///{folder / 'keys.db'}"}


async def add(center: Center, **changes: Any) -> tuple[Person, Reply]:  # noqa: ANN401
    """Add Anna; return the manager who did, and the answer."""
    manager = await center.person(Role.MANAGER)
    made = await manager.post("/v1/customers", ANNA | changes)
    assert made.status == 201, made.body
    return manager, made


async def approval(center: Center, act: str, thing: str, digest: str) -> dict[str, str]:
    """Have a second person say yes; return the header for it, and a purpose."""
    second = await center.person(Role.MANAGER, team="other")
    given = await second.post("/v1/approvals", {"act": act, "thing": thing, "digest": digest})
    assert given.status == 201, given.body
    return WHY | {"Everline-Approval": given.json["id"]}


def talk(center: Center, number: str, *agents: str) -> None:
    """Let `agents` talk to the caller with this number, and nobody to anybody else."""
    center.app[TALKING].set({("main", number): frozenset(agents)})


async def chain(center: Center) -> tuple[Person, list[str], list[str]]:
    """Merge Bo into Ada, then Ada into Cy; return a manager, the ids of all, and the merges."""
    manager = await center.person(Role.MANAGER)
    ids = []
    for number, name in enumerate(("Ada", "Bo", "Cy")):
        draft = {
            "name": name, "numbers": [f"+49305550{number}"],
            "sensitive": {"national_id": f"of {name}"},
        }  # fmt: skip
        ids.append((await manager.post("/v1/customers", draft)).json["id"])
    ada, bo, cy = ids
    merges = []
    for kept, gone in ((ada, bo), (cy, ada)):
        made = await manager.post(f"/v1/customers/{kept}/merge", {"gone": gone})
        assert made.status == 200, made.body
        merges.append(made.json["id"])
    return manager, ids, merges
