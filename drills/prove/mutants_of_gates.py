"""The bugs that are planted in a gate: in the script that a site's proxy has loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drills.prove.history import FaultKind
from drills.prove.mutant import Mutant, by
from drills.prove.violations import Law


def _equal_token(gate: Any) -> None:  # noqa: ANN401 - a module without types
    take = gate.take

    def mutated(agent: str, token: tuple[int, int], call: str) -> None:
        known = gate.read(agent)[0]
        if token == known:
            gate.write(agent, (known[0], known[1] - 1), gate.read(agent)[1], call)
        take(agent, token, call)

    gate.take = mutated


def _old_token(gate: Any) -> None:  # noqa: ANN401 - as above
    take = gate.take

    def mutated(agent: str, token: tuple[int, int], call: str) -> None:
        known, state, _ = gate.read(agent)
        if token < known:
            gate.write(agent, (0, 0), state, call)
        take(agent, token, call)

    gate.take = mutated


def _no_floor(gate: Any) -> None:  # noqa: ANN401 - as above
    gate.floor = lambda: (0, 0)


def _never_shut(gate: Any) -> None:  # noqa: ANN401 - as above
    gate.KSR.htable.sht_sets("meta", "gate_loaded", "1")


def _gone_rung(gate: Any) -> None:  # noqa: ANN401 - as above
    gate.KSR.registrar.lookup = lambda _table: 1


GATE_FAULTS: Mapping[str, Callable[[Any], None]] = {
    "equal_token": _equal_token,
    "old_token": _old_token,
    "no_floor": _no_floor,
    "never_shut": _never_shut,
    "gone_rung": _gone_rung,
}
OF_GATES = (
    Mutant(
        name="equal_token", line="the gate lets a token through twice", laws=by(Law.STALE_TOKEN)
    ),
    Mutant(name="old_token", line="the gate lets an older token through", laws=by(Law.STALE_TOKEN)),
    Mutant(
        name="gone_rung",
        line="the gate asks nobody whether the agent has a telephone",
        laws=by(Law.GONE),
    ),
    Mutant(
        name="no_floor",
        line="a restarted gate knows no floor",
        laws=by(Law.STALE_TOKEN),
        kinds=(FaultKind.RESTART_PROXY,),
    ),
    Mutant(
        name="never_shut",
        line="a restarted gate is open before it is loaded",
        laws=by(Law.STALE_TOKEN),
        kinds=(FaultKind.RESTART_PROXY,),
    ),
)
