"""A worker whose telephones die, or that dies itself: gevent has to own a process from its start.

The telephones are a stand-in that tells of one call and ends. Prints what came of it as JSON.
"""
# ruff: noqa: E402 - gevent comes first

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import os
import signal
import sys
from pathlib import Path

from loadtests.load.exchange import Exchange, PhonesError
from loadtests.load.telephones import Telephones, hear_next
from loadtests.load.telling import Told

PHONES = """
import sys
print('{"event": "ready"}', flush=True)
sys.stdin.readline()
call = '"phone": "5", "role": "caller", "sip_call_id": "x@y", "local_tag": "t"'
print('{"event": "invite", %s}' % call, flush=True)
sys.stdin.readline()
"""


def main(folder: Path) -> dict[str, object]:
    """Let them die, and others be begun; return what was heard of it."""
    restarted: list[str] = []
    ends: list[Told] = []

    def start(host: str) -> Telephones:
        return Telephones(host, (sys.executable, "-S", "-c", PHONES), folder / "phones.log")

    exchange = Exchange(0, start, restarted.append)
    first = exchange.at("callers")
    inbox = first.add("callers", {"id": "5"}, ends.append)
    heard = hear_next(inbox, 30.0)
    first.add("callers", {"id": "6"}, ends.append)
    why = ""
    try:
        hear_next(inbox, 30.0)
    except PhonesError as error:
        why = str(error)
    second = exchange.at("callers")
    second.stop()
    return {
        "heard": heard and heard.event,
        "why": why,
        "ends": sorted((each.phone, each.how, each.cause) for each in ends),
        "is_another": second is not first,
        "restarted": restarted,
        "said": (folder / "said-phones.jsonl").read_text().count('"invite"'),
    }


def abandon(folder: Path) -> None:
    """Begin telephones that nothing but their worker's end would end, tell their PID, and die."""
    alone = 'import time; print(\'{"event": "ready"}\', flush=True); time.sleep(600)'
    phones = Telephones("callers", (sys.executable, "-S", "-c", alone), folder / "phones.log")
    phones.await_ready()
    sys.stdout.write(str(phones.pid))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[2:] == ["abandon"]:
        abandon(Path(sys.argv[1]))
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
