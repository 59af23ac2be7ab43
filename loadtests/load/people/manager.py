"""A manager: wallboard and stream, a search, a look at calls, an edit of the load's queue."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from locust import between, task

from loadtests.load.people.api import Person
from loadtests.load.people.around import around

WRAP_UPS_S: Final = (0.5, 1.0)
"""What the queue's wrap-up is made, in turn."""
_NAMES: Final = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Fay")
_UNSENT: Final = frozenset({"id", "tenant", "version"})
_OK: Final = 200
_SOMEBODY_WAS_QUICKER: Final = 412


class Manager(Person):
    """One manager at a wallboard."""

    fixed_count = 1
    wait_time = between(0.8, 1.6)

    def on_start(self) -> None:
        """Sign in, listen to everything."""
        plan = around(self.environment).plan
        self._dice = Random(f"{plan.request.seed}/manager")  # noqa: S311 - repeatable
        self._edits = 0
        self.events = 0
        self.begin(plan.manager, plan.password, plan.sites[0].id)
        self.listen(("queues", "agents", "calls", "sites"))

    def on_stop(self) -> None:
        """Sign out."""
        self.end()

    def heard(self, event: dict[str, Any]) -> None:  # noqa: ARG002 - counted, not looked at
        """Count it."""
        self.events += 1

    @task(4)
    def look(self) -> None:
        """Look at the wallboard."""
        self.ask("GET", "/v1/live/queues")
        self.ask("GET", "/v1/live/agents")

    @task(2)
    def look_at_calls(self) -> None:
        """Look at the last calls."""
        self.ask("GET", "/v1/calls?limit=20")

    @task(2)
    def search(self) -> None:
        """Search for a customer by the beginning of a name."""
        self.ask("GET", f"/v1/customers?name={self._dice.choice(_NAMES)}")

    @task(1)
    def edit(self) -> None:
        """Give the load's queue another wrap-up time."""
        name, queue = "/v1/queues/{id}", around(self.environment).plan.queue
        path = f"/v1/queues/{queue}"
        status, held, _ = self.ask("GET", path, name=name)
        if status != _OK:
            return
        self._edits += 1
        body = {key: value for key, value in held.items() if key not in _UNSENT}
        body["wrap_up_s"] = WRAP_UPS_S[self._edits % 2]
        match = {"If-Match": f'"{held["version"]}"'}
        self.ask("PUT", path, name=name, body=body, headers=match, fine={_SOMEBODY_WAS_QUICKER})
