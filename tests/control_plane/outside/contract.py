"""Somebody else's tool asks the API what its document says that it takes, and what it does not.

What the tool objects to is a fault, unless the reason why it is none stands here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).parent / "schemathesis"


@dataclass(frozen=True)
class Objection:
    """One answer that the tool objects to."""

    check: str
    operation: str
    status: int
    sent: str
    said: dict[str, Any]
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.operation} {self.sent}: {self.status} {self.said}"


@dataclass(frozen=True)
class Reason:
    """Why an objection is none."""

    because: str
    check: str
    error_id: str
    fault: str = ""
    """What one of the faults, or the detail, looks like."""

    def explains(self, found: Objection) -> bool:
        """Return whether this is the reason."""
        faults = [f"{each['where']}: {each['fault']}" for each in found.said.get("faults", ())]
        faults.append(str(found.said.get("detail")))
        return (
            found.check == self.check
            and found.said.get("error_id") == self.error_id
            and (not self.fault or any(re.search(self.fault, each) for each in faults))
        )


REFUSED = "positive_data_acceptance"
REJECTED = "negative_data_rejection"
SERVER = "not_a_server_error"
REASONS = (
    Reason("what is no ETag of ours matches nothing", REJECTED, "version-mismatch"),
    Reason("the tool uses a key again that it made up", REFUSED, "idempotency-key-reused"),
    Reason("no ETag that is made up is the present one", REFUSED, "version-mismatch"),
    Reason("nor a cursor", REFUSED, "cursor-invalid"),
    Reason("what tables say of each other is no schema's matter", REFUSED, "configuration-broken"),
    Reason("no etcd is there", SERVER, "unavailable"),
    Reason("no etcd is there", SERVER, "shared-state-away"),
    Reason("what can be sorted by depends on the listing", REFUSED, "invalid", r"query\.sort"),
    Reason("printable is more than a pattern says", REFUSED, "invalid", "printable characters"),
    Reason("telephone numbers have their own grammar", REFUSED, "invalid", "telephone number"),
    Reason("zones have names", REFUSED, "invalid", "is no time zone"),
    Reason("an address is host and port", REFUSED, "invalid", "is no host:port"),
    Reason("an address is one of IP", REFUSED, "invalid", "IPv4 or IPv6"),
    Reason("names within tables are ids", REFUSED, "invalid", r"\[key\]: String should match"),
    Reason("a URL has its own grammar", REFUSED, "invalid", "should be an https URL"),
    Reason("1.0 is whole to JSON Schema", REFUSED, "invalid", "should be a valid integer"),
    Reason("field and value go together", REFUSED, "invalid", r"query\.field: goes with value"),
    Reason("a file names its fields", REFUSED, "bad-request", "first line should name fields"),
    Reason("no store of recordings is there", SERVER, "recordings-not-served"),
    Reason("only broken glass needs a ticket", REFUSED, "invalid", r"body\.ticket"),
    Reason("a request names a thing once", REFUSED, "invalid", r"body\.things"),
    Reason("force and why go together", REFUSED, "invalid", r"query\.why: say why"),
    Reason("a byte of zero is no text", REFUSED, "invalid", "holds a NUL"),
)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long it is asked, and how."""

    lasts_s: int
    seed: int
    examples: int


async def ask(url: str, token: str, report: Path, effort: Effort) -> list[Objection]:
    """Run the tool, and return all that it objects to."""
    words = (
        *("run", f"{url}/openapi.json", "--seed", str(effort.seed)),
        *("--max-time", str(effort.lasts_s), "-n", str(effort.examples)),
        "--continue-on-failure",
        *(
            "--no-shrink",
            "--generation-deterministic",
            "--header",
            f"Authorization: Bearer {token}",
        ),
        *("--header", "Everline-Purpose: a test", "--report-ndjson-path", str(report)),
        # Signing out would end the session of all the rest.
        *("--exclude-operation-id", "sign_in_end", "--no-color"),
    )
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *words,
        cwd=report.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode not in (0, 1):
        raise AssertionError(f"schemathesis could not do it: {said.decode()[-2000:]}")
    return list(objections(report))


def objections(report: Path) -> Iterator[Objection]:
    """Yield what the report holds."""
    for line in report.read_text().splitlines():
        if (event := json.loads(line).get("ScenarioFinished")) is not None:
            yield from _of(event["recorder"])


def asked(report: Path) -> set[str]:
    """Return the operations that were asked for anything."""
    events = (json.loads(line).get("ScenarioFinished") for line in report.read_text().splitlines())
    return {event["recorder"]["label"] for event in events if event}


def _of(recorder: dict[str, Any]) -> Iterator[Objection]:
    for case, checks in recorder.get("checks", {}).items():
        for each in checks:
            if each["status"] != "failure":
                continue
            at = recorder.get("interactions", {}).get(case) or {}
            response, request = at.get("response") or {}, at.get("request") or {}
            failure = each["failure_info"]["failure"]
            yield Objection(
                check=each["name"],
                operation=str(failure.get("operation") or recorder["label"]),
                status=int(response.get("status_code", 0)),
                sent=f"{request.get('method')} {request.get('uri')}",
                said=_said(response),
                message=str(failure.get("message")),
            )


def _said(response: dict[str, Any]) -> dict[str, Any]:
    raw = base64.b64decode((response.get("content") or {}).get("$base64", ""))
    try:
        told = json.loads(raw)
    except ValueError:
        return {"text": raw[:200].decode(errors="replace")}
    return told if isinstance(told, dict) else {"told": told}
